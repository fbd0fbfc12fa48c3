//! What is: the fold of what agents report.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skein_schema::kind::manifest_work::ManifestWorkStatus;
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::object::ObjectKey;
use skein_schema::status::{ClusterReport, StatusMessage, StatusUpdate, WorkReport};
use uuid::Uuid;

mod compact;

use compact::Compact;

/// Runs of an agent that are remembered as over, at most.
const PAST_SESSIONS: usize = 4;
/// How long a work's removal is remembered, in hours of the bus's time: the deletion it ends may
/// have to be decided by a hub that starts later.
const REMOVAL_KEPT_HOURS: i64 = 7 * 24;

/// The fold of STATUS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Observed {
    clusters: BTreeMap<ClusterName, Arc<ClusterObservation>>,
}

/// What one cluster's agent has reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterObservation {
    /// The agent's run that reports.
    pub session: Uuid,
    /// The number of its last message.
    pub number: u64,
    /// Runs that are over: a late message of theirs says nothing any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past_sessions: Vec<Uuid>,
    /// The STATUS sequence of the last message.
    pub sequence: u64,
    /// When the bus stored it.
    pub time: Timestamp,
    /// The desired revision that the agent had applied then.
    pub rev: u64,
    /// The cluster itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report: Option<Compact<ClusterReport>>,
    /// Its works.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    works: BTreeMap<ObjectName, Arc<WorkObservation>>,
    /// Works that are gone, and when that was reported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    removed: BTreeMap<Uuid, Timestamp>,
}

/// What was reported of a work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkObservation {
    /// Its uid.
    pub uid: Uuid,
    /// The generation that the status is about.
    pub generation: i64,
    /// The status.
    status: Compact<ManifestWorkStatus>,
}

impl WorkObservation {
    /// The status.
    #[must_use]
    pub fn status(&self) -> ManifestWorkStatus {
        self.status.get()
    }
}

/// What a message changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedChange {
    /// The cluster's own report.
    Cluster,
    /// A work's status.
    Work {
        /// The work's name.
        name: ObjectName,
    },
    /// A work and what it owned are gone.
    WorkRemoved {
        /// The work's name.
        name: ObjectName,
        /// Its uid.
        uid: Uuid,
    },
}

impl ObservedChange {
    /// The object that looks different now.
    #[must_use]
    pub fn key(&self, cluster: &ClusterName) -> ObjectKey {
        match self {
            Self::Cluster => ObjectKey::cluster(cluster),
            Self::Work { name } | Self::WorkRemoved { name, .. } => ObjectKey::work(cluster, name),
        }
    }
}

impl Observed {
    /// Folds in a message from `cluster` (as the bus proved it), stored at `time` with `sequence`,
    /// and says what it changed. What is older than what was folded in already changes nothing.
    pub fn evolve(
        &mut self,
        cluster: &ClusterName,
        message: &StatusMessage,
        sequence: u64,
        time: Timestamp,
    ) -> Vec<ObservedChange> {
        let entry = self
            .clusters
            .entry(cluster.clone())
            .or_insert_with(|| Arc::new(ClusterObservation::new(message.session)));
        if sequence <= entry.sequence || !entry.is_newer(message) {
            return Vec::new();
        }
        let entry = Arc::make_mut(entry);
        entry.begin(message, sequence, time);
        let updates = message.updates.iter();
        updates
            .filter_map(|update| entry.update(update, time))
            .collect()
    }

    /// What a cluster's agent has reported.
    #[must_use]
    pub fn cluster(&self, cluster: &ClusterName) -> Option<&ClusterObservation> {
        self.clusters.get(cluster).map(|entry| &**entry)
    }

    /// What was reported of a work, if it was about the work of this uid.
    #[must_use]
    pub fn work(
        &self,
        cluster: &ClusterName,
        work: &ObjectName,
        uid: Uuid,
    ) -> Option<&WorkObservation> {
        let found = self.cluster(cluster)?.works.get(work)?;
        (found.uid == uid).then_some(&**found)
    }

    /// Whether the agent has reported that this work is gone.
    #[must_use]
    pub fn has_removed(&self, cluster: &ClusterName, uid: Uuid) -> bool {
        self.cluster(cluster)
            .is_some_and(|entry| entry.removed.contains_key(&uid))
    }

    /// How many clusters have reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Whether no cluster has reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }
}

impl ClusterObservation {
    /// What the agent last said of the cluster itself.
    #[must_use]
    pub fn report(&self) -> Option<ClusterReport> {
        self.report.as_ref().map(Compact::get)
    }

    fn new(session: Uuid) -> Self {
        Self {
            session,
            number: 0,
            past_sessions: Vec::new(),
            sequence: 0,
            time: Timestamp::UNIX_EPOCH,
            rev: 0,
            report: None,
            works: BTreeMap::new(),
            removed: BTreeMap::new(),
        }
    }

    fn is_newer(&self, message: &StatusMessage) -> bool {
        if message.session == self.session {
            message.number > self.number || self.sequence == 0
        } else {
            !self.past_sessions.contains(&message.session)
        }
    }

    fn begin(&mut self, message: &StatusMessage, sequence: u64, time: Timestamp) {
        if message.session != self.session {
            self.past_sessions.insert(0, self.session);
            self.past_sessions.truncate(PAST_SESSIONS);
            self.session = message.session;
        }
        self.number = message.number;
        self.sequence = sequence;
        self.time = time;
        self.rev = message.rev;
        let kept = SignedDuration::from_hours(REMOVAL_KEPT_HOURS);
        self.removed
            .retain(|_, removed| time.duration_since(*removed) <= kept);
    }

    fn update(&mut self, update: &StatusUpdate, time: Timestamp) -> Option<ObservedChange> {
        match update {
            StatusUpdate::Cluster(report) => {
                let report = Some(Compact::new(&**report));
                if self.report == report {
                    return None;
                }
                self.report = report;
                Some(ObservedChange::Cluster)
            }
            StatusUpdate::Work(report) => self.work(report),
            StatusUpdate::WorkRemoved { name, uid } => {
                if self.works.get(name).is_some_and(|work| work.uid == *uid) {
                    self.works.remove(name);
                }
                self.removed.insert(*uid, time);
                Some(ObservedChange::WorkRemoved {
                    name: name.clone(),
                    uid: *uid,
                })
            }
        }
    }

    fn work(&mut self, report: &WorkReport) -> Option<ObservedChange> {
        let observation = WorkObservation {
            uid: report.uid,
            generation: report.generation,
            status: Compact::new(&report.status),
        };
        let same_work = self
            .works
            .get(&report.name)
            .filter(|known| known.uid == report.uid);
        if self.removed.contains_key(&report.uid)
            || same_work.is_some_and(|known| {
                known.generation > observation.generation || **known == observation
            })
        {
            return None;
        }
        self.works
            .insert(report.name.clone(), Arc::new(observation));
        Some(ObservedChange::Work {
            name: report.name.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
