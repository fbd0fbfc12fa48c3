//! Sealing the payload of Secrets to one cluster: an X25519 sealed box (as libsodium's
//! `crypto_box_seal`) over the members that hold it. Bus and ledger only ever see the result; only
//! the agent that made the key can open it.
//!
//! Sealing takes its randomness from a secret seed of the caller and from the content, so that the
//! same user sealing the same Secret to the same cluster gets the same bytes: applying a file again
//! changes nothing. Who does not have the seed learns nothing, not even whether two Secrets of
//! different users are equal.

use crypto_box::aead::rand_core::SeedableRng as _;
use data_encoding::BASE64;
use rand_chacha::ChaCha20Rng;
use serde_json::{Map, Value};

use crate::digest::{Digest, canonical_json};
use crate::kind::manifest::{LAST_APPLIED, PAYLOAD, SEALED_KEY, Sealed, has_payload};

pub use crate::kind::manifest::is_open_secret;

pub use crypto_box::{PublicKey, SecretKey};

/// A Secret that cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It has no payload, or is sealed already.
    #[error("the manifest is not a Secret with a payload to seal")]
    NotOpen,
    /// The cipher refused.
    #[error("the payload cannot be encrypted")]
    Cipher,
}

/// A sealed Secret that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not sealed, or its seal cannot be read.
    #[error("the manifest has no seal that can be read")]
    NotSealed,
    /// It is sealed to another key.
    #[error("the Secret is sealed to key {recipient}, ours is {ours}")]
    OtherRecipient {
        /// Id of the key it is sealed to.
        recipient: String,
        /// Id of the key at hand.
        ours: String,
    },
    /// It was changed on the way, or the key does not fit its id.
    #[error("the seal is broken")]
    Broken,
}

/// The id that a seal names its recipient by: the first 16 hexadecimal digits of the SHA-256 of the
/// public key.
#[must_use]
pub fn recipient_key_id(key: &PublicKey) -> String {
    let mut id = Digest::of(key.as_bytes()).to_string();
    id.truncate(16);
    id
}

/// Seals the payload of `secret` to `recipient`; everything else stays readable, but for the copy of
/// the payload that `kubectl apply` keeps in an annotation: that is dropped.
///
/// # Errors
/// When there is no payload to seal, as in a List, whose Secrets are not looked at.
pub fn seal(
    secret: &Map<String, Value>,
    recipient: &PublicKey,
    seed: &[u8; 32],
) -> Result<Map<String, Value>, SealError> {
    if secret.contains_key(SEALED_KEY) || !has_payload(secret) {
        return Err(SealError::NotOpen);
    }
    let mut sealed = secret.clone();
    let mut payload = Map::new();
    for member in PAYLOAD {
        if let Some(value) = sealed.remove(member) {
            payload.insert(member.to_owned(), value);
        }
    }
    drop_last_applied(&mut sealed);
    let plaintext = canonical_json(&Value::Object(payload));
    let mut source = b"skein-seal/1\n".to_vec();
    source.extend(seed);
    source.extend(recipient.as_bytes());
    source.extend(&plaintext);
    let mut random = ChaCha20Rng::from_seed(*Digest::of(&source).as_bytes());
    let ciphertext = recipient
        .seal(&mut random, &plaintext)
        .map_err(|_| SealError::Cipher)?;
    let seal = Sealed {
        recipient_key_id: recipient_key_id(recipient),
        ciphertext: BASE64.encode(&ciphertext),
    };
    let seal = serde_json::to_value(seal).expect("a seal is two texts");
    sealed.insert(SEALED_KEY.to_owned(), seal);
    Ok(sealed)
}

fn drop_last_applied(secret: &mut Map<String, Value>) {
    let Some(Value::Object(metadata)) = secret.get_mut("metadata") else {
        return;
    };
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else {
        return;
    };
    annotations.remove(LAST_APPLIED);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// Opens a sealed Secret with the cluster's key: the Secret as it was written.
///
/// # Errors
/// When it is not sealed, sealed to another key, or was changed.
pub fn open(sealed: &Map<String, Value>, key: &SecretKey) -> Result<Map<String, Value>, OpenError> {
    let seal = sealed
        .get(SEALED_KEY)
        .cloned()
        .ok_or(OpenError::NotSealed)?;
    let seal: Sealed = serde_json::from_value(seal).map_err(|_| OpenError::NotSealed)?;
    let ours = recipient_key_id(&key.public_key());
    if seal.recipient_key_id != ours {
        return Err(OpenError::OtherRecipient {
            recipient: seal.recipient_key_id,
            ours,
        });
    }
    let ciphertext = BASE64
        .decode(seal.ciphertext.as_bytes())
        .map_err(|_| OpenError::NotSealed)?;
    let plaintext = key.unseal(&ciphertext).map_err(|_| OpenError::Broken)?;
    let payload: Map<String, Value> =
        serde_json::from_slice(&plaintext).map_err(|_| OpenError::Broken)?;
    let mut open = sealed.clone();
    open.remove(SEALED_KEY);
    open.extend(
        payload
            .into_iter()
            .filter(|(member, _)| PAYLOAD.contains(&member.as_str())),
    );
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from([byte; 32])
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else {
            panic!("{value}")
        };
        object
    }

    fn secret() -> Map<String, Value> {
        object(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque",
            "data": {"k": "dg=="}, "stringData": {"p": "correct-horse"},
        }))
    }

    #[test]
    fn only_the_recipient_opens_and_gets_what_was_written() {
        let sealed = seal(&secret(), &key(1).public_key(), &[7; 32]).unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("horse"));
        assert_eq!(sealed["type"], "Opaque");
        assert_eq!(open(&sealed, &key(1)), Ok(secret()));
        assert!(matches!(
            open(&sealed, &key(2)),
            Err(OpenError::OtherRecipient { .. })
        ));
    }

    #[test]
    fn sealing_again_gives_the_same_bytes_and_another_seed_others() {
        let seal = |seed, to: u8| {
            seal(&secret(), &key(to).public_key(), &[seed; 32]).unwrap()[SEALED_KEY].clone()
        };
        assert_eq!(seal(7, 1), seal(7, 1));
        assert_ne!(seal(7, 1)["ciphertext"], seal(8, 1)["ciphertext"]);
        assert_ne!(seal(7, 1)["ciphertext"], seal(7, 2)["ciphertext"]);
    }

    #[test]
    fn a_changed_seal_is_broken() {
        let mut sealed = seal(&secret(), &key(1).public_key(), &[7; 32]).unwrap();
        let text = sealed[SEALED_KEY]["ciphertext"].as_str().unwrap();
        let mut bytes = BASE64.decode(text.as_bytes()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        sealed[SEALED_KEY]["ciphertext"] = BASE64.encode(&bytes).into();
        assert_eq!(open(&sealed, &key(1)), Err(OpenError::Broken));
        assert_eq!(open(&secret(), &key(1)), Err(OpenError::NotSealed));
    }

    #[test]
    fn what_has_no_payload_is_not_sealed() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret()]});
        for manifest in [json!({"kind": "Secret"}), list] {
            assert_eq!(
                seal(&object(manifest), &key(1).public_key(), &[7; 32]),
                Err(SealError::NotOpen)
            );
        }
    }

    #[test]
    fn the_copy_that_kubectl_keeps_is_not_left_beside_the_seal() {
        let mut copied = secret();
        let copy = serde_json::to_string(&copied).unwrap();
        copied["metadata"]["annotations"] = json!({LAST_APPLIED: copy, "team": "shop"});
        let sealed = seal(&copied, &key(1).public_key(), &[7; 32]).unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("horse"));
        assert_eq!(sealed["metadata"]["annotations"], json!({"team": "shop"}));

        copied["metadata"]["annotations"] = json!({LAST_APPLIED: copy});
        let sealed = seal(&copied, &key(1).public_key(), &[7; 32]).unwrap();
        assert_eq!(sealed["metadata"], json!({"name": "a"}));
        assert_eq!(open(&sealed, &key(1)), Ok(secret()));
    }
}
