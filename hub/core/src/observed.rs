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

// An agent reports of works by name and uid, and the fold of STATUS cannot ask the fold of LEDGER
// whether they exist: the two are read apart. So that one agent cannot fill the hub's memory and
// its snapshots with works that it has invented, what is kept of one cluster has limits, far above
// what clusters have.

/// Works of one cluster of which reports are kept, at most.
const WORKS_MAX: usize = 10_000;
/// Bytes of JSON that are kept of one cluster's reports, at most: some 6 KB for each work, if there
/// are as many as there may be.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Removals of one cluster's works that are remembered, at most: one every 12 seconds for a week.
const REMOVALS_MAX: usize = 50_000;

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
    /// Bytes of JSON of what is kept.
    #[serde(default)]
    bytes: usize,
    /// Updates that were not taken, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refused: BTreeMap<RefusedUpdate, u64>,
}

/// Why an update of an agent is not taken. The rest of its message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusedUpdate {
    /// It holds a value that cannot be stored, e.g. a time before the year 0.
    Unreadable,
    /// It is about one work more than are kept of a cluster.
    TooManyWorks,
    /// With it, the cluster's reports would be larger than is kept.
    TooLarge,
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
        let mut changes = Vec::new();
        for update in &message.updates {
            match entry.update(update, time) {
                Ok(change) => changes.extend(change),
                Err(refused) => *entry.refused.entry(refused).or_default() += 1,
            }
        }
        changes
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

    /// Updates of the agent that were not taken, by reason, since the fold began.
    #[must_use]
    pub fn refused(&self) -> &BTreeMap<RefusedUpdate, u64> {
        &self.refused
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
            bytes: 0,
            refused: BTreeMap::new(),
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

    fn update(
        &mut self,
        update: &StatusUpdate,
        time: Timestamp,
    ) -> Result<Option<ObservedChange>, RefusedUpdate> {
        match update {
            StatusUpdate::Cluster(report) => self.cluster(report),
            StatusUpdate::Work(report) => self.work(report),
            StatusUpdate::WorkRemoved { name, uid } => {
                if self.works.get(name).is_some_and(|work| work.uid == *uid)
                    && let Some(work) = self.works.remove(name)
                {
                    self.bytes = self.bytes.saturating_sub(work.status.len());
                }
                self.remember_removal(*uid, time);
                Ok(Some(ObservedChange::WorkRemoved {
                    name: name.clone(),
                    uid: *uid,
                }))
            }
        }
    }

    fn cluster(&mut self, report: &ClusterReport) -> Result<Option<ObservedChange>, RefusedUpdate> {
        let report = Compact::new(report).ok_or(RefusedUpdate::Unreadable)?;
        if self.report.as_ref() == Some(&report) {
            return Ok(None);
        }
        let before = self.report.as_ref().map_or(0, Compact::len);
        self.bytes = self.bytes_with(before, report.len())?;
        self.report = Some(report);
        Ok(Some(ObservedChange::Cluster))
    }

    fn work(&mut self, report: &WorkReport) -> Result<Option<ObservedChange>, RefusedUpdate> {
        let observation = WorkObservation {
            uid: report.uid,
            generation: report.generation,
            status: Compact::new(&report.status).ok_or(RefusedUpdate::Unreadable)?,
        };
        let namesake = self.works.get(&report.name);
        let same_work = namesake.filter(|known| known.uid == report.uid);
        if self.removed.contains_key(&report.uid)
            || same_work.is_some_and(|known| {
                known.generation > observation.generation || **known == observation
            })
        {
            return Ok(None);
        }
        if namesake.is_none() && self.works.len() >= WORKS_MAX {
            return Err(RefusedUpdate::TooManyWorks);
        }
        let before = namesake.map_or(0, |known| known.status.len());
        self.bytes = self.bytes_with(before, observation.status.len())?;
        self.works
            .insert(report.name.clone(), Arc::new(observation));
        Ok(Some(ObservedChange::Work {
            name: report.name.clone(),
        }))
    }

    /// How many bytes are kept when so many take the place of others.
    fn bytes_with(&self, before: usize, after: usize) -> Result<usize, RefusedUpdate> {
        let bytes = self.bytes.saturating_sub(before) + after;
        if bytes > BYTES_MAX {
            return Err(RefusedUpdate::TooLarge);
        }
        Ok(bytes)
    }

    /// A removal is always taken, since a deletion waits for it. When too many are remembered, the
    /// oldest are forgotten, many at a time: what waited for them was decided long ago.
    fn remember_removal(&mut self, uid: Uuid, time: Timestamp) {
        if self.removed.len() >= REMOVALS_MAX && !self.removed.contains_key(&uid) {
            let mut by_time: Vec<_> = self.removed.iter().map(|(uid, at)| (*at, *uid)).collect();
            by_time.sort_unstable();
            for (_, uid) in by_time.into_iter().take(REMOVALS_MAX / 4) {
                self.removed.remove(&uid);
            }
        }
        self.removed.insert(uid, time);
    }
}

#[cfg(test)]
mod tests;
