//! The key that desired-state messages are signed with.
//!
//! An agent obeys what this key signed and nothing else, so all replicas of a hub share it (the
//! `keys` folder) and it is kept like the operator's keys: a file of mode 0600.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use skein_schema::desired::{DesiredHeader, headers, signed_bytes};
use skein_schema::digest::Digest;

use crate::private_file::{self, FileError};

/// File name of the seed in the keys folder.
pub const FILE: &str = "signing.seed";
/// Bytes of the public key's digest that make its id.
const ID_BYTES: usize = 8;

/// The signing key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no seed.
    #[error("{} is not a signing key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness to make a key of.
    #[error("the system gives no randomness")]
    Randomness,
}

/// The hub's Ed25519 key for desired-state messages.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    id: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key in `folder`, made there when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, written, or is damaged.
    pub fn open_or_create(folder: &Path) -> Result<Self, SigningError> {
        let path = folder.join(FILE);
        let text = private_file::read_or_create(&path, || {
            let mut seed = [0; 32];
            SystemRandom::new()
                .fill(&mut seed)
                .map_err(|_| SigningError::Randomness)?;
            Ok::<_, SigningError>(HEXLOWER.encode(&seed))
        })?;
        let seed = HEXLOWER
            .decode(text.trim().as_bytes())
            .map_err(|_| SigningError::Damaged { path: path.clone() })?;
        Self::from_seed(&seed).ok_or(SigningError::Damaged { path })
    }

    /// The key of a seed of 32 bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let digest = Digest::of(pair.public_key().as_ref());
        Some(Self {
            id: HEXLOWER.encode(&digest.as_bytes()[..ID_BYTES]),
            pair,
        })
    }

    /// The id that messages name the key by: the start of the public key's SHA-256.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, base64url without padding.
    #[must_use]
    pub fn public(&self) -> String {
        BASE64URL_NOPAD.encode(self.pair.public_key().as_ref())
    }

    /// The signature header's value for a message with this header and body.
    #[must_use]
    pub fn sign(&self, header: &DesiredHeader, body: &[u8]) -> String {
        BASE64URL_NOPAD.encode(self.pair.sign(&signed_bytes(header, body)).as_ref())
    }

    /// All headers of a desired message, signature included.
    #[must_use]
    pub fn signed_headers(
        &self,
        header: &DesiredHeader,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let mut pairs = header.to_headers();
        pairs.push((headers::SIGNATURE, self.sign(header, body)));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};
    use skein_schema::name::ClusterName;

    fn header(key: &SigningKey) -> DesiredHeader {
        let cluster = ClusterName::new("c1").unwrap();
        DesiredHeader {
            cluster,
            rev: 2,
            previous: 1,
            sequence: 9,
            key_id: key.id().to_owned(),
        }
    }

    #[test]
    fn a_signature_holds_for_its_message_alone() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let header = header(&key);
        let signature = BASE64URL_NOPAD
            .decode(key.sign(&header, b"{}").as_bytes())
            .unwrap();
        let public = BASE64URL_NOPAD.decode(key.public().as_bytes()).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, public);
        assert!(
            public
                .verify(&signed_bytes(&header, b"{}"), &signature)
                .is_ok()
        );
        let other = DesiredHeader { rev: 3, ..header };
        assert!(
            public
                .verify(&signed_bytes(&other, b"{}"), &signature)
                .is_err()
        );
        assert!(
            public
                .verify(&signed_bytes(&other, b"[]"), &signature)
                .is_err()
        );
    }

    #[test]
    fn the_key_is_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let made = SigningKey::open_or_create(folder.path()).unwrap();
        assert_eq!(
            SigningKey::open_or_create(folder.path()).unwrap().public(),
            made.public()
        );
        std::fs::write(folder.path().join(FILE), "zz").unwrap();
        assert!(matches!(
            SigningKey::open_or_create(folder.path()),
            Err(SigningError::Damaged { .. })
        ));
    }
}
