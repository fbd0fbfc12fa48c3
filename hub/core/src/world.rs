//! What was meant: the fold of the ledger.
//!
//! Everything is ordered and shared: cloning a world copies its indexes, not its objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use skein_schema::name::{ClusterName, ObjectName, TokenName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};
use uuid::Uuid;

use crate::placement::Load;

mod cluster;
pub(crate) mod decision;
mod evolve;
mod gone;
mod membership;
mod outcome;
mod revocation;
mod token;

pub use cluster::{
    AgentKeyRecord, AvailabilityRecord, ClockRecord, ClusterRecord, CredentialRecord, Opinion,
    PendingJoin,
};
pub use decision::DecisionRecord;
pub use membership::SetRecord;
pub use outcome::{CommandOutcome, Outcome};
pub use token::TokenRecord;

pub(crate) use decision::Decisions;
pub(crate) use gone::Gone;
pub(crate) use membership::Membership;
pub(crate) use outcome::Outcomes;
pub(crate) use revocation::Revocations;

/// The fold of the ledger up to a sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    pub(crate) sequence: u64,
    pub(crate) time: Timestamp,
    pub(crate) objects: BTreeMap<ObjectKey, Entry>,
    pub(crate) gone: Gone,
    pub(crate) clusters: BTreeMap<ClusterName, Arc<ClusterRecord>>,
    pub(crate) tokens: BTreeMap<TokenName, Arc<TokenRecord>>,
    pub(crate) membership: Membership,
    pub(crate) decisions: Decisions,
    pub(crate) revocations: Revocations,
    pub(crate) outcomes: Outcomes,
}

/// A stored object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Without managedFields.
    pub(crate) resource: Arc<Resource>,
    /// Its managedFields as compact JSON, empty for none. A text, because a tree of JSON values
    /// takes ten times the memory and is needed only when the object is applied again.
    pub(crate) owners: Arc<str>,
    /// When somebody last wanted something else of it.
    pub(crate) changed: Timestamp,
}

/// What a record changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Objects whose intended state, or what the hub says of them, may differ now; in key order.
    pub touched: Vec<ObjectKey>,
    /// For each of them what it was before, `None` if it did not exist.
    pub before: BTreeMap<ObjectKey, Option<Arc<Resource>>>,
}

impl World {
    /// The sequence of the last record folded in; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When the bus stored the last record folded in.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// An object: large manifests packed, managedFields left out, no status.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<Resource>> {
        self.objects.get(key).map(|entry| &entry.resource)
    }

    /// Who set which fields of an object: its managedFields as compact JSON, empty for none.
    #[must_use]
    pub fn managed_fields(&self, key: &ObjectKey) -> &str {
        self.objects.get(key).map_or("", |entry| &entry.owners)
    }

    /// When somebody last wanted something else of an object: applied, accepted, denied or deleted
    /// it, or asked to join as it. What the hub sees of it by itself does not count. An object that
    /// is gone is remembered for [`Self::OUTCOMES_KEPT_SECONDS`].
    #[must_use]
    pub fn changed_at(&self, key: &ObjectKey) -> Option<Timestamp> {
        let changed = self.objects.get(key).map(|entry| entry.changed);
        changed.max(self.gone.since(key))
    }

    /// All objects of a kind, in key order.
    pub fn iter(&self, kind: KindName) -> impl Iterator<Item = (&ObjectKey, &Arc<Resource>)> {
        self.objects
            .range(first_key(kind, None)..)
            .take_while(move |(key, _)| key.kind == kind)
            .map(|(key, entry)| (key, &entry.resource))
    }

    /// The objects of a kind in a workspace, in key order.
    pub fn iter_in<'a>(
        &'a self,
        kind: KindName,
        workspace: &Workspace,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Arc<Resource>)> + use<'a> {
        let workspace = workspace.clone();
        self.objects
            .range(first_key(kind, Some(workspace.clone()))..)
            .take_while(move |(key, _)| {
                key.kind == kind && key.workspace.as_ref() == Some(&workspace)
            })
            .map(|(key, entry)| (key, &entry.resource))
    }

    /// All objects, in key order.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<Resource>)> {
        self.objects
            .iter()
            .map(|(key, entry)| (key, &entry.resource))
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: KindName) -> usize {
        self.iter(kind).count()
    }

    /// What the hub knows of a cluster beside its object. There is one for every ManagedCluster.
    #[must_use]
    pub fn cluster(&self, cluster: &ClusterName) -> Option<&ClusterRecord> {
        self.clusters.get(cluster).map(|record| &**record)
    }

    /// All clusters, in the order of their names.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterName, &ClusterRecord)> {
        self.clusters.iter().map(|(name, record)| (name, &**record))
    }

    /// All join tokens, in the order of their names.
    pub fn tokens(&self) -> impl Iterator<Item = (&TokenName, &TokenRecord)> {
        self.tokens.iter().map(|(name, record)| (name, &**record))
    }

    /// A join token.
    #[must_use]
    pub fn token(&self, token: &TokenName) -> Option<&TokenRecord> {
        self.tokens.get(token).map(|record| &**record)
    }

    /// How many clusters a set has, and since when it has some or none.
    #[must_use]
    pub fn clusterset(&self, set: &ObjectName) -> Option<&SetRecord> {
        self.membership.set(set)
    }

    /// What a placement decided last.
    #[must_use]
    pub fn decision(&self, placement: &ObjectKey) -> Option<&DecisionRecord> {
        self.decisions.get(placement).map(|record| &**record)
    }

    /// How many placements have each cluster.
    #[must_use]
    pub fn load(&self) -> &Load {
        self.decisions.load()
    }

    /// Public keys whose credentials are void if they were issued up to the time beside them.
    /// A key is listed until the last such credential has ended by itself.
    #[must_use]
    pub fn revocations(&self) -> BTreeMap<String, Timestamp> {
        self.revocations.current()
    }

    /// What became of a command, for [`Self::OUTCOMES_KEPT_SECONDS`] at least after it was
    /// recorded. A command that changed nothing has none: deciding it again is harmless, unless its
    /// object was changed meanwhile ([`crate::decide::check_not_overtaken`]).
    #[must_use]
    pub fn outcome(&self, command: Uuid) -> Option<&CommandOutcome> {
        self.outcomes.get(command)
    }

    /// How long outcomes are kept, in seconds of ledger time: as long as the command queue keeps a
    /// command that was not taken off it.
    pub const OUTCOMES_KEPT_SECONDS: i64 = 7 * 24 * 3600;
}

/// A key that is not behind any of the kind (and workspace).
fn first_key(kind: KindName, workspace: Option<Workspace>) -> ObjectKey {
    // "0" is the first name there is: names begin with a digit or a letter.
    let name = ObjectName::new("0").expect("a digit is a name");
    ObjectKey {
        kind,
        workspace,
        name,
    }
}

/// The uid of an object of a world.
pub(crate) fn uid(resource: &Resource) -> Option<Uuid> {
    resource.metadata().uid.as_deref()?.parse().ok()
}
