//! What placements have decided, and the objects that show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_schema::event::PlacementDecided;
use skein_schema::kind::placement::{
    DECISION_GROUP_INDEX_LABEL, DECISION_GROUP_NAME_LABEL, PLACEMENT_LABEL,
};
use skein_schema::kind::placement_decision::{
    ClusterDecision, PlacementDecision, PlacementDecisionStatus,
};
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use crate::placement::Load;
use crate::placement::group::{Slice, slices};
use crate::stamp;

/// The last decision of a placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// The decision.
    pub decided: PlacementDecided,
    /// The ledger sequence of its record.
    pub sequence: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// Since when it is as satisfied as it is.
    pub satisfied_since: Timestamp,
    /// Since when decisions are kept, or are not.
    pub kept_since: Timestamp,
}

impl DecisionRecord {
    /// The chosen clusters, group by group.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterName> {
        let groups = self.decided.groups.iter();
        groups.flat_map(|group| group.clusters.iter().map(|(cluster, _)| cluster))
    }
}

/// The decisions of all placements, and how many of them each cluster is in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Decisions {
    records: BTreeMap<ObjectKey, Arc<DecisionRecord>>,
    load: Load,
}

impl Decisions {
    pub(crate) fn from_records(records: BTreeMap<ObjectKey, Arc<DecisionRecord>>) -> Self {
        let mut load = Load::default();
        for cluster in records.values().flat_map(|record| record.clusters()) {
            load.add(cluster);
        }
        Self { records, load }
    }

    pub(crate) fn records(&self) -> &BTreeMap<ObjectKey, Arc<DecisionRecord>> {
        &self.records
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    pub(crate) fn get(&self, placement: &ObjectKey) -> Option<&Arc<DecisionRecord>> {
        self.records.get(placement)
    }

    /// Takes a decision in.
    pub(super) fn decided(&mut self, decided: &PlacementDecided, sequence: u64, time: Timestamp) {
        let before = self.remove(&decided.key);
        let since = |same: fn(&PlacementDecided, &PlacementDecided) -> bool,
                     since: fn(&DecisionRecord) -> Timestamp| {
            let before = before.as_ref();
            let before = before.filter(|before| same(&before.decided, decided));
            before.map_or(time, |before| since(before))
        };
        let record = DecisionRecord {
            satisfied_since: since(
                |before, now| before.satisfied.status == now.satisfied.status,
                |before| before.satisfied_since,
            ),
            kept_since: since(
                |before, now| before.kept_because.is_some() == now.kept_because.is_some(),
                |before| before.kept_since,
            ),
            decided: decided.clone(),
            sequence,
            time,
        };
        for cluster in record.clusters() {
            self.load.add(cluster);
        }
        self.records.insert(decided.key.clone(), Arc::new(record));
    }

    /// Forgets a placement.
    pub(super) fn remove(&mut self, placement: &ObjectKey) -> Option<Arc<DecisionRecord>> {
        let before = self.records.remove(placement)?;
        for cluster in before.clusters() {
            self.load.remove(cluster);
        }
        Some(before)
    }
}

/// The PlacementDecisions that show a decision, as they are when none was there before.
pub(super) fn objects(decided: &PlacementDecided, time: Timestamp) -> Vec<PlacementDecision> {
    let mut objects = Vec::new();
    for (slice, number) in slices_of(decided).into_iter().zip(1..) {
        let Some(key) = key(&decided.key, number) else {
            continue;
        };
        let mut object = PlacementDecision::default();
        let metadata = &mut object.metadata;
        metadata.name = Some(key.name.to_string());
        metadata.namespace = key.workspace.as_ref().map(ToString::to_string);
        metadata.uid = Some(stamp::uid_of(decided.uid, &key).to_string());
        metadata.generation = Some(1);
        metadata.creation_timestamp = Some(stamp::kubernetes_time(time));
        let labels = [
            (PLACEMENT_LABEL, decided.key.name.to_string()),
            (DECISION_GROUP_NAME_LABEL, slice.name.to_owned()),
            (DECISION_GROUP_INDEX_LABEL, slice.group.to_string()),
        ];
        let labels = labels.map(|(label, value)| (label.to_owned(), value));
        metadata.labels = Some(BTreeMap::from(labels));
        let decision = |(cluster, score): &(ClusterName, i64)| ClusterDecision {
            cluster_name: cluster.to_string(),
            reason: String::new(),
            score: Some(*score),
        };
        object.status = Some(PlacementDecisionStatus {
            decisions: slice.decisions.iter().map(decision).collect(),
        });
        objects.push(object);
    }
    objects
}

/// A decision in the portions of its PlacementDecisions, in order.
pub(crate) fn slices_of(decided: &PlacementDecided) -> Vec<Slice<'_, (ClusterName, i64)>> {
    let groups = decided.groups.iter();
    slices(groups.map(|group| (group.name.as_str(), group.clusters.as_slice())))
}

/// The key of a placement's n-th PlacementDecision, from 1. A placement's name leaves room for it.
pub(crate) fn key(placement: &ObjectKey, number: usize) -> Option<ObjectKey> {
    let name = format!("{}-decision-{number}", placement.name);
    Some(ObjectKey {
        kind: KindName::PlacementDecision,
        workspace: placement.workspace.clone(),
        name: ObjectName::new(name).ok()?,
    })
}

/// Whether two versions of an object show the same.
pub(super) fn same(before: &Resource, now: &PlacementDecision) -> bool {
    match before {
        Resource::PlacementDecision(before) => {
            before.status == now.status
                && before.metadata.labels == now.metadata.labels
                && before.metadata.uid == now.metadata.uid
        }
        _ => false,
    }
}
