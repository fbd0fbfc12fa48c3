//! What an agent must still know after a restart, also without the hub: what is wanted of the
//! cluster, what was last reported, and what has yet to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_agent_core::state::DesiredState;
use skein_schema::join::Credential;
use skein_schema::name::ObjectName;
use skein_schema::status::{ClusterReport, WorkReport};

use crate::outbox::Outbox;
use crate::state_dir::{StateDir, StateDirError};

const DESIRED: &str = "desired.json";
const REPORTED: &str = "reported.json";

/// What is wanted, and by whom.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DesiredFile<S> {
    hub_id: String,
    state: S,
}

/// What was and has to be reported.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// The newest report of each work, sent or not.
    pub works: BTreeMap<ObjectName, WorkReport>,
    /// The newest report of the cluster, sent or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterReport>,
    /// What the hub has not confirmed.
    pub outbox: Outbox,
}

/// The journal's files.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: StateDir,
    hub_id: String,
}

impl Journal {
    /// The journal about one hub, below the state folder.
    #[must_use]
    pub fn new(dir: StateDir, hub_id: String) -> Self {
        Self { dir, hub_id }
    }

    /// What was written last. A file that is damaged or about another hub counts as none: the hub
    /// sends everything again, and what is owned stands on the cluster.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn load(&self, credential: &Credential) -> Result<(DesiredState, Reported), StateDirError> {
        let fresh =
            || DesiredState::new(credential.cluster.clone(), credential.signing_keys.clone());
        let file: Option<DesiredFile<DesiredState>> = self.read(DESIRED)?;
        let Some(file) = file.filter(|file| file.hub_id == self.hub_id) else {
            return Ok((fresh(), Reported::default()));
        };
        let mut state = file.state;
        if *state.cluster() != credential.cluster {
            return Ok((fresh(), Reported::default()));
        }
        // The hub may have handed on its trust to another key since the credential was issued.
        let mut keys = credential.signing_keys.clone();
        keys.extend(state.keys().clone());
        state.trust(keys);
        Ok((state, self.read(REPORTED)?.unwrap_or_default()))
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, StateDirError> {
        let Some(bytes) = self.dir.read(name)? else {
            return Ok(None);
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                tracing::error!(file = name, %error, "the journal is damaged; the hub will be asked for everything");
                Ok(None)
            }
        }
    }

    /// Writes what is wanted.
    ///
    /// # Errors
    /// When the disk fails; the old file is there then.
    pub fn write_desired(&self, state: &DesiredState) -> Result<(), StateDirError> {
        let file = DesiredFile {
            hub_id: self.hub_id.clone(),
            state,
        };
        self.dir.write(
            DESIRED,
            &serde_json::to_vec(&file).expect("a desired state is JSON"),
        )
    }

    /// Writes what was and has to be reported.
    ///
    /// # Errors
    /// When the disk fails; the old file is there then.
    pub fn write_reported(&self, reported: &Reported) -> Result<(), StateDirError> {
        self.dir.write(
            REPORTED,
            &serde_json::to_vec(reported).expect("reports are JSON"),
        )
    }

    /// Forgets everything: the hub has ended the membership.
    ///
    /// # Errors
    /// When a file stays.
    pub fn clear(&self) -> Result<(), StateDirError> {
        self.dir.remove(DESIRED)?;
        self.dir.remove(REPORTED)
    }
}
