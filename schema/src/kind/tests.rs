#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::decode::shape::Shape;
use crate::decode::{Unknown, decode, parse_json};
use crate::resource::{KINDS, Resource};
use serde_json::Value;

/// One object of each kind in which every known field is set.
const GOLDEN: &[&str] = &[
    include_str!("../../tests/golden/kinds/add_on_placement_score.json"),
    include_str!("../../tests/golden/kinds/cluster_role.json"),
    include_str!("../../tests/golden/kinds/cluster_role_binding.json"),
    include_str!("../../tests/golden/kinds/managed_cluster.json"),
    include_str!("../../tests/golden/kinds/managed_cluster_set.json"),
    include_str!("../../tests/golden/kinds/managed_cluster_set_binding.json"),
    include_str!("../../tests/golden/kinds/manifest_work.json"),
    include_str!("../../tests/golden/kinds/namespace.json"),
    include_str!("../../tests/golden/kinds/placement.json"),
    include_str!("../../tests/golden/kinds/placement_decision.json"),
    include_str!("../../tests/golden/kinds/role.json"),
    include_str!("../../tests/golden/kinds/role_binding.json"),
];

fn golden() -> impl Iterator<Item = (&'static KindInfo, Value)> {
    assert_eq!(GOLDEN.len(), KINDS.len());
    KINDS
        .iter()
        .zip(GOLDEN)
        .map(|(info, text)| (info, parse_json(text.as_bytes()).unwrap()))
}

#[test]
fn the_wire_form_of_every_field_of_every_kind_is_kept() {
    for (info, value) in golden() {
        let resource = decode(value.clone(), Unknown::Refuse).unwrap().resource;
        assert_eq!(resource.kind_name(), info.name);
        assert_eq!(resource.to_value(), without_empty_generate_name(value));
        assert_eq!(Resource::from_value(resource.to_value()).unwrap(), resource);
        let text = serde_json::to_string(&resource).unwrap();
        assert_eq!(serde_json::from_str::<Resource>(&text).unwrap(), resource);
    }
}

/// A name is always written out, so the golden files can show `generateName` only empty.
fn without_empty_generate_name(value: Value) -> Value {
    assert_eq!(value["metadata"]["generateName"], "");
    value
}

/// Together with the test above: the shapes and the Rust types know the same fields.
#[test]
fn the_golden_objects_set_every_field_of_the_shape() {
    for (info, value) in golden() {
        assert_all_set(info.kind, &value, &Shape::Object(info.fields));
        let metadata = Shape::Object(object_meta::OBJECT_META);
        let path = format!("{}.metadata", info.kind);
        let mut metadata_value = value["metadata"].clone();
        if info.scope == Scope::Cluster {
            assert!(metadata_value.get("namespace").is_none());
            metadata_value["namespace"] = Value::from("checked elsewhere");
        }
        assert_all_set(&path, &metadata_value, &metadata);
    }
}

fn assert_all_set(path: &str, value: &Value, shape: &Shape) {
    match shape {
        Shape::Object(fields) => {
            for field in *fields {
                let path = format!("{path}.{}", field.name);
                if !path.contains(".fieldValue.") {
                    assert!(value.get(field.name).is_some(), "{path} is not set");
                    assert_all_set(&path, &value[field.name], &field.shape);
                }
            }
        }
        Shape::List { item, .. } => {
            let items = value.as_array().unwrap();
            assert!(!items.is_empty(), "{path} is empty");
            for item_value in items {
                assert_all_set(path, item_value, item);
            }
        }
        Shape::Map { .. } => assert!(!value.as_object().unwrap().is_empty(), "{path} is empty"),
        _ => {}
    }
}

#[test]
fn the_smallest_object_of_a_kind_stays_small() {
    for info in KINDS {
        let mut value = serde_json::json!({
            "apiVersion": info.api_version(), "kind": info.kind, "metadata": {"name": "a"},
        });
        if info.namespaced() {
            value["metadata"]["namespace"] = Value::from("n");
        }
        if info.kind == "ManagedClusterSetBinding" {
            value["spec"] = serde_json::json!({"clusterSet": "a"});
        }
        if info.kind == "Placement" {
            value["spec"] = serde_json::json!({});
        }
        if info.kind.ends_with("RoleBinding") {
            value["roleRef"] = serde_json::json!({"kind": "ClusterRole", "name": "a"});
        }
        let written = decode(value.clone(), Unknown::Refuse)
            .unwrap()
            .resource
            .to_value();
        assert_eq!(written["metadata"], value["metadata"]);
        assert_eq!(written.get("status"), None);
    }
}
