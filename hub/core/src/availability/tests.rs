//! Lost, found, unhealthy, out of time.

use jiff::{SignedDuration, Timestamp};
use skein_schema::envelope::Actor;
use skein_schema::name::ClusterName;
use skein_schema::status::Heartbeat;
use uuid::Uuid;

use super::{Heartbeats, RECONNECT_GRACE_SECONDS};
use crate::scenario::*;

struct Hearing {
    hub: Scenario,
    beats: Heartbeats,
}

impl Hearing {
    fn new(hub: Scenario) -> Self {
        let beats = Heartbeats::new(hub.now);
        Self { hub, beats }
    }

    fn cluster() -> ClusterName {
        ClusterName::new("c1").unwrap()
    }

    fn beat(&mut self) {
        let now = self.hub.now;
        self.beat_with(now, true);
    }

    fn beat_with(&mut self, time: Timestamp, healthy: bool) {
        let beat = Heartbeat {
            session: Uuid::nil(),
            time,
            rev: 1,
            kube_api_healthy: healthy,
            message: (!healthy).then(|| "connection refused".to_owned()),
        };
        self.beats.beat(&Self::cluster(), &beat, self.hub.now);
        self.settle();
    }

    /// Records what is due now.
    fn settle(&mut self) {
        let hub: Actor = "hub:hub-0".parse().unwrap();
        while self
            .beats
            .next_deadline()
            .is_some_and(|at| at <= self.hub.now)
        {
            for decision in self.beats.due(&self.hub.world, self.hub.now) {
                self.hub.record(&decision, &hub, None);
            }
        }
    }

    /// Lets time pass in steps of its deadlines.
    fn pass(&mut self, seconds: i64) {
        let end = self.hub.now + SignedDuration::from_secs(seconds);
        while let Some(at) = self.beats.next_deadline().filter(|at| *at <= end) {
            self.hub.now = self.hub.now.max(at);
            self.settle();
        }
        self.hub.now = end;
    }

    fn available(&self) -> Option<String> {
        self.hub
            .condition(&cluster_key("c1"), "ManagedClusterConditionAvailable")
    }

    fn taints(&self) -> Vec<&str> {
        let taints = self.hub.cluster("c1").spec.taints.iter();
        taints
            .map(|taint| taint.key.rsplit('/').next().unwrap())
            .collect()
    }
}

fn joined() -> Hearing {
    Hearing::new(Scenario::new().with_cluster("c1", 1))
}

#[test]
fn the_first_beat_makes_a_cluster_available_in_one_record() {
    let mut hearing = joined();
    assert_eq!(hearing.available(), None);
    assert_eq!(hearing.taints(), ["unreachable"]);
    let before = hearing.hub.world.sequence();
    hearing.beat();
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
    assert!(hearing.taints().is_empty());
    assert_eq!(
        hearing.hub.events_after(before),
        [
            "cluster.availabilitychanged.v1",
            "cluster.clockchanged.v1",
            "cluster.taintschanged.v1"
        ]
    );
    assert_eq!(hearing.hub.world.sequence(), before + 1);
    assert_eq!(
        hearing
            .hub
            .condition(&cluster_key("c1"), "ManagedClusterJoined")
            .as_deref(),
        Some("True/ManagedClusterJoined")
    );
}

#[test]
fn only_transitions_are_recorded() {
    let mut hearing = joined();
    hearing.beat();
    let before = hearing.hub.world.sequence();
    for _ in 0..60 {
        hearing.pass(10);
        hearing.beat();
    }
    assert_eq!(hearing.hub.world.sequence(), before);
}

#[test]
fn silence_of_five_leases_is_unknown_and_a_beat_ends_it() {
    let mut hearing = joined();
    hearing.beat();
    hearing.pass(299);
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
    hearing.pass(2);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped")
    );
    assert_eq!(hearing.taints(), ["unreachable"]);
    hearing.beat();
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
    assert!(hearing.taints().is_empty());
}

#[test]
fn a_lost_connection_is_noticed_at_once_but_a_reconnect_is_forgiven() {
    let mut hearing = joined();
    hearing.beat();
    let (cluster, now) = (Hearing::cluster(), hearing.hub.now);
    hearing.beats.disconnected(&cluster, now);
    hearing.pass(RECONNECT_GRACE_SECONDS - 1);
    hearing.beats.connected(&cluster, hearing.hub.now);
    hearing.pass(20);
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
    hearing.beat();
    let now = hearing.hub.now;
    hearing.beats.disconnected(&cluster, now);
    hearing.pass(RECONNECT_GRACE_SECONDS);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped")
    );
    hearing.beats.connected(&cluster, hearing.hub.now);
    hearing.pass(20);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped"),
        "a connection is not yet a heartbeat"
    );
    hearing.beat();
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
}

#[test]
fn an_api_server_that_does_not_answer_makes_the_cluster_unavailable() {
    let mut hearing = joined();
    hearing.beat();
    let now = hearing.hub.now;
    hearing.beat_with(now, false);
    assert_eq!(
        hearing.available().as_deref(),
        Some("False/ManagedClusterKubeAPIServerUnavailable")
    );
    assert_eq!(hearing.taints(), ["unavailable"]);
    let view = hearing.hub.view(&cluster_key("c1"));
    assert!(view.to_string().contains("connection refused"));
    hearing.beat();
    assert!(hearing.taints().is_empty());
}

#[test]
fn a_clock_that_is_off_by_an_hour_is_said() {
    let mut hearing = joined();
    hearing.beat();
    let synced = |hearing: &Hearing| {
        hearing
            .hub
            .condition(&cluster_key("c1"), "ManagedClusterConditionClockSynced")
    };
    assert_eq!(
        synced(&hearing).as_deref(),
        Some("True/ManagedClusterClockSynced")
    );
    let off = hearing.hub.now - SignedDuration::from_hours(1);
    hearing.beat_with(off, true);
    assert_eq!(
        synced(&hearing).as_deref(),
        Some("False/ManagedClusterClockOutOfSync")
    );
    hearing.beat();
    assert_eq!(
        synced(&hearing).as_deref(),
        Some("True/ManagedClusterClockSynced")
    );
}

#[test]
fn after_a_start_every_cluster_has_the_whole_grace() {
    let mut hearing = joined();
    hearing.beat();
    hearing.hub.pass(3_600);
    hearing.beats = Heartbeats::new(hearing.hub.now);
    hearing.settle();
    hearing.pass(299);
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
    hearing.pass(2);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped")
    );
}

#[test]
fn a_transition_whose_record_was_lost_is_found_again() {
    let mut hearing = joined();
    hearing.beat();
    hearing.hub.pass(301);
    let lost = hearing.beats.due(&hearing.hub.world, hearing.hub.now);
    assert_eq!(lost.len(), 1);
    hearing.pass(10);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped")
    );
}

#[test]
fn a_cluster_that_was_shut_out_is_not_judged() {
    let mut hearing = joined();
    hearing.hub.run(&deny("c1")).unwrap();
    let before = hearing.hub.world.sequence();
    hearing.beat();
    hearing.pass(1_000);
    assert_eq!(hearing.hub.world.sequence(), before);
}

#[test]
fn a_hub_taint_that_somebody_removed_comes_back() {
    let mut hearing = joined();
    hearing.pass(301);
    assert_eq!(hearing.taints(), ["unreachable"]);
    let none = serde_json::json!({"spec": {"taints": []}});
    hearing.hub.run(&patch(cluster_key("c1"), none)).unwrap();
    assert!(hearing.taints().is_empty());
    hearing.pass(11);
    assert_eq!(hearing.taints(), ["unreachable"]);
}

#[test]
fn a_cluster_stands_in_the_queue_once_however_long_it_beats() {
    let mut hearing = joined();
    for _ in 0..200 {
        hearing.beat();
        hearing.pass(10);
    }
    assert!(hearing.beats.queue.len() <= 2, "{:?}", hearing.beats.queue);
    hearing.beat();
    hearing.pass(299);
    assert_eq!(
        hearing.available().as_deref(),
        Some("True/ManagedClusterAvailable")
    );
    hearing.pass(2);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped")
    );
}

#[test]
fn a_shorter_lease_counts_from_the_next_look_on() {
    let mut hearing = joined();
    hearing.beat();
    let short = serde_json::json!({"spec": {"leaseDurationSeconds": 2}});
    hearing.hub.run(&patch(cluster_key("c1"), short)).unwrap();
    hearing.pass(11);
    assert_eq!(
        hearing.available().as_deref(),
        Some("Unknown/ManagedClusterLeaseUpdateStopped")
    );
}
