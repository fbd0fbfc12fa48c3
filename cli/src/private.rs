//! Files that only their owner may read.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::error::{CliError, CliResult};

/// Makes a folder, and those above it, for the owner alone; one that is there stays as it is.
pub(crate) fn make_folder(path: &Path) -> CliResult<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| CliError::io(&format!("make {}", path.display()), &error))
}

/// Writes a new file for the owner alone.
///
/// # Errors
/// Also when there is such a file: keys are never overwritten.
pub(crate) fn write(path: &Path, text: &str) -> CliResult<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::io(&format!("write {}", path.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_the_owner_reads_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/key");
        make_folder(path.parent().unwrap()).unwrap();
        write(&path, "secret").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(write(&path, "other").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
    }
}
