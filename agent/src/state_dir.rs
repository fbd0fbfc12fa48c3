//! The agent's folder: keys, credential, journal. Files are private to the user (0600), written
//! whole or not at all, and one agent at a time may use it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOCK: &str = "lock";

/// Something went wrong with the folder.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// The folder cannot be made or opened.
    #[error("cannot use the state folder {path}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent has it open.
    #[error("another agent is using the state folder {path}")]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file in it cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file in it cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An open state folder. Clones share the lock; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    _lock: Arc<File>,
}

impl StateDir {
    /// Makes the folder (0700) if it is missing, and locks it.
    ///
    /// # Errors
    /// When that is not possible or another agent has it.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let open = |source| StateDirError::Open {
            path: path.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(open)?;
        let lock = private_file()
            .truncate(false)
            .open(path.join(LOCK))
            .map_err(open)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: Arc::new(lock),
            }),
            Err(fs::TryLockError::WouldBlock) => Err(StateDirError::Busy {
                path: path.to_owned(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(open(source)),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it, made if it is missing. It shares the lock.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<Self, StateDirError> {
        let path = self.path.join(name);
        match fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
        {
            Ok(()) => Ok(Self {
                path,
                _lock: Arc::clone(&self._lock),
            }),
            Err(source) => Err(StateDirError::Open { path, source }),
        }
    }

    /// The names of the files in it, in no promised order.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, StateDirError> {
        let failed = |source| StateDirError::Read {
            path: self.path.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// The bytes of a file, or nothing if there is no such file.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateDirError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateDirError::Read { path, source }),
        }
    }

    /// Replaces a file: the old bytes or the new ones are there after a crash, never a mixture.
    ///
    /// # Errors
    /// When it cannot be written; the old bytes are there then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateDirError> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!("{name}.new"));
        let written = (|| {
            let mut file = private_file().truncate(true).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            // The rename itself is durable only once the folder is.
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|source| StateDirError::Write { path, source })
    }

    /// Removes a file; one that is not there is fine.
    ///
    /// # Errors
    /// When it is there and stays.
    pub fn remove(&self, name: &str) -> Result<(), StateDirError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateDirError::Write {
                path,
                source: error,
            }),
            _ => Ok(()),
        }
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_private_and_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&root.path().join("a/b")).unwrap();
        assert_eq!(dir.read("x").unwrap(), None);
        dir.write("x", b"one").unwrap();
        dir.write("x", b"two").unwrap();
        assert_eq!(dir.read("x").unwrap().unwrap(), b"two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("x")), 0o600);
        assert_eq!(mode(dir.path()), 0o700);
        dir.remove("x").unwrap();
        dir.remove("x").unwrap();
        assert_eq!(dir.read("x").unwrap(), None);
    }

    #[test]
    fn one_agent_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = StateDir::open(root.path()).unwrap();
        assert!(matches!(
            StateDir::open(root.path()),
            Err(StateDirError::Busy { .. })
        ));
        drop(first);
        assert!(StateDir::open(root.path()).is_ok());
    }
}
