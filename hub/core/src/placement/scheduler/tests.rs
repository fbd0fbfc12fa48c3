//! Given clusters, sets and a placement; when something changes; then it decides, or does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use skein_schema::code::Code;
use skein_schema::event::{Event, PlacementDecided, TaintsChanged};
use skein_schema::kind::managed_cluster::{TAINT_UNREACHABLE, Taint, TaintEffect};
use skein_schema::name::{ClusterName, ObjectName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;

use crate::decide::{Decision, Subject};
use crate::scenario::{
    Scenario, apply, binding_document, cluster_document, cluster_key, code, delete, fold,
    namespace_document, patch, set_document,
};
use crate::snapshot;
use crate::stamp::kubernetes_time;
use skein_schema::command::Change;

fn key(kind: KindName, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        workspace: Some(Workspace::new("shop").unwrap()),
        name: ObjectName::new(name).unwrap(),
    }
}

fn web() -> ObjectKey {
    key(KindName::Placement, "web")
}

fn placement(spec: &Value) -> Value {
    json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta1", "kind": "Placement",
        "metadata": {"name": "web", "namespace": "shop"}, "spec": spec,
    })
}

fn cluster(name: &str, zone: &str) -> Value {
    let mut document = cluster_document(name);
    document["metadata"]["labels"] = json!({
        "zone": zone, "cluster.open-cluster-management.io/clusterset": "eu",
    });
    document
}

impl Scenario {
    /// The workspace `shop` that may use the set `eu`, and clusters `a1`, `a2`, … in zone a and
    /// `b1`, … in zone b that are all well.
    fn shop(a: usize, b: usize) -> Self {
        let mut hub = Self::new()
            .with(set_document("eu"))
            .with(namespace_document("shop"))
            .with(binding_document("shop", "eu"));
        for (zone, count) in [("a", a), ("b", b)] {
            for number in 1..=count {
                let name = format!("{zone}{number}");
                hub = hub.with(cluster(&name, zone));
                hub.taint(&name, None);
            }
        }
        hub
    }

    /// The hub finds a cluster well, or lost.
    fn taint(&mut self, cluster: &str, effect: Option<TaintEffect>) {
        let taint = |effect| Taint {
            key: TAINT_UNREACHABLE.to_owned(),
            value: String::new(),
            effect,
            time_added: Some(kubernetes_time(self.now)),
        };
        let event = Event::TaintsChanged(TaintsChanged {
            cluster: ClusterName::new(cluster).unwrap(),
            taints: effect.map(taint).into_iter().collect(),
        });
        let subject = Subject::Object(cluster_key(cluster));
        let decision = Decision::new(subject, Change::Configured, vec![event]);
        self.record(&decision, &"hub:hub-0".parse().unwrap(), None);
        self.let_placements_decide();
    }

    fn place(mut self, spec: &Value) -> Self {
        self.run(&apply(placement(spec))).unwrap();
        self
    }

    /// Every decision of `web` so far, each as its clusters, in order.
    fn decisions(&self) -> Vec<String> {
        let events = self.stored.iter().flat_map(|stored| &stored.record.events);
        let decided = events.filter_map(|event| match event {
            Event::PlacementDecided(decided) => Some(clusters(decided)),
            _ => None,
        });
        decided.collect()
    }

    /// The clusters of `web` as its PlacementDecisions show them.
    fn shown(&self) -> Vec<Vec<String>> {
        let slices = (1..).map(|number| {
            key(
                KindName::PlacementDecision,
                &format!("web-decision-{number}"),
            )
        });
        let slices =
            slices.map_while(|key| self.world.get(&key).is_some().then(|| self.view(&key)));
        let names = |slice: Value| {
            let decisions = slice["status"]["decisions"].as_array().unwrap().clone();
            let names = decisions
                .iter()
                .map(|one| one["clusterName"].as_str().unwrap().to_owned());
            names.collect()
        };
        slices.map(names).collect()
    }

    fn satisfied(&self) -> String {
        self.condition(&web(), "PlacementSatisfied").unwrap()
    }
}

fn clusters(decided: &PlacementDecided) -> String {
    let groups = decided.groups.iter().flat_map(|group| &group.clusters);
    let names: Vec<_> = groups.map(|(cluster, _)| cluster.as_str()).collect();
    names.join(" ")
}

#[test]
fn a_placement_decides_when_it_is_applied() {
    let hub = Scenario::shop(2, 1).place(&json!({}));
    assert_eq!(hub.decisions(), ["a1 a2 b1"]);
    assert_eq!(hub.shown(), [["a1", "a2", "b1"]]);
    assert_eq!(hub.satisfied(), "True/AllDecisionsScheduled");
    let view = hub.view(&web());
    assert_eq!(view["status"]["numberOfSelectedClusters"], 3);
    let group = &view["status"]["decisionGroups"][0];
    assert_eq!(group["decisions"], json!(["web-decision-1"]));
    let slice = hub.view(&key(KindName::PlacementDecision, "web-decision-1"));
    let labels = &slice["metadata"]["labels"];
    assert_eq!(
        labels["cluster.open-cluster-management.io/placement"],
        "web"
    );
    assert_eq!(
        labels["cluster.open-cluster-management.io/decision-group-index"],
        "0"
    );
    assert_eq!(
        hub.condition(&web(), "PlacementMisconfigured").unwrap(),
        "False/Succeedconfigured"
    );
}

#[test]
fn what_does_not_matter_is_not_recorded() {
    let mut hub = Scenario::shop(2, 1).place(&json!({}));
    let note = patch(
        cluster_key("a1"),
        json!({"metadata": {"annotations": {"example.com/note": "x"}}}),
    );
    hub.run(&note).unwrap();
    hub.run(&apply(set_document("us"))).unwrap();
    hub.pass(3600);
    assert_eq!(hub.decisions().len(), 1);
}

#[test]
fn clusters_that_come_go_and_change_are_decided_upon() {
    let spec = json!({"predicates": [{"requiredClusterSelector": {"labelSelector": {"matchLabels": {"zone": "a"}}}}]});
    let mut hub = Scenario::shop(2, 1).place(&spec);
    hub.pass(1);
    hub.run(&patch(
        cluster_key("b1"),
        json!({"metadata": {"labels": {"zone": "a"}}}),
    ))
    .unwrap();
    hub.pass(1);
    hub.run(&delete(cluster_key("a1"))).unwrap();
    hub.pass(1);
    hub.run(&apply(cluster("a9", "a"))).unwrap();
    hub.taint("a9", None);
    hub.pass(1);
    assert_eq!(hub.decisions().last().unwrap(), "a2 a9 b1");
    assert_eq!(hub.shown(), [["a2", "a9", "b1"]]);
}

#[test]
fn a_lost_cluster_is_replaced_in_one_step() {
    let mut hub = Scenario::shop(3, 3).place(&json!({"numberOfClusters": 3}));
    assert_eq!(hub.decisions(), ["a1 a2 a3"]);
    hub.pass(1);
    hub.taint("a2", Some(TaintEffect::NoSelect));
    // It may be the first of many; a moment shows.
    hub.pass(19);
    assert_eq!(hub.shown(), [["a1", "a2", "a3"]]);
    hub.pass(1);
    assert_eq!(hub.decisions(), ["a1 a2 a3", "a1 a3 b1"]);
    let stored = hub.stored.last().unwrap();
    let Event::PlacementDecided(decided) = &stored.record.events[0] else {
        panic!("{stored:?}");
    };
    let left_out = serde_json::to_value(&decided.left_out).unwrap();
    let taint = json!({"type": "taint", "key": TAINT_UNREACHABLE, "effect": "NoSelect"});
    assert_eq!(left_out[0], json!({"reason": taint, "clusters": ["a2"]}));
    assert_eq!(
        left_out[1],
        json!({"reason": {"type": "rank"}, "clusters": ["b2", "b3"]})
    );
}

#[test]
fn a_mass_partition_moves_nothing() {
    let mut hub = Scenario::shop(6, 6).place(&json!({"numberOfClusters": 6}));
    hub.pass(1);
    // Noticed one after another, as heartbeats run out.
    for cluster in ["a1", "a2", "a3", "a4"] {
        hub.taint(cluster, Some(TaintEffect::NoSelect));
        hub.pass(5);
    }
    hub.pass(1800);
    let stays = |decision: &String| decision == "a1 a2 a3 a4 a5 a6";
    assert!(hub.decisions().iter().all(stays), "{:?}", hub.decisions());
    // They come back, all but one, which is then lost by itself.
    for cluster in ["a1", "a2", "a3"] {
        hub.taint(cluster, None);
    }
    hub.pass(1);
    assert_eq!(hub.decisions().last().unwrap(), "a1 a2 a3 a5 a6 b1");
}

#[test]
fn clusters_lost_long_ago_do_not_hold_others() {
    let mut hub = Scenario::shop(3, 3);
    for cluster in ["b2", "b3"] {
        hub.taint(cluster, Some(TaintEffect::NoSelect));
    }
    hub.pass(3600);
    let mut hub = hub.place(&json!({"numberOfClusters": 3}));
    hub.taint("a1", Some(TaintEffect::NoSelect));
    hub.pass(20);
    assert_eq!(hub.shown(), [["a2", "a3", "b1"]]);
}

#[test]
fn a_paused_placement_stays_as_it_is() {
    let mut hub = Scenario::shop(2, 0).place(&json!({}));
    let pause = "cluster.open-cluster-management.io/experimental-scheduling-disable";
    let paused = |value: &str| patch(web(), json!({"metadata": {"annotations": {pause: value}}}));
    hub.run(&paused("true")).unwrap();
    hub.pass(1);
    hub.run(&delete(cluster_key("a1"))).unwrap();
    hub.pass(3600);
    assert_eq!(hub.shown(), [["a1", "a2"]]);
    hub.run(&paused("false")).unwrap();
    assert_eq!(hub.shown(), [["a2"]]);
}

#[test]
fn a_toleration_ends_by_itself() {
    let spec = json!({"tolerations": [{"key": TAINT_UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}]});
    let mut hub = Scenario::shop(4, 0).place(&spec);
    hub.pass(1);
    hub.taint("a1", Some(TaintEffect::NoSelect));
    hub.pass(299);
    assert_eq!(hub.shown(), [["a1", "a2", "a3", "a4"]]);
    hub.pass(2);
    assert_eq!(hub.shown(), [["a2", "a3", "a4"]]);
}

#[test]
fn scores_count_until_they_are_too_old() {
    let spec = json!({"numberOfClusters": 1, "prioritizerPolicy": {"mode": "Exact", "configurations": [
        {"scoreCoordinate": {"type": "AddOn", "addOn": {"resourceName": "sizing", "scoreName": "free"}}},
    ]}});
    let mut hub = Scenario::shop(2, 0)
        .with(namespace_document("a2"))
        .place(&spec);
    assert_eq!(hub.shown(), [["a1"]]);
    hub.pass(1);
    let until = hub.now + jiff::SignedDuration::from_secs(60);
    let score = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1alpha1", "kind": "AddOnPlacementScore",
        "metadata": {"name": "sizing", "namespace": "a2"},
        "status": {"scores": [{"name": "free", "value": 90}], "validUntil": until.to_string()},
    });
    hub.run(&apply(score)).unwrap();
    assert_eq!(hub.shown(), [["a2"]]);
    hub.pass(60);
    assert_eq!(hub.shown(), [["a2"]]);
    hub.pass(1);
    assert_eq!(hub.shown(), [["a1"]]);
    assert_eq!(hub.world.decision(&web()).unwrap().decided.expired.len(), 1);
}

#[test]
fn scores_alone_are_recorded_at_the_rate_that_is_asked_for() {
    let spec = json!({"scoreRateLimit": "5m"});
    let mut hub = Scenario::shop(2, 0).place(&spec);
    // Steady scores the clusters otherwise from now on; nothing else has changed.
    hub.pass(10);
    hub.run(&patch(
        cluster_key("a1"),
        json!({"metadata": {"labels": {"note": "x"}}}),
    ))
    .unwrap();
    hub.pass(200);
    assert_eq!(hub.decisions().len(), 1);
    hub.pass(100);
    assert_eq!(hub.decisions(), ["a1 a2", "a1 a2"]);
}

#[test]
fn a_binding_gives_and_takes_clusters() {
    let mut hub = Scenario::shop(2, 0).place(&json!({}));
    hub.pass(1);
    hub.run(&delete(key(KindName::ManagedClusterSetBinding, "eu")))
        .unwrap();
    assert_eq!(hub.satisfied(), "False/NoManagedClusterSetBindings");
    assert_eq!(hub.shown(), [Vec::<String>::new()]);
    hub.pass(1);
    hub.run(&apply(binding_document("shop", "eu"))).unwrap();
    assert_eq!(hub.shown(), [["a1", "a2"]]);
}

#[test]
fn groups_and_slices_change_with_their_clusters() {
    let strategy = json!({"groupStrategy": {"decisionGroups": [
        {"groupName": "canary", "groupClusterSelector": {"labelSelector": {"matchLabels": {"zone": "b"}}}},
    ]}});
    let mut hub = Scenario::shop(101, 1).place(&json!({"decisionStrategy": strategy}));
    let sizes = |hub: &Scenario| hub.shown().iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&hub), [1, 100, 1]);
    hub.pass(1);
    hub.run(&delete(cluster_key("b1"))).unwrap();
    assert_eq!(sizes(&hub), [100, 1]);
}

#[test]
fn a_placement_takes_its_decisions_with_it() {
    let mut hub = Scenario::shop(1, 0).place(&json!({}));
    hub.run(&delete(web())).unwrap();
    assert_eq!(hub.world.count(KindName::PlacementDecision), 0);
    assert!(hub.world.decision(&web()).is_none());
    // One of the same name begins anew.
    hub.run(&apply(placement(&json!({})))).unwrap();
    assert_eq!(hub.shown(), [["a1"]]);
}

#[test]
fn what_cannot_be_carried_out_is_refused_and_changes_nothing() {
    let mut hub = Scenario::shop(1, 0).place(&json!({}));
    let bad = placement(
        &json!({"predicates": [{"requiredClusterSelector": {"celSelector": {"celExpressions": ["nope("]}}}]}),
    );
    let refusal = hub.run(&apply(bad)).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    assert_eq!(
        refusal.causes[0].path,
        "spec.predicates[0].requiredClusterSelector.celSelector.celExpressions[0]"
    );
    assert_eq!(hub.shown(), [["a1"]]);
    let slice = hub.view(&key(KindName::PlacementDecision, "web-decision-1"));
    assert_eq!(code(hub.run(&apply(slice))), Code::InvalidField);
    let gone = delete(key(KindName::PlacementDecision, "web-decision-1"));
    assert_eq!(code(hub.run(&gone)), Code::Protected);
}

#[test]
fn replaying_gives_the_same_world() {
    let mut hub = Scenario::shop(3, 2).place(&json!({"numberOfClusters": 2}));
    hub.pass(1);
    hub.taint("a1", Some(TaintEffect::NoSelect));
    assert_eq!(fold(&hub.stored), hub.world);
    let bytes = snapshot::encode(&hub.world, &hub.observed);
    let (world, observed) = snapshot::decode(&bytes).unwrap();
    assert_eq!(world, hub.world);
    assert_eq!(snapshot::encode(&world, &observed), bytes);
}
