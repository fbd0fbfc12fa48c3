//! What a client shows to be let in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::nkey::{Key, KeyError, KeyKind};
use crate::private_file::{self, FileError};

/// A user's token and the private key that proves it is theirs.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCredentials {
    /// The token.
    pub jwt: String,
    /// The private key's seed.
    pub seed: String,
}

impl fmt::Debug for UserCredentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UserCredentials").finish_non_exhaustive()
    }
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Their file cannot be read or trusted.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text has no token and seed between their marks.
    #[error("not a credentials file: no {missing} between its marks")]
    Form {
        /// What was not found.
        missing: &'static str,
    },
    /// The private key is damaged.
    #[error("the credentials' private key cannot be used")]
    Seed(#[source] KeyError),
    /// There are none (yet).
    #[error("there are no credentials: {reason}")]
    Missing {
        /// Why.
        reason: String,
    },
}

const JWT_MARKS: (&str, &str) = (
    "-----BEGIN NATS USER JWT-----",
    "------END NATS USER JWT------",
);
const SEED_MARKS: (&str, &str) = (
    "-----BEGIN USER NKEY SEED-----",
    "------END USER NKEY SEED------",
);

impl UserCredentials {
    /// Reads the text of a credentials file, as `nsc` and [`Self::to_text`] write it.
    ///
    /// # Errors
    /// [`CredentialError::Form`] or [`CredentialError::Seed`].
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let jwt = between(text, JWT_MARKS).ok_or(CredentialError::Form { missing: "token" })?;
        let seed = between(text, SEED_MARKS).ok_or(CredentialError::Form { missing: "seed" })?;
        Key::from_seed(KeyKind::User, seed).map_err(CredentialError::Seed)?;
        Ok(Self {
            jwt: jwt.to_owned(),
            seed: seed.to_owned(),
        })
    }

    /// The text of a credentials file.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n\n{}\n{}\n{}\n",
            JWT_MARKS.0, self.jwt, JWT_MARKS.1, SEED_MARKS.0, self.seed, SEED_MARKS.1
        )
    }

    /// Writes the text to a file that only the owner may read.
    ///
    /// # Errors
    /// [`FileError`] when the file system refuses.
    pub fn write(&self, path: &std::path::Path) -> Result<(), FileError> {
        private_file::write(path, self.to_text().as_bytes())
    }

    /// The user's public key.
    ///
    /// # Errors
    /// [`CredentialError::Seed`] when the seed is damaged.
    pub fn public_key(&self) -> Result<String, CredentialError> {
        let key = Key::from_seed(KeyKind::User, &self.seed).map_err(CredentialError::Seed)?;
        Ok(key.public().to_owned())
    }

    pub(crate) fn to_auth(&self, nonce: &[u8]) -> Result<async_nats::Auth, CredentialError> {
        let key = Key::from_seed(KeyKind::User, &self.seed).map_err(CredentialError::Seed)?;
        let mut auth = async_nats::Auth::new();
        auth.jwt = Some(self.jwt.clone());
        auth.signature = Some(key.sign(nonce));
        Ok(auth)
    }
}

fn between<'a>(text: &'a str, marks: (&str, &str)) -> Option<&'a str> {
    let (_, rest) = text.split_once(marks.0)?;
    let (inside, _) = rest.split_once(marks.1)?;
    Some(inside.trim()).filter(|inside| !inside.is_empty())
}

/// Something that knows the credentials of the moment, e.g. one that renews them.
pub trait CredentialSource: Send + Sync {
    /// The credentials to connect with now.
    ///
    /// # Errors
    /// [`CredentialError`] when there are none.
    fn current(&self) -> Result<UserCredentials, CredentialError>;
}

/// Where a connection takes its credentials from, each time it connects.
#[derive(Clone)]
pub enum Credentials {
    /// None: for a server without accounts.
    None,
    /// Always these.
    Fixed(UserCredentials),
    /// Whatever this file holds by then. It must be 0600.
    File(PathBuf),
    /// Whatever this says by then.
    Source(Arc<dyn CredentialSource>),
}

impl Credentials {
    /// The credentials of the moment.
    pub(crate) fn current(&self) -> Result<Option<UserCredentials>, CredentialError> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(credentials) => Ok(Some(credentials.clone())),
            Self::File(path) => UserCredentials::parse(&private_file::read(path)?).map(Some),
            Self::Source(source) => source.current().map(Some),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("None"),
            Self::Fixed(_) => out.write_str("Fixed"),
            Self::File(path) => out.debug_tuple("File").field(path).finish(),
            Self::Source(_) => out.write_str("Source"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_is_read_back_and_a_damaged_one_refused() {
        let key = Key::from_entropy(KeyKind::User, [1; 32]).expect("key");
        let credentials = UserCredentials {
            jwt: "a.b.c".to_owned(),
            seed: key.seed().to_owned(),
        };
        let text = credentials.to_text();
        assert_eq!(
            UserCredentials::parse(&text).expect("readable"),
            credentials
        );
        assert!(matches!(
            UserCredentials::parse(""),
            Err(CredentialError::Form { missing: "token" })
        ));
        let without = text.replace(key.seed(), "");
        assert!(matches!(
            UserCredentials::parse(&without),
            Err(CredentialError::Form { missing: "seed" })
        ));
        let damaged = text.replace(key.seed(), "SUxx");
        assert!(matches!(
            UserCredentials::parse(&damaged),
            Err(CredentialError::Seed(_))
        ));
        assert!(!format!("{credentials:?}").contains(key.seed()));
    }
}
