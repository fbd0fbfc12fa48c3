//! Ed25519 keys in NATS' text form, where the first letter tells what a key is for.
//!
//! The type of a key is part of its Rust type here: a user's key cannot sign an
//! account by mistake, and a seed of the wrong kind is refused when it is read.

use std::fmt;

use nkeys::{KeyPair, KeyPairType};

/// What a key is for; the letter its public form starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `O`: the root of trust of a bus; signs accounts.
    Operator,
    /// `A`: an account, or a key that signs users for it.
    Account,
    /// `U`: one client.
    User,
}

impl KeyKind {
    fn pair_type(self) -> KeyPairType {
        match self {
            Self::Operator => KeyPairType::Operator,
            Self::Account => KeyPairType::Account,
            Self::User => KeyPairType::User,
        }
    }

    /// The first letter of a public key of this kind.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Operator => 'O',
            Self::Account => 'A',
            Self::User => 'U',
        }
    }
}

/// A text that should have been a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key at all: a wrong checksum, length or alphabet.
    #[error("not a valid key")]
    Malformed(#[source] nkeys::error::Error),
    /// A key, but of another kind.
    #[error("the key is not of kind {wanted:?}")]
    WrongKind {
        /// What was needed.
        wanted: KeyKind,
    },
}

/// A private key, with its kind checked. Its `Debug` form shows the public half only.
pub struct Key {
    pair: KeyPair,
    public: String,
    seed: String,
}

impl Key {
    /// A new key from the operating system's randomness.
    #[must_use]
    pub fn generate(kind: KeyKind) -> Self {
        Self::from_pair(KeyPair::new(kind.pair_type()))
    }

    /// The key that these 32 bytes make: for tests that need the same key each time.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the bytes make no Ed25519 key.
    pub fn from_entropy(kind: KeyKind, entropy: [u8; 32]) -> Result<Self, KeyError> {
        KeyPair::new_from_raw(kind.pair_type(), entropy)
            .map(Self::from_pair)
            .map_err(KeyError::Malformed)
    }

    /// Reads a seed (`S…`) that must be of `kind`.
    ///
    /// # Errors
    /// [`KeyError`] when the text is no seed, or one of another kind.
    pub fn from_seed(kind: KeyKind, seed: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::from_seed(seed.trim()).map_err(KeyError::Malformed)?;
        let key = Self::from_pair(pair);
        check_kind(kind, &key.public)?;
        Ok(key)
    }

    fn from_pair(pair: KeyPair) -> Self {
        let public = pair.public_key();
        let seed = pair.seed().expect("a pair made from a seed holds it");
        Self { pair, public, seed }
    }

    /// The public half, in text form.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The private half, in text form. Never logged, never put on a command line.
    #[must_use]
    pub fn seed(&self) -> &str {
        &self.seed
    }

    /// The Ed25519 signature over `bytes`.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair
            .sign(bytes)
            .expect("a pair made from a seed can sign")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Key").field(&self.public).finish()
    }
}

/// Checks that `public` is a well-formed public key of `kind`.
///
/// # Errors
/// [`KeyError`] when it is not.
pub fn check_public(kind: KeyKind, public: &str) -> Result<(), KeyError> {
    KeyPair::from_public_key(public).map_err(KeyError::Malformed)?;
    check_kind(kind, public)
}

/// Whether `signature` over `bytes` was made by the holder of `public`.
#[must_use]
pub fn verify(public: &str, bytes: &[u8], signature: &[u8]) -> bool {
    KeyPair::from_public_key(public).is_ok_and(|pair| pair.verify(bytes, signature).is_ok())
}

fn check_kind(wanted: KeyKind, public: &str) -> Result<(), KeyError> {
    if public.starts_with(wanted.letter()) {
        Ok(())
    } else {
        Err(KeyError::WrongKind { wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_of_another_kind_is_refused() {
        let account = Key::from_entropy(KeyKind::Account, [1; 32]).expect("key");
        let refused = Key::from_seed(KeyKind::User, account.seed()).expect_err("an account's seed");
        assert!(matches!(
            refused,
            KeyError::WrongKind {
                wanted: KeyKind::User
            }
        ));
        assert!(matches!(
            Key::from_seed(KeyKind::User, "SUnonsense"),
            Err(KeyError::Malformed(_))
        ));
    }

    #[test]
    fn the_same_entropy_makes_the_same_key_and_debug_hides_the_seed() {
        let one = Key::from_entropy(KeyKind::User, [7; 32]).expect("key");
        let two = Key::from_seed(KeyKind::User, one.seed()).expect("key");
        assert_eq!(one.public(), two.public());
        assert!(one.public().starts_with('U'));
        assert!(!format!("{one:?}").contains(one.seed()));
    }

    #[test]
    fn verifying_accepts_the_signer_alone_and_never_panics() {
        let one = Key::from_entropy(KeyKind::User, [7; 32]).expect("key");
        let other = Key::from_entropy(KeyKind::User, [8; 32]).expect("key");
        let signature = one.sign(b"text");
        assert!(verify(one.public(), b"text", &signature));
        assert!(!verify(other.public(), b"text", &signature));
        assert!(!verify(one.public(), b"texT", &signature));
        assert!(!verify(one.public(), b"text", &signature[..63]));
        assert!(!verify("Unonsense", b"text", &signature));
    }
}
