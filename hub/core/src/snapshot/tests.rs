//! Whatever is decided, in whatever order: folds agree, invariants hold, snapshots lose nothing.

use proptest::prelude::*;
use serde_json::json;
use skein_schema::command::Command;
use skein_schema::envelope::Actor;
use skein_schema::name::ClusterName;
use skein_schema::status::{ClusterReport, Heartbeat, StatusUpdate};
use uuid::Uuid;

use super::{SnapshotError, decode, encode};
use crate::availability::Heartbeats;
use crate::react::Trigger;
use crate::scenario::*;

/// Something that may happen to a hub.
#[derive(Debug, Clone)]
enum Step {
    Apply(u8, u8, u8),
    Patch(u8, u8),
    Delete(u8, u8, bool),
    Accept(u8),
    Deny(u8),
    CreateToken(u8, bool),
    RevokeToken(u8),
    Join(u8, u8, u8),
    Renew(u8, u8),
    Removed(u8, u8),
    Report(u8),
    Beat(u8, bool),
    Disconnect(u8),
    Pass(u16),
    Again(u8),
    Eve(u8),
    Lead,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6u8, 0..3u8, 0..4u8).prop_map(|(kind, name, variant)| Step::Apply(kind, name, variant)),
        2 => (0..3u8, 0..4u8).prop_map(|(name, variant)| Step::Patch(name, variant)),
        3 => (0..5u8, 0..3u8, any::<bool>()).prop_map(|(kind, name, force)| Step::Delete(kind, name, force)),
        3 => (0..3u8).prop_map(Step::Accept),
        1 => (0..3u8).prop_map(Step::Deny),
        2 => (0..3u8, any::<bool>()).prop_map(|(token, auto)| Step::CreateToken(token, auto)),
        1 => (0..3u8).prop_map(Step::RevokeToken),
        5 => (0..3u8, 0..3u8, 0..5u8).prop_map(|(token, cluster, key)| Step::Join(token, cluster, key)),
        2 => (0..3u8, 0..5u8).prop_map(|(cluster, key)| Step::Renew(cluster, key)),
        3 => (0..3u8, 0..3u8).prop_map(|(cluster, work)| Step::Removed(cluster, work)),
        1 => (0..3u8).prop_map(Step::Report),
        2 => (0..3u8, any::<bool>()).prop_map(|(cluster, healthy)| Step::Beat(cluster, healthy)),
        1 => (0..3u8).prop_map(Step::Disconnect),
        2 => (0..4_000u16).prop_map(Step::Pass),
        1 => any::<u8>().prop_map(Step::Again),
        1 => (0..3u8).prop_map(Step::Eve),
        1 => Just(Step::Lead),
    ]
}

struct Play {
    hub: Scenario,
    beats: Heartbeats,
    sent: Vec<(Uuid, Command)>,
}

fn cluster(index: u8) -> String {
    format!("c{index}")
}

impl Play {
    fn new() -> Self {
        let hub = Scenario::new();
        Self {
            beats: Heartbeats::new(hub.now),
            sent: Vec::new(),
            hub,
        }
    }

    fn send(&mut self, command: Command) {
        let id = self.hub.id();
        // Refusals are part of the play.
        let _ = self.hub.run_as("admin", id, &command);
        self.sent.push((id, command));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Apply(kind, name, variant) => self.send(apply(document(kind, name, variant))),
            Step::Patch(name, variant) => {
                self.send(patch(cluster_key(&cluster(name)), changes(variant)));
            }
            Step::Delete(kind, name, force) => {
                let key = key(kind, name);
                self.send(if force {
                    force_delete(key)
                } else {
                    delete(key)
                });
            }
            Step::Accept(name) => self.send(accept(&cluster(name))),
            Step::Deny(name) => self.send(deny(&cluster(name))),
            Step::CreateToken(token, auto) => {
                let mut grant = grant(&format!("t{token}"), 100 + token);
                grant.auto_accept = auto;
                grant.uses = 2;
                grant.expires_at = self.hub.now + jiff::SignedDuration::from_hours(1);
                self.send(Command::CreateToken(grant));
            }
            Step::RevokeToken(token) => self.send(Command::RevokeToken {
                token: format!("t{token}").parse().unwrap(),
            }),
            Step::Join(token, name, key) => {
                let _ = self.hub.join(&format!("t{token}"), &cluster(name), key);
            }
            Step::Renew(name, key) => {
                let id = self.hub.id();
                let _ = self.hub.renew(&cluster(name), id, key);
            }
            Step::Removed(name, work) => {
                self.hub.report_removed(&cluster(name), &format!("w{work}"));
            }
            Step::Report(name) => {
                let report = ClusterReport {
                    agent_version: "0.1.0".into(),
                    ..ClusterReport::default()
                };
                self.hub.report(
                    &cluster(name),
                    vec![StatusUpdate::Cluster(Box::new(report))],
                );
            }
            Step::Beat(name, healthy) => self.beat(name, healthy),
            Step::Disconnect(name) => {
                let name = ClusterName::new(cluster(name)).unwrap();
                self.beats.disconnected(&name, self.hub.now);
            }
            Step::Pass(seconds) => self.hub.pass(i64::from(seconds)),
            Step::Again(index) => self.again(index),
            Step::Eve(name) => {
                let id = self.hub.id();
                self.hub
                    .run_as("eve", id, &accept(&cluster(name)))
                    .unwrap_err();
            }
            Step::Lead => self.hub.react(&Trigger::Started),
        }
        let hub: Actor = "hub:hub-0".parse().unwrap();
        for decision in self.beats.due(&self.hub.world, self.hub.now) {
            self.hub.record(&decision, &hub, None);
        }
    }

    fn beat(&mut self, name: u8, kube_api_healthy: bool) {
        let beat = Heartbeat {
            session: Uuid::nil(),
            time: self.hub.now,
            rev: 0,
            kube_api_healthy,
            message: None,
        };
        self.beats.beat(
            &ClusterName::new(cluster(name)).unwrap(),
            &beat,
            self.hub.now,
        );
    }

    /// A command is delivered once more.
    fn again(&mut self, index: u8) {
        let Some((id, command)) = self
            .sent
            .get(usize::from(index) % self.sent.len().max(1))
            .cloned()
        else {
            return;
        };
        let Some(known) = self.hub.world.outcome(id).cloned() else {
            return;
        };
        let before = self.hub.world.sequence();
        let answer = self.hub.run_as("admin", id, &command);
        assert_eq!(self.hub.world.sequence(), before, "decided once");
        assert_eq!(
            answer.is_ok(),
            matches!(known.outcome, crate::world::Outcome::Done(_))
        );
    }
}

fn document(kind: u8, name: u8, variant: u8) -> serde_json::Value {
    let set = ["default", "s0", "s1", "global"][usize::from(variant)];
    match kind {
        0 => {
            let mut document = cluster_document(&cluster(name));
            document["metadata"]["labels"] =
                json!({"cluster.open-cluster-management.io/clusterset": set});
            if variant > 0 {
                document["spec"] = json!({"hubAcceptsClient": variant == 1, "taints": [{"key": set, "effect": "NoSelect"}]});
            }
            document
        }
        1 => {
            let mut document = set_document(&format!("s{name}"));
            if variant > 1 {
                document["spec"] = json!({
                    "clusterSelector": {"selectorType": "LabelSelector", "labelSelector": {"matchLabels": {"a": "1"}}},
                    "managedNamespaces": [{"name": "shop"}],
                });
            }
            document
        }
        2 => binding_document(
            ["default", "n0", "c0", "c1"][usize::from(variant)],
            &format!("s{name}"),
        ),
        3 => namespace_document(&format!("n{name}")),
        4 => work_document(
            &cluster(name),
            &format!("w{variant}"),
            &[config_map("a", &"x".repeat(usize::from(variant) * 3_000))],
        ),
        _ => work_document(&cluster(name), "w0", &[config_map("a", set)]),
    }
}

fn changes(variant: u8) -> serde_json::Value {
    match variant {
        0 => json!({"metadata": {"labels": {"a": "1"}}}),
        1 => {
            json!({"metadata": {"labels": {"a": null, "cluster.open-cluster-management.io/clusterset": null}}})
        }
        2 => json!({"spec": {"leaseDurationSeconds": 10}}),
        _ => json!({"spec": {"taints": [], "hubAcceptsClient": false}}),
    }
}

fn key(kind: u8, name: u8) -> skein_schema::object::ObjectKey {
    match kind {
        0 => cluster_key(&cluster(name)),
        1 => set_key(&format!("s{name}")),
        2 => namespace_key(&format!("n{name}")),
        3 => work_key(&cluster(name), &format!("w{name}")),
        _ => work_key(&cluster(name), "w0"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn folds_agree_whatever_happens(steps in prop::collection::vec(step(), 1..60), cut in any::<prop::sample::Index>()) {
        let mut play = Play::new();
        for step in &steps {
            play.step(step);
        }
        let Scenario { world, observed, stored, .. } = &play.hub;
        let all = encode(world, observed);
        prop_assert_eq!(&encode(&fold(stored), observed), &all, "a replay gives the same bytes");

        let cut = cut.index(stored.len());
        let (mut tail, seen) = decode(&encode(&fold(&stored[..cut]), observed)).unwrap();
        for stored in &stored[cut..] {
            tail.evolve(stored);
        }
        prop_assert_eq!(&tail, world);
        prop_assert_eq!(encode(&tail, &seen), all, "a snapshot and the tail give the same bytes");

        let mut again = tail.clone();
        for stored in stored {
            let changes = again.evolve(stored);
            prop_assert!(changes.touched.is_empty(), "a record is folded in once");
        }
        prop_assert_eq!(again, tail);
    }

    #[test]
    fn bytes_that_are_no_snapshot_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
    }
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let bytes = br#"{"version": 1, "whatever": true}"#;
    assert!(matches!(
        decode(bytes),
        Err(SnapshotError::Version { found: 1 })
    ));
    let mut bytes = encode(&Scenario::new().world, &crate::Observed::default());
    bytes.truncate(bytes.len() / 2);
    assert!(matches!(decode(&bytes), Err(SnapshotError::Unreadable(_))));
}
