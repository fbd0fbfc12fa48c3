//! The agent's private keys. They are made here, kept in the state folder, and never leave it; the
//! hub only learns the public halves.

use data_encoding::BASE64;
use rand::RngCore as _;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skein_nats::nkey::{Key, KeyError, KeyKind};
use skein_schema::event::AgentKeys;
use skein_schema::kind::manifest::SEALED_KEY;
use skein_schema::name::ClusterName;
use skein_schema::seal::{self, OpenError, SecretKey};

use crate::state_dir::{StateDir, StateDirError};

const FILE: &str = "keys.json";

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("the agent's keys cannot be kept")]
    Storage(#[from] StateDirError),
    /// The file is not what the agent writes.
    #[error("the agent's key file is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A certificate request could not be made.
    #[error("no certificate request can be made for cluster {cluster}")]
    CertificateRequest {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// The private keys.
pub struct Keys {
    nkey: Key,
    sealing: SecretKey,
    certificate: KeyPair,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    nkey_seed: String,
    sealing_key: String,
    certificate_key: String,
}

impl Keys {
    /// The keys in the folder, or new ones.
    ///
    /// # Errors
    /// When the file cannot be read, written, or is damaged.
    pub fn load_or_create(dir: &StateDir) -> Result<Self, KeysError> {
        if let Some(bytes) = dir.read(FILE)? {
            return Self::decode(&bytes);
        }
        let keys = Self {
            nkey: Key::generate(KeyKind::User),
            sealing: sealing_key(),
            certificate: KeyPair::generate().map_err(|error| KeysError::Damaged(error.into()))?,
        };
        dir.write(FILE, &keys.encode())?;
        Ok(keys)
    }

    fn encode(&self) -> Vec<u8> {
        let file = File {
            nkey_seed: self.nkey.seed().to_owned(),
            sealing_key: BASE64.encode(&self.sealing.to_bytes()),
            certificate_key: self.certificate.serialize_pem(),
        };
        serde_json::to_vec(&file).expect("three texts are JSON")
    }

    fn decode(bytes: &[u8]) -> Result<Self, KeysError> {
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| KeysError::Damaged(error.into()))?;
        let sealing = BASE64
            .decode(file.sealing_key.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| KeysError::Damaged("the sealing key has not 32 bytes".into()))?;
        Ok(Self {
            nkey: Key::from_seed(KeyKind::User, &file.nkey_seed)
                .map_err(|error: KeyError| KeysError::Damaged(error.into()))?,
            sealing: sealing.into(),
            certificate: KeyPair::from_pem(&file.certificate_key)
                .map_err(|error| KeysError::Damaged(error.into()))?,
        })
    }

    /// The seed of the NATS key, for the connection alone.
    #[must_use]
    pub fn nkey_seed(&self) -> &str {
        self.nkey.seed()
    }

    /// The public halves, with a request for a client certificate in the cluster's name.
    ///
    /// # Errors
    /// When the request cannot be made.
    pub fn public(&self, cluster: &ClusterName) -> Result<AgentKeys, KeysError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, cluster.as_str());
        let request = params
            .serialize_request(&self.certificate)
            .and_then(|request| request.pem())
            .map_err(|source| KeysError::CertificateRequest {
                cluster: cluster.clone(),
                source,
            })?;
        Ok(AgentKeys {
            nkey: self.nkey.public().to_owned(),
            sealing_key: Some(BASE64.encode(self.sealing.public_key().as_bytes())),
            certificate_request: Some(request),
        })
    }

    /// A manifest with its payload opened, if it is sealed; any other as it is.
    ///
    /// # Errors
    /// When the payload was not sealed to this agent's key, or was changed since.
    pub fn open(&self, manifest: Map<String, Value>) -> Result<Map<String, Value>, OpenError> {
        if manifest.contains_key(SEALED_KEY) {
            seal::open(&manifest, &self.sealing)
        } else {
            Ok(manifest)
        }
    }
}

fn sealing_key() -> SecretKey {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    SecretKey::from(bytes)
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("nkey", &self.nkey.public())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_stay() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let cluster = ClusterName::new("c1").unwrap();
        let made = Keys::load_or_create(&dir).unwrap();
        let read = Keys::load_or_create(&dir).unwrap();
        let (made_public, read_public) = (
            made.public(&cluster).unwrap(),
            read.public(&cluster).unwrap(),
        );
        assert_eq!(
            (&made_public.nkey, &made_public.sealing_key),
            (&read_public.nkey, &read_public.sealing_key)
        );
        assert!(
            made_public
                .certificate_request
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE REQUEST")
        );
        assert!(!format!("{made:?}").contains(made.nkey_seed()));
        dir.write(FILE, b"{}").unwrap();
        assert!(matches!(
            Keys::load_or_create(&dir),
            Err(KeysError::Damaged(_))
        ));
    }

    #[test]
    fn what_was_sealed_to_the_key_opens_and_other_manifests_stay() {
        let root = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(&StateDir::open(root.path()).unwrap()).unwrap();
        let public = keys
            .public(&ClusterName::new("c1").unwrap())
            .unwrap()
            .sealing_key
            .unwrap();
        let public: [u8; 32] = BASE64
            .decode(public.as_bytes())
            .unwrap()
            .try_into()
            .unwrap();
        let secret =
            serde_json::json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "Yg=="}});
        let secret = secret.as_object().unwrap();
        let sealed = seal::seal(secret, &public.into(), &[1; 32]).unwrap();
        assert_eq!(keys.open(sealed.clone()).as_ref(), Ok(secret));
        assert_eq!(keys.open(secret.clone()).as_ref(), Ok(secret));
        let other = seal::seal(secret, &SecretKey::from([9; 32]).public_key(), &[1; 32]).unwrap();
        assert!(matches!(
            keys.open(other),
            Err(OpenError::OtherRecipient { .. })
        ));
    }
}
