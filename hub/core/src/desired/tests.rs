//! What clusters are told.

use serde_json::json;
use skein_schema::desired::DesiredChange;
use skein_schema::name::{ClusterName, SetName};

use super::snapshot;
use crate::scenario::*;

const SET_LABEL: &str = "cluster.open-cluster-management.io/clusterset";

fn told(hub: &mut Scenario) -> Vec<String> {
    let told = std::mem::take(&mut hub.told);
    told.into_iter()
        .map(|(cluster, set, change)| {
            let change = match change {
                DesiredChange::Work(work) => format!("work {} gen {}", work.name, work.generation),
                DesiredChange::RemoveWork { name, .. } => format!("remove {name}"),
                DesiredChange::ForgetWork { name, .. } => format!("forget {name}"),
                DesiredChange::Settings(settings) => format!(
                    "settings lease {} namespaces {:?}",
                    settings.lease_duration_seconds,
                    settings.managed_namespaces.keys().collect::<Vec<_>>()
                ),
                DesiredChange::Moved { clusterset } => format!("moved {clusterset}"),
                other => panic!("{other:?}"),
            };
            format!("{set}/{cluster}: {change}")
        })
        .collect()
}

#[test]
fn a_works_life_is_told_step_by_step() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    assert!(
        told(&mut hub).is_empty(),
        "a cluster begins with a snapshot"
    );
    hub.run(&apply(work_document("c1", "web", &[config_map("a", "1")])))
        .unwrap();
    assert_eq!(told(&mut hub), ["default/c1: work web gen 1"]);
    hub.run(&patch(
        work_key("c1", "web"),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ))
    .unwrap();
    assert!(told(&mut hub).is_empty(), "labels are the hub's affair");
    hub.run(&apply(work_document("c1", "web", &[config_map("a", "2")])))
        .unwrap();
    assert_eq!(told(&mut hub), ["default/c1: work web gen 2"]);
    hub.run(&delete(work_key("c1", "web"))).unwrap();
    assert_eq!(told(&mut hub), ["default/c1: remove web"]);
    hub.report_removed("c1", "web");
    assert_eq!(told(&mut hub), ["default/c1: forget web"]);
}

#[test]
fn a_forced_deletion_is_told_as_a_removal() {
    let mut hub = Scenario::new().with_cluster("c1", 1).with(work_document(
        "c1",
        "web",
        &[config_map("a", "1")],
    ));
    told(&mut hub);
    hub.run(&force_delete(work_key("c1", "web"))).unwrap();
    assert_eq!(told(&mut hub), ["default/c1: remove web"]);
}

#[test]
fn a_detach_removes_every_work() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with(work_document("c1", "web", &[config_map("a", "1")]))
        .with(work_document("c1", "api", &[config_map("b", "1")]));
    told(&mut hub);
    hub.run(&delete(cluster_key("c1"))).unwrap();
    assert_eq!(
        told(&mut hub),
        ["default/c1: remove api", "default/c1: remove web"]
    );
}

#[test]
fn a_move_is_told_under_the_old_set_and_alone() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with(set_document("eu"));
    told(&mut hub);
    let change =
        json!({"metadata": {"labels": {SET_LABEL: "eu"}}, "spec": {"leaseDurationSeconds": 10}});
    hub.run(&patch(cluster_key("c1"), change)).unwrap();
    assert_eq!(told(&mut hub), ["default/c1: moved eu"]);
    let (settings, works) = snapshot(&hub.world, &ClusterName::new("c1").unwrap()).unwrap();
    assert_eq!(settings.clusterset, SetName::new("eu").unwrap());
    assert_eq!(settings.lease_duration_seconds, 10);
    assert!(works.is_empty());
}

#[test]
fn settings_follow_the_cluster_and_its_sets() {
    let mut hub = Scenario::new().with_cluster("c1", 1).with_cluster("c2", 2);
    told(&mut hub);
    hub.run(&patch(
        cluster_key("c1"),
        json!({"spec": {"leaseDurationSeconds": 10}}),
    ))
    .unwrap();
    assert_eq!(
        told(&mut hub),
        ["default/c1: settings lease 10 namespaces []"]
    );
    let mut set = set_document("labelled");
    set["spec"] = json!({
        "clusterSelector": {"selectorType": "LabelSelector", "labelSelector": {"matchLabels": {"tier": "edge"}}},
        "managedNamespaces": [{"name": "shop"}],
    });
    hub.run(&apply(set)).unwrap();
    assert!(told(&mut hub).is_empty(), "no cluster is in it");
    hub.run(&patch(
        cluster_key("c2"),
        json!({"metadata": {"labels": {"tier": "edge"}}}),
    ))
    .unwrap();
    assert_eq!(
        told(&mut hub),
        ["default/c2: settings lease 60 namespaces [\"shop\"]"]
    );
    let more = json!({"spec": {"managedNamespaces": [{"name": "shop"}, {"name": "tools"}]}});
    hub.run(&patch(set_key("labelled"), more)).unwrap();
    assert_eq!(
        told(&mut hub),
        ["default/c2: settings lease 60 namespaces [\"shop\", \"tools\"]"]
    );
    hub.run(&delete(set_key("labelled"))).unwrap();
    assert_eq!(
        told(&mut hub),
        ["default/c2: settings lease 60 namespaces []"]
    );
}

#[test]
fn a_snapshot_holds_all_works_in_order_with_those_that_leave() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with(work_document("c1", "web", &[config_map("a", "1")]))
        .with(work_document("c1", "api", &[config_map("b", "1")]));
    hub.run(&delete(work_key("c1", "web"))).unwrap();
    let (_, works) = snapshot(&hub.world, &ClusterName::new("c1").unwrap()).unwrap();
    let works: Vec<_> = works
        .iter()
        .map(|work| (work.name.as_str(), work.deletion_timestamp.is_some()))
        .collect();
    assert_eq!(works, [("api", false), ("web", true)]);
    assert!(snapshot(&hub.world, &ClusterName::new("c9").unwrap()).is_none());
}
