//! What the hub gave this agent, kept in the state folder. It holds no private key.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_nats::connect::{CredentialError, CredentialSource, UserCredentials};
use skein_nats::jwt::{Token, UserClaims};
use skein_schema::join::Credential;
use skein_schema::name::ClusterName;

use crate::keys::Keys;
use crate::state_dir::{StateDir, StateDirError};

const FILE: &str = "credential.json";

/// The stored credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialStoreError {
    /// The file cannot be read or written.
    #[error("the credential cannot be kept")]
    Storage(#[from] StateDirError),
    /// The file is not what the agent writes.
    #[error("the credential file is damaged")]
    Damaged(#[source] serde_json::Error),
    /// The state folder belongs to an agent of another cluster.
    #[error("the state folder is of cluster {found}, not {wanted}")]
    OtherCluster {
        /// The cluster it is of.
        found: ClusterName,
        /// The cluster that was named.
        wanted: ClusterName,
    },
}

/// A membership: the credential and how to use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// What the hub issued.
    pub credential: Credential,
    /// When it came, by this machine's clock.
    pub received_at: Timestamp,
    /// Where the bus is.
    pub servers: Vec<String>,
    /// PEM of the bus's certificate authority, if it is not a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus_authority: Option<String>,
}

impl Membership {
    /// When to renew, by this machine's clock, with `left` (0.2 to 0.25) of the life left over.
    ///
    /// The life's length is the hub's (end minus issue, both by its clock), its start is when the
    /// credential came here: a wrong clock on this machine does not matter.
    #[must_use]
    pub fn renew_at(&self, left: f64) -> Timestamp {
        let token = Token::<UserClaims>::read(&self.credential.jwt);
        let issued = token
            .ok()
            .and_then(|token| Timestamp::from_second(token.iat).ok());
        let life = self
            .credential
            .expires_at
            .duration_since(issued.unwrap_or(self.received_at));
        let life = Duration::try_from(life).unwrap_or_default();
        self.received_at
            .checked_add(life.mul_f64(1.0 - left))
            .unwrap_or(Timestamp::MAX)
    }
}

/// The current membership, shared by the connection, which asks for it at each connect.
pub struct CredentialStore {
    dir: StateDir,
    keys: Arc<Keys>,
    current: RwLock<Option<Membership>>,
}

impl CredentialStore {
    /// Reads what is stored. `wanted` is the cluster that the operator named, if any.
    ///
    /// # Errors
    /// When the file cannot be read or is of another cluster.
    pub fn open(
        dir: &StateDir,
        keys: Arc<Keys>,
        wanted: Option<&ClusterName>,
    ) -> Result<Self, CredentialStoreError> {
        let current: Option<Membership> = match dir.read(FILE)? {
            Some(bytes) => {
                Some(serde_json::from_slice(&bytes).map_err(CredentialStoreError::Damaged)?)
            }
            None => None,
        };
        if let (Some(found), Some(wanted)) =
            (current.as_ref().map(|m| &m.credential.cluster), wanted)
            && found != wanted
        {
            return Err(CredentialStoreError::OtherCluster {
                found: found.clone(),
                wanted: wanted.clone(),
            });
        }
        Ok(Self {
            dir: dir.clone(),
            keys,
            current: RwLock::new(current),
        })
    }

    /// The membership, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<Membership> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stores a membership; only then it is used.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, membership: Membership) -> Result<(), CredentialStoreError> {
        let bytes = serde_json::to_vec(&membership).expect("a membership is JSON");
        self.dir.write(FILE, &bytes)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(membership);
        Ok(())
    }

    /// Forgets the membership: the hub has ended it.
    ///
    /// # Errors
    /// When the file stays.
    pub fn clear(&self) -> Result<(), CredentialStoreError> {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(self.dir.remove(FILE)?)
    }
}

impl CredentialSource for CredentialStore {
    fn current(&self) -> Result<UserCredentials, CredentialError> {
        match CredentialStore::current(self) {
            Some(membership) => Ok(UserCredentials {
                jwt: membership.credential.jwt,
                seed: self.keys.nkey_seed().to_owned(),
            }),
            None => Err(CredentialError::Missing {
                reason: "the hub has ended them".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_schema::name::SetName;
    use std::collections::BTreeMap;

    fn membership() -> Membership {
        let received_at: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        Membership {
            credential: Credential {
                cluster: ClusterName::new("c1").unwrap(),
                hub_id: "h".into(),
                jwt: "not.a.jwt".into(),
                expires_at: "2026-11-24T10:00:00Z".parse().unwrap(),
                certificate: None,
                certificate_authority: None,
                signing_keys: BTreeMap::new(),
                clusterset: SetName::default_set(),
            },
            received_at,
            servers: vec!["nats://127.0.0.1:4222".into()],
            bus_authority: None,
        }
    }

    #[test]
    fn a_membership_is_kept_over_a_restart_and_forgotten_on_demand() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        let keys = Arc::new(Keys::load_or_create(&dir).unwrap());
        let open =
            |wanted: Option<&ClusterName>| CredentialStore::open(&dir, Arc::clone(&keys), wanted);
        open(None).unwrap().store(membership()).unwrap();
        let c1 = ClusterName::new("c1").unwrap();
        let store = open(Some(&c1)).unwrap();
        assert_eq!(store.current(), Some(membership()));
        assert_eq!(
            CredentialSource::current(&store).unwrap().seed,
            keys.nkey_seed()
        );
        let other = ClusterName::new("c2").unwrap();
        assert!(matches!(
            open(Some(&other)),
            Err(CredentialStoreError::OtherCluster { .. })
        ));
        store.clear().unwrap();
        assert!(CredentialSource::current(&store).is_err());
        assert_eq!(open(None).unwrap().current(), None);
    }

    #[test]
    fn renewal_is_due_when_the_given_share_of_the_life_is_left() {
        assert_eq!(
            membership().renew_at(0.25).to_string(),
            "2026-11-24T04:00:00Z"
        );
        assert_eq!(
            membership().renew_at(0.2).to_string(),
            "2026-11-24T05:12:00Z"
        );
    }
}
