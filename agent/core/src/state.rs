//! The fold of desired messages: what the hub wants of this cluster, as far as it is known here.
//!
//! A message counts only if the hub signed it for this cluster and it is the next one. So the
//! state is at every moment one that the hub itself had, whatever the bus drops, repeats, reorders
//! or makes up.

mod accept;
mod snapshot;

use serde::{Deserialize, Serialize};
use skein_schema::desired::{ClusterSettings, DesiredWork};
use skein_schema::name::{ClusterName, ObjectName, SetName};
use snapshot::Assembly;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What the hub wants of one cluster. Serialised, it is the agent's journal; a half received
/// snapshot is not part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredState {
    cluster: ClusterName,
    rev: u64,
    /// The ledger sequence that `rev` stands for. The state may be of a later moment.
    rev_sequence: u64,
    /// The ledger sequence that the state includes.
    sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<ClusterSettings>,
    works: BTreeMap<ObjectName, HeldWork>,
    /// Public keys of the hub by id, Ed25519, base64url without padding.
    keys: BTreeMap<String, String>,
    #[serde(skip)]
    assembly: Option<Assembly>,
}

/// A work as the hub wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldWork {
    /// The work.
    pub work: Box<DesiredWork>,
    /// It is to go. It stays here until the hub has heard that it is gone.
    pub removing: bool,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Acceptance {
    /// The state changed.
    Applied(Applied),
    /// A part of a snapshot; the state changes with the last one.
    Partial {
        /// The part's number, from 0.
        part: u32,
        /// How many there are.
        parts: u32,
    },
    /// Older than what is known: a repetition, no reason to do anything.
    Stale {
        /// The revision that is known.
        have: u64,
        /// The message's revision.
        got: u64,
    },
    /// Messages between are missing: ask the hub for what came after `have`.
    Gap {
        /// The revision that is known.
        have: u64,
        /// The message's revision.
        got: u64,
    },
    /// Not the hub's word. Nothing changed.
    Rejected(Rejection),
}

/// What a message changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// The revision that is known now.
    pub rev: u64,
    /// Works to look at: new, changed or to be removed.
    pub touched: BTreeSet<ObjectName>,
    /// Works that the hub no longer knows. What is left of them on the cluster is nobody's.
    pub forgotten: Vec<(ObjectName, Uuid)>,
    /// Works that are to be removed and were never here: report them as removed.
    pub unknown: Vec<(ObjectName, Uuid)>,
    /// The settings changed.
    pub settings: bool,
    /// The subject changed: that of this set holds from here on, and begins with a snapshot.
    pub moved: Option<SetName>,
    /// The whole state was replaced.
    pub snapshot: bool,
    /// W3C trace context of the command that led here.
    pub traceparent: Option<String>,
}

/// Why a message is not the hub's word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is for another cluster.
    #[error("it is for cluster {0}")]
    WrongCluster(ClusterName),
    /// Signed by a key that the hub has not announced. Catching up or renewing the credential
    /// brings the announcement.
    #[error("it is signed by the unknown key {0}")]
    UnknownKey(String),
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// It is signed, but cannot be read: the hub is newer than this agent.
    #[error("its body cannot be read: {0}")]
    Body(String),
    /// It is signed, but its numbers contradict what is known.
    #[error("revision {rev} after {previous} does not follow {have}")]
    Order {
        /// The revision that is known.
        have: u64,
        /// The revision that the message says it follows.
        previous: u64,
        /// The message's revision.
        rev: u64,
    },
}

impl DesiredState {
    /// Nothing is known yet. `keys` are the hub's signing keys from the credential: Ed25519 public
    /// keys in base64url without padding, by id.
    #[must_use]
    pub fn new(cluster: ClusterName, keys: BTreeMap<String, String>) -> Self {
        let works = BTreeMap::new();
        Self {
            cluster,
            rev: 0,
            rev_sequence: 0,
            sequence: 0,
            settings: None,
            works,
            keys,
            assembly: None,
        }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The newest revision that is known.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// The ledger sequence that the state includes.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How the agent is to behave; nothing before the hub has said so.
    #[must_use]
    pub fn settings(&self) -> Option<&ClusterSettings> {
        self.settings.as_ref()
    }

    /// The works by name.
    #[must_use]
    pub fn works(&self) -> &BTreeMap<ObjectName, HeldWork> {
        &self.works
    }

    /// One work.
    #[must_use]
    pub fn work(&self, name: &ObjectName) -> Option<&HeldWork> {
        self.works.get(name)
    }

    /// The hub's signing keys by id.
    #[must_use]
    pub fn keys(&self) -> &BTreeMap<String, String> {
        &self.keys
    }

    /// Trusts these keys and no others: what a fresh credential names.
    pub fn trust(&mut self, keys: BTreeMap<String, String>) {
        self.keys = keys;
    }
}

#[cfg(test)]
mod tests;
