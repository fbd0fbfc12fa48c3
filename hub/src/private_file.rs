//! Files with secrets: mode 0600, written whole or not at all.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read it, so its secret may be out.
    #[error("{} may be read by others: make it readable by its owner alone", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a private text; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read, or others may read it.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    let error = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    match std::fs::metadata(path) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(error(source)),
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            return Err(FileError::Open {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    std::fs::read_to_string(path).map(Some).map_err(error)
}

/// Writes a private text, whole or not at all; what was there is replaced.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let error = |source| FileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let store = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    store().map_err(error)
}

/// Reads a private text, or makes it by `text` and writes it.
///
/// # Errors
/// When it cannot be read or written, or `text` fails.
pub fn read_or_create<E: From<FileError>>(
    path: &Path,
    text: impl FnOnce() -> Result<String, E>,
) -> Result<String, E> {
    if let Some(found) = read(path)? {
        return Ok(found);
    }
    let made = text()?;
    write(path, &made)?;
    Ok(made)
}

/// Makes a folder for its owner alone; one that is there is closed to others.
///
/// # Errors
/// When it cannot be made or closed.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    let make = || {
        std::fs::create_dir_all(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
    };
    make().map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(read(&path).unwrap().is_none());
        write(&path, "secret").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(read(&path).unwrap().as_deref(), Some("secret"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(FileError::Open { .. })));
    }
}
