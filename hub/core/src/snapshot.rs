//! Folded state as bytes: a hub that starts reads it and then only the ledger's tail.
//!
//! A snapshot is disposable. Folding a snapshot's tail gives the same bytes as folding everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_schema::name::{ClusterName, ObjectName, TokenName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::Resource;

use crate::merge::Owners;
use crate::observed::Observed;
use crate::world::{
    ClusterRecord, DecisionRecord, Decisions, Entry, Gone, Membership, Outcomes, Revocations,
    SetRecord, TokenRecord, World,
};

/// The version of the format that this build writes, and the only one it reads: an older snapshot
/// is thrown away and the ledger is read instead.
pub const VERSION: u32 = 3;

/// Bytes that are no snapshot of this version.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes cannot be read.
    #[error("the snapshot cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// Another version wrote it.
    #[error("the snapshot has version {found}; this build reads {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// An object in it has no name.
    #[error("the snapshot holds an object without a name")]
    Unnamed,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: u32,
    sequence: u64,
    time: Timestamp,
    /// With the time at which somebody last wanted something else of them.
    objects: Vec<(Timestamp, Arc<Resource>)>,
    gone: Gone,
    clusters: BTreeMap<ClusterName, Arc<ClusterRecord>>,
    tokens: BTreeMap<TokenName, Arc<TokenRecord>>,
    sets: BTreeMap<ObjectName, SetRecord>,
    gone_sets: BTreeMap<ObjectName, Timestamp>,
    decisions: Vec<Arc<DecisionRecord>>,
    revocations: Revocations,
    outcomes: Outcomes,
    observed: Observed,
}

/// Both folds as bytes. Equal folds give equal bytes.
///
/// # Panics
/// Never: both are made of types that JSON can hold.
#[must_use]
pub fn encode(world: &World, observed: &Observed) -> Vec<u8> {
    let with_owners = |entry: &Entry| {
        let entries = Owners::entries(&entry.owners);
        if entries.is_none() {
            return (entry.changed, Arc::clone(&entry.resource));
        }
        let mut resource = (*entry.resource).clone();
        resource.metadata_mut().managed_fields = entries;
        (entry.changed, Arc::new(resource))
    };
    let (sets, gone_sets) = world.membership.to_parts();
    let wire = Wire {
        version: VERSION,
        sequence: world.sequence,
        time: world.time,
        objects: world.objects.values().map(with_owners).collect(),
        gone: world.gone.clone(),
        clusters: world.clusters.clone(),
        tokens: world.tokens.clone(),
        sets,
        gone_sets,
        decisions: world.decisions.records().values().cloned().collect(),
        revocations: world.revocations.clone(),
        outcomes: world.outcomes.clone(),
        observed: observed.clone(),
    };
    serde_json::to_vec(&wire).expect("a fold is JSON")
}

/// Reads both folds back.
///
/// # Errors
/// When the bytes are no snapshot of this version. The ledger still has everything.
pub fn decode(bytes: &[u8]) -> Result<(World, Observed), SnapshotError> {
    let Versioned { version: found } =
        serde_json::from_slice(bytes).map_err(SnapshotError::Unreadable)?;
    if found != VERSION {
        return Err(SnapshotError::Version { found });
    }
    let wire: Wire = serde_json::from_slice(bytes).map_err(SnapshotError::Unreadable)?;
    let mut objects = BTreeMap::new();
    for (changed, resource) in wire.objects {
        let mut resource = Arc::unwrap_or_clone(resource);
        let key = ObjectKey::of(&resource).map_err(|_| SnapshotError::Unnamed)?;
        let entries = resource.metadata_mut().managed_fields.take();
        let entry = Entry {
            resource: Arc::new(resource),
            owners: Arc::from(Owners::text(&entries.unwrap_or_default())),
            changed,
        };
        objects.insert(key, entry);
    }
    let sets =
        objects.iter().filter_map(
            |(key, entry): (&ObjectKey, &Entry)| match &*entry.resource {
                Resource::ManagedClusterSet(set) => Some((&key.name, &**set)),
                _ => None,
            },
        );
    let membership = Membership::from_parts(wire.sets, wire.gone_sets, sets);
    let decisions = wire.decisions.into_iter();
    let decisions = decisions.map(|record| (record.decided.key.clone(), record));
    let world = World {
        decisions: Decisions::from_records(decisions.collect()),
        sequence: wire.sequence,
        time: wire.time,
        membership,
        objects,
        gone: wire.gone,
        clusters: wire.clusters,
        tokens: wire.tokens,
        revocations: wire.revocations,
        outcomes: wire.outcomes,
    };
    Ok((world, wire.observed))
}

#[cfg(test)]
mod tests;
