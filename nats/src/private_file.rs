//! Files that only their owner may read, written whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file or folder that could not be read, written or trusted.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, e.g. `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The file system's answer.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may read it.
    #[error("{} may be read by others (mode {mode:04o}); it must be 0600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Writes `bytes` so that a reader sees the old content or the new, also after a power cut.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| sync_folder(folder));
    written.map_err(|source| FileError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Reads a file that must be the owner's alone.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let io = |source| FileError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    fs::read_to_string(path).map_err(io)
}

/// Makes a folder, and those above it, that only the owner may enter.
pub(crate) fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(|source| FileError::Io {
            action: "create",
            path: path.to_owned(),
            source,
        })
}

/// Puts a finished folder in its place; fails when something other than an empty folder is there.
pub(crate) fn publish_folder(finished: &Path, place: &Path) -> Result<(), FileError> {
    fs::rename(finished, place)
        .and_then(|()| sync_folder(place.parent().unwrap_or_else(|| Path::new("."))))
        .map_err(|source| FileError::Io {
            action: "create",
            path: place.to_owned(),
            source,
        })
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_owners_and_one_that_is_not_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("seed");
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written again");
        assert_eq!(read(&path).expect("read"), "two");
        assert_eq!(
            fs::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o600
        );

        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("opened up");
        assert!(matches!(
            read(&path),
            Err(FileError::Open { mode: 0o640, .. })
        ));
    }
}
