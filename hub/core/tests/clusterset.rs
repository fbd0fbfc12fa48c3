//! Membership in sets agrees with OCM's answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::Deserialize;
use serde_json::{Value, json};
use skein_hub_core::clusterset::{clusters_of_set, sets_of_cluster};
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::kind::managed_cluster_set::ManagedClusterSet;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    id: String,
    /// Labels by cluster.
    clusters: BTreeMap<String, BTreeMap<String, String>>,
    /// Selectors by set.
    sets: BTreeMap<String, Value>,
    /// Clusters by set, or the text `error`.
    members: BTreeMap<String, Value>,
    /// Sets by cluster, or the text `error`.
    sets_of_cluster: BTreeMap<String, Value>,
}

/// A selector type that is not known cannot be in a typed set: OCM's `error` is a set that is
/// never stored here.
fn set(name: &str, selector: &Value) -> Option<ManagedClusterSet> {
    let mut selector = selector.clone();
    if selector["selectorType"] == "" {
        selector.as_object_mut().unwrap().remove("selectorType");
    }
    let selector = if selector.is_null() {
        json!({})
    } else {
        selector
    };
    let set = json!({"metadata": {"name": name}, "spec": {"clusterSelector": selector}});
    serde_json::from_value(set).ok()
}

fn cluster(name: &str, labels: &BTreeMap<String, String>) -> ManagedCluster {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
}

#[test]
fn membership_agrees_with_ocm() {
    let cases = include_str!("vectors/clusterset.jsonl").lines();
    let cases: Vec<Case> = cases
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 54);
    for case in cases {
        let clusters: Vec<_> = case
            .clusters
            .iter()
            .map(|(name, l)| cluster(name, l))
            .collect();
        let sets: BTreeMap<_, _> = case
            .sets
            .iter()
            .map(|(name, s)| (name, set(name, s)))
            .collect();
        for (name, set) in &sets {
            let members = set
                .as_ref()
                .and_then(|set| clusters_of_set(set, &clusters).ok());
            let members = members.map_or(json!("error"), |members| json!(members));
            assert_eq!(
                members, case.members[*name],
                "{}: members of {name}",
                case.id
            );
        }
        let untyped = sets.values().any(Option::is_none);
        for cluster in &clusters {
            let name = cluster.metadata.name.as_deref().unwrap();
            let found = sets_of_cluster(cluster, sets.values().flatten());
            let answer = if untyped || !found.broken.is_empty() {
                json!("error")
            } else {
                json!(found.sets)
            };
            assert_eq!(
                answer, case.sets_of_cluster[name],
                "{}: sets of {name}",
                case.id
            );
        }
    }
}

#[test]
fn a_broken_set_breaks_only_itself() {
    let broken =
        json!({"selectorType": "LabelSelector", "labelSelector": {"matchLabels": {"/": "x"}}});
    let all = json!({"selectorType": "LabelSelector", "labelSelector": {}});
    let sets = [set("broken", &broken).unwrap(), set("all", &all).unwrap()];
    let found = sets_of_cluster(&cluster("c1", &BTreeMap::new()), &sets);
    assert_eq!((found.sets, found.broken), (vec!["all"], vec!["broken"]));
}
