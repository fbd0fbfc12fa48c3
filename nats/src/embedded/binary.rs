//! Finding the server's program, and refusing one that is too old.

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest server this is made for: earlier ones lose acknowledged messages in ways that
/// are known and repaired.
pub const MINIMUM_VERSION: Version = Version {
    major: 2,
    minor: 15,
    patch: 1,
};

/// A server's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

impl Version {
    /// Reads `2.15.1`, also with a `v` before it or a suffix behind it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let numbers = text.split(['-', '+']).next()?;
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let version = Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
        };
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A program that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBinary {
    /// Where it is.
    pub path: PathBuf,
    /// What it says it is.
    pub version: Version,
}

/// Why there is no program to use.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// None was found.
    #[error("no nats-server found; looked at {}", looked.join(", "))]
    NotFound {
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// It cannot be run.
    #[error("{} cannot be run", path.display())]
    NotRunnable {
        /// The program.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It does not say its version.
    #[error("{} is no nats-server: it says {said:?}", path.display())]
    NotAServer {
        /// The program.
        path: PathBuf,
        /// What it printed.
        said: String,
    },
    /// It is too old.
    #[error("{} is version {found}; {MINIMUM_VERSION} or newer is needed", path.display())]
    TooOld {
        /// The program.
        path: PathBuf,
        /// Its version.
        found: Version,
    },
}

/// Finds a `nats-server` that is new enough.
///
/// It is taken from `wanted`; else from the variable `SKEIN_NATS_SERVER`; else the first that is
/// new enough on `PATH` or in `.tools/bin/` of this folder and those above it.
///
/// # Errors
/// [`BinaryError`]. A program that was named is not replaced by another one.
pub fn find_binary(wanted: Option<&Path>) -> Result<ServerBinary, BinaryError> {
    let named = wanted
        .map(Path::to_owned)
        .or_else(|| env::var_os("SKEIN_NATS_SERVER").map(PathBuf::from));
    if let Some(path) = named {
        return check(path);
    }
    let mut places: Vec<PathBuf> = env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .collect();
    if let Ok(here) = env::current_dir() {
        places.extend(here.ancestors().map(|folder| folder.join(".tools/bin")));
    }
    first_usable(places.into_iter().map(|folder| folder.join("nats-server")))
}

fn first_usable(candidates: impl Iterator<Item = PathBuf>) -> Result<ServerBinary, BinaryError> {
    let mut looked = vec![
        "$SKEIN_NATS_SERVER".to_owned(),
        "$PATH".to_owned(),
        ".tools/bin/".to_owned(),
    ];
    let mut too_old = None;
    for path in candidates.filter(|path| path.is_file()) {
        looked.push(path.display().to_string());
        match check(path) {
            Ok(binary) => return Ok(binary),
            Err(error @ BinaryError::TooOld { .. }) => too_old = too_old.or(Some(error)),
            Err(error) => tracing::debug!(%error, "not usable"),
        }
    }
    Err(too_old.unwrap_or(BinaryError::NotFound { looked }))
}

fn check(path: PathBuf) -> Result<ServerBinary, BinaryError> {
    let output = match Command::new(&path).arg("--version").output() {
        Ok(output) => output,
        Err(source) => return Err(BinaryError::NotRunnable { path, source }),
    };
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Some(version) = said.strip_prefix("nats-server:").and_then(Version::parse) else {
        return Err(BinaryError::NotAServer {
            path,
            said: said.chars().take(200).collect(),
        });
    };
    if version < MINIMUM_VERSION {
        return Err(BinaryError::TooOld {
            path,
            found: version,
        });
    }
    Ok(ServerBinary { path, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn program(folder: &Path, name: &str, says: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("executable");
        path
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text| Version::parse(text).expect("a version");
        assert!(version("v2.9.10") < version("2.15.1"));
        assert_eq!(version("2.15.1-RC.1"), MINIMUM_VERSION);
        for bad in ["", "2", "2.15", "2.15.x", "2.15.1.1", "two"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_old_server_is_passed_over_and_named_when_there_is_no_other() {
        let folder = tempfile::tempdir().expect("folder");
        let old = program(folder.path(), "old", "nats-server: v2.14.9");
        let other = program(folder.path(), "other", "something else");
        let new = program(folder.path(), "new", "nats-server: v2.16.0");
        let missing = folder.path().join("missing");
        let found =
            first_usable([missing.clone(), old.clone(), other.clone(), new.clone()].into_iter());
        assert_eq!(found.expect("found").path, new);
        assert!(
            matches!(first_usable([old.clone(), other].into_iter()), Err(BinaryError::TooOld { path, .. }) if path == old)
        );
        assert!(matches!(
            first_usable([missing.clone()].into_iter()),
            Err(BinaryError::NotFound { .. })
        ));
        assert!(matches!(
            find_binary(Some(&missing)),
            Err(BinaryError::NotRunnable { .. })
        ));
    }
}
