#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::decode::{Unknown, decode};
use crate::kind::admission::{AdmissionRules, admit};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Paths of the problems of a new set.
fn problems(name: &str, selector: &Value) -> Vec<String> {
    let set = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta2", "kind": "ManagedClusterSet",
        "metadata": {"name": name}, "spec": {"clusterSelector": selector},
    });
    let rules = AdmissionRules::at(Timestamp::UNIX_EPOCH);
    let admitted =
        decode(set, Unknown::Refuse).and_then(|decoded| admit(decoded.resource, None, &rules));
    match admitted {
        Ok(admitted) => {
            assert!(admitted.reviews.is_empty());
            Vec::new()
        }
        Err(errors) => errors.into_iter().map(|error| error.path).collect(),
    }
}

#[test]
fn an_exclusive_set_has_a_name_that_fits_a_label() {
    let by_labels = json!({"selectorType": "LabelSelector", "labelSelector": {}});
    assert_eq!(problems(&"a".repeat(63), &Value::Null), [""; 0]);
    assert_eq!(problems(&"a".repeat(64), &Value::Null), ["metadata.name"]);
    assert_eq!(problems(&"a".repeat(253), &by_labels), [""; 0]);
    assert_eq!(problems(&"a".repeat(254), &by_labels), ["metadata.name"]);
    assert_eq!(problems("eu.west", &Value::Null), [""; 0]);
}

#[test]
fn a_label_selector_is_checked_when_it_is_written() {
    let terms = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": []}]});
    let selector = json!({"selectorType": "LabelSelector", "labelSelector": terms});
    let path = "spec.clusterSelector.labelSelector.matchExpressions[0].values";
    assert_eq!(problems("s", &selector), [path]);
    let regex = json!({"selectorType": "Regex"});
    assert_eq!(problems("s", &regex), ["spec.clusterSelector.selectorType"]);
}
