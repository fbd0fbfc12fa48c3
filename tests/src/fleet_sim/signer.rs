//! The hub's signing key, and the hub's habit of making messages with it.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer as _, SigningKey};
use skein_schema::desired::{DesiredHeader, DesiredMessage, signed_bytes};
use skein_schema::name::SetName;

use super::bus::Desired;

/// An Ed25519 key and its name.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    pub(super) id: String,
    key: SigningKey,
}

impl Signer {
    pub(super) fn new(id: &str, seed: [u8; 32]) -> Self {
        Self {
            id: id.to_owned(),
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// What a credential says of it.
    pub(super) fn public(&self) -> BTreeMap<String, String> {
        let public = BASE64URL_NOPAD.encode(self.key.verifying_key().as_bytes());
        BTreeMap::from([(self.id.clone(), public)])
    }

    /// A signed message.
    pub(super) fn sign(
        &self,
        set: SetName,
        header: DesiredHeader,
        message: &DesiredMessage,
    ) -> Desired {
        let body = serde_json::to_vec(message).expect("messages of the schema are JSON");
        let signature = self.key.sign(&signed_bytes(&header, &body));
        Desired {
            set,
            header,
            body,
            signature: BASE64URL_NOPAD.encode(&signature.to_bytes()),
        }
    }
}
