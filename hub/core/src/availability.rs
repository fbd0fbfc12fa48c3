//! Who beats: an in-memory table of heartbeats, and the transitions that follow from it.
//!
//! Nothing of it is stored. After a start every accepted cluster counts as if it had beaten at the
//! start, as a lease that OCM's hub makes does. Only transitions become records; each is judged
//! anew at every sweep against the world, so that one whose record was not taken is not lost.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use skein_schema::command::Change;
use skein_schema::event::{Availability, AvailabilityChanged, ClockChanged, Event, TaintsChanged};
use skein_schema::kind::condition;
use skein_schema::kind::managed_cluster::{ManagedCluster, TAINT_UNAVAILABLE, TAINT_UNREACHABLE};
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::Resource;
use skein_schema::status::Heartbeat;

use crate::decide::{Decision, Subject};
use crate::lease::{self, GRACE_LEASES};
use crate::world::{ClusterRecord, World};
use crate::{stamp, taint, view};

/// Seconds between two looks at every cluster: clusters that came, went or changed their lease
/// since are noticed then.
const SWEEP_SECONDS: i64 = 10;
/// Seconds that an agent whose connection is gone has to come back before it counts as lost.
pub const RECONNECT_GRACE_SECONDS: i64 = 3;

/// The heartbeats of all clusters.
#[derive(Debug, Clone)]
pub struct Heartbeats {
    clusters: BTreeMap<ClusterName, Beats>,
    /// Clusters to look at, by when. A cluster may stand here more than once; it is judged by what
    /// is known of it then.
    queue: BTreeSet<(Timestamp, ClusterName)>,
    next_sweep: Timestamp,
}

/// What is known of one cluster's heartbeats.
#[derive(Debug, Clone)]
struct Beats {
    /// When the last one came, by the hub's clock; for a cluster never heard of, when it was first
    /// looked for.
    last: Timestamp,
    /// What the last one said; none before the first.
    said: Option<Said>,
    /// One came since the connection was last lost.
    fresh: bool,
    /// When the agent's connection was lost, unless it beat since.
    disconnected: Option<Timestamp>,
    /// When it stands in the queue to be looked at for its silence.
    queued: Option<Timestamp>,
}

impl Beats {
    /// A cluster that counts from now on.
    fn since(now: Timestamp) -> Self {
        Self {
            last: now,
            said: None,
            fresh: false,
            disconnected: None,
            queued: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// The agent's clock.
    time: Timestamp,
    healthy: bool,
    message: Option<String>,
}

impl Heartbeats {
    /// An empty table; the first look at all clusters is due at once.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            clusters: BTreeMap::new(),
            queue: BTreeSet::new(),
            next_sweep: now,
        }
    }

    /// A heartbeat came.
    pub fn beat(&mut self, cluster: &ClusterName, beat: &Heartbeat, now: Timestamp) {
        let said = Said {
            time: beat.time,
            healthy: beat.kube_api_healthy,
            message: beat.message.clone(),
        };
        let known = self
            .clusters
            .entry(cluster.clone())
            .or_insert_with(|| Beats::since(now));
        // Clocks are never read to the second the same twice: a difference counts from a second on.
        let clock_moved = known.said.as_ref().is_none_or(|before| {
            let apart = |said: &Said, at: Timestamp| at.duration_since(said.time).as_secs();
            (apart(before, known.last) - apart(&said, now)).abs() > 1
        });
        let news = !known.fresh
            || clock_moved
            || known
                .said
                .as_ref()
                .is_none_or(|before| before.healthy != said.healthy)
            || now.duration_since(known.last) > SignedDuration::from_secs(SWEEP_SECONDS * 6);
        known.last = now;
        known.said = Some(said);
        known.fresh = true;
        known.disconnected = None;
        if news {
            self.queue.insert((now, cluster.clone()));
        }
    }

    /// The bus says that the agent has connected. Only a heartbeat shows that it works.
    pub fn connected(&mut self, cluster: &ClusterName, _now: Timestamp) {
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.disconnected = None;
        }
    }

    /// The bus says that the agent's connection is gone.
    pub fn disconnected(&mut self, cluster: &ClusterName, now: Timestamp) {
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.disconnected.get_or_insert(now);
            known.fresh = false;
            let due = plus(now, RECONNECT_GRACE_SECONDS);
            self.queue.insert((due, cluster.clone()));
        }
    }

    /// When [`Self::due`] is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let queued = self.queue.first().map_or(self.next_sweep, |(at, _)| *at);
        Some(queued.min(self.next_sweep))
    }

    /// When the last heartbeat of a cluster came.
    #[must_use]
    pub fn last_beat(&self, cluster: &ClusterName) -> Option<Timestamp> {
        let beats = self.clusters.get(cluster)?;
        beats.said.as_ref().map(|_| beats.last)
    }

    /// The transitions that are due: each cluster's in one decision.
    pub fn due(&mut self, world: &World, now: Timestamp) -> Vec<Decision> {
        let mut due = BTreeSet::new();
        while let Some((at, cluster)) = self.queue.first().cloned() {
            if at > now {
                break;
            }
            self.queue.remove(&(at, cluster.clone()));
            if let Some(known) = self.clusters.get_mut(&cluster) {
                known.queued = known.queued.filter(|queued| *queued != at);
            }
            due.insert(cluster);
        }
        if self.next_sweep <= now {
            self.next_sweep = plus(now, SWEEP_SECONDS);
            self.clusters
                .retain(|cluster, _| world.cluster(cluster).is_some());
            let unsettled = world
                .clusters()
                .filter(|(cluster, record)| !self.is_settled(world, cluster, record, now));
            due.extend(unsettled.map(|(cluster, _)| cluster.clone()));
        }
        due.iter()
            .filter_map(|cluster| self.judge(world, cluster, now))
            .collect()
    }

    /// Whether nothing can be due for a cluster: it beats, is well, and the world says so. Most
    /// clusters are, at most times, and are not judged at length.
    fn is_settled(
        &self,
        world: &World,
        cluster: &ClusterName,
        record: &ClusterRecord,
        now: Timestamp,
    ) -> bool {
        let Some(Resource::ManagedCluster(found)) = world
            .get(&ObjectKey::cluster(cluster))
            .map(|found| &**found)
        else {
            return true;
        };
        let Some(beats) = self.clusters.get(cluster) else {
            return !found.spec.hub_accepts_client;
        };
        let Some(said) = &beats.said else {
            return false;
        };
        let grace = lease::grace(found, GRACE_LEASES);
        let well = beats.fresh
            && said.healthy
            && now.duration_since(beats.last) < grace
            && beats.last.duration_since(said.time).abs() < grace;
        let available = record.availability.as_ref();
        let told = available.is_some_and(|seen| seen.availability == Availability::Available)
            && record.clock.is_some_and(|clock| clock.synced);
        let tainted = found
            .spec
            .taints
            .iter()
            .any(|taint| [TAINT_UNREACHABLE, TAINT_UNAVAILABLE].contains(&taint.key.as_str()));
        well && told && !tainted && found.spec.hub_accepts_client && beats.queued.is_some()
    }

    fn judge(&mut self, world: &World, cluster: &ClusterName, now: Timestamp) -> Option<Decision> {
        let mut found = view::with_hub_conditions(world, cluster)?;
        if !found.spec.hub_accepts_client {
            return None;
        }
        let beats = self
            .clusters
            .entry(cluster.clone())
            .or_insert_with(|| Beats::since(now));
        let deadline = plus(beats.last, lease::grace(&found, GRACE_LEASES).as_secs());
        let reconnect = beats
            .disconnected
            .map(|at| plus(at, RECONNECT_GRACE_SECONDS));
        let lost = reconnect.is_some_and(|at| now >= at) || now >= deadline;
        let mut events = Vec::new();
        if lost {
            let gone = lost_condition(&found, beats, now);
            events.extend(gone.map(|condition| transition(cluster, &mut found, condition, beats)));
        } else {
            if let Some(said) = beats.said.as_ref().filter(|_| beats.fresh) {
                let heard = lease::heard(&found, said.healthy, now);
                let heard = heard.map(|condition| with_reason(condition, said));
                events.extend(
                    heard.map(|condition| transition(cluster, &mut found, condition, beats)),
                );
                let clock = lease::judge_clock(&found, said.time, beats.last, GRACE_LEASES);
                events.extend(clock.map(|condition| clock_event(cluster, &condition, said, beats)));
            }
            let next = reconnect.map_or(deadline, |at| at.min(deadline));
            // It stands in the queue once: by the time it is looked at, it has beaten often.
            if beats.queued.is_none_or(|queued| queued > next) {
                beats.queued = Some(next);
                self.queue.insert((next, cluster.clone()));
            }
        }
        let taints = taint::taints_by_availability(&found, stamp::whole_seconds(now));
        events.extend(taints.map(|taints| {
            Event::TaintsChanged(TaintsChanged {
                cluster: cluster.clone(),
                taints,
            })
        }));
        let subject = Subject::Object(ObjectKey::cluster(cluster));
        (!events.is_empty()).then(|| Decision::new(subject, Change::Configured, events))
    }
}

/// The condition that a cluster is lost, unless it already is.
fn lost_condition(found: &ManagedCluster, beats: &Beats, now: Timestamp) -> Option<Condition> {
    // Judged with a heartbeat so old that the grace is over, whatever it is.
    let long_ago = plus(now, -lease::grace(found, GRACE_LEASES).as_secs());
    let mut condition = lease::judge_lease(found, Some(long_ago), now, GRACE_LEASES).lost?;
    if beats.disconnected.is_some() {
        condition.message = format!(
            "The agent's connection is gone; its last heartbeat came at {}.",
            stamp::whole_seconds(beats.last)
        );
    }
    Some(condition)
}

/// Adds what the agent's probe said.
fn with_reason(condition: Condition, said: &Said) -> Condition {
    match &said.message {
        Some(said) if condition.status != "True" => {
            let said: String = said.chars().filter(|c| !c.is_control()).take(256).collect();
            let message = format!("{} It says: {said}", condition.message);
            Condition {
                message,
                ..condition
            }
        }
        _ => condition,
    }
}

/// The event of a new availability; `found` has it from then on.
fn transition(
    cluster: &ClusterName,
    found: &mut ManagedCluster,
    seen: Condition,
    beats: &Beats,
) -> Event {
    let availability = match seen.status.as_str() {
        "True" => Availability::Available,
        "False" => Availability::Unavailable,
        _ => Availability::Unknown,
    };
    let event = AvailabilityChanged {
        cluster: cluster.clone(),
        availability,
        reason: seen.reason.clone(),
        message: seen.message.clone(),
        last_heartbeat: beats.said.as_ref().map(|_| beats.last),
    };
    let status = found.status.get_or_insert_default();
    condition::set(&mut status.conditions, seen);
    Event::AvailabilityChanged(event)
}

fn clock_event(cluster: &ClusterName, seen: &Condition, said: &Said, beats: &Beats) -> Event {
    Event::ClockChanged(ClockChanged {
        cluster: cluster.clone(),
        synced: seen.status == "True",
        ahead_seconds: said.time.duration_since(beats.last).as_secs(),
    })
}

fn plus(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(time)
}

#[cfg(test)]
mod tests;
