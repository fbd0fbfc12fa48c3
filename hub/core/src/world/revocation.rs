//! Keys whose credentials were revoked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Revoked keys, each until its last credential would have ended anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Revocations(BTreeMap<String, Revocation>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Revocation {
    /// Credentials issued up to then are void.
    at: Timestamp,
    /// The last of them has ended by itself by then.
    until: Timestamp,
}

impl Revocations {
    pub(crate) fn revoke(&mut self, nkey: &str, at: Timestamp, until: Timestamp) {
        let entry = self
            .0
            .entry(nkey.to_owned())
            .or_insert(Revocation { at, until });
        entry.at = entry.at.max(at);
        entry.until = entry.until.max(until);
    }

    /// Drops what has no credential left to be void.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, revocation| revocation.until >= now);
    }

    pub(crate) fn current(&self) -> BTreeMap<String, Timestamp> {
        self.0
            .iter()
            .map(|(nkey, revocation)| (nkey.clone(), revocation.at))
            .collect()
    }
}
