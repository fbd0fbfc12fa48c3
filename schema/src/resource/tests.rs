#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::kind::managed_cluster::{ManagedClusterSpec, Taint, TaintEffect};
use serde_json::json;

fn cluster() -> Resource {
    let mut cluster = ManagedCluster {
        spec: ManagedClusterSpec {
            taints: vec![Taint {
                key: "gpu".to_owned(),
                value: String::new(),
                effect: TaintEffect::NoSelect,
                time_added: None,
            }],
            ..ManagedClusterSpec::default()
        },
        ..ManagedCluster::default()
    };
    cluster.metadata.name = Some("c1".to_owned());
    Resource::from(cluster)
}

#[test]
fn wire_form_has_api_version_and_kind_and_skips_what_is_absent() {
    let expected = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1",
        "kind": "ManagedCluster",
        "metadata": {"name": "c1"},
        "spec": {"hubAcceptsClient": false, "taints": [{"effect": "NoSelect", "key": "gpu"}]},
    });
    assert_eq!(cluster().to_value(), expected);
    assert_eq!(cluster().to_json(), expected.to_string());
    assert_eq!(Resource::from_value(expected).unwrap(), cluster());
}

#[test]
fn namespaces_follow_the_scope_of_the_kind() {
    let mut odd = cluster();
    odd.metadata_mut().namespace = Some("x".to_owned());
    assert_eq!(odd.namespace(), None);
    let work = Resource::from(ManifestWork::default());
    assert_eq!((work.namespace(), work.name()), (Some(""), ""));
}

#[test]
fn status_is_replaced_and_removed_as_a_value() {
    let with = cluster()
        .with_status_value(json!({"version": {"kubernetes": "v1.36.0"}}))
        .unwrap();
    assert_eq!(
        with.status_value(),
        json!({"version": {"kubernetes": "v1.36.0"}})
    );
    assert_eq!(with.with_status_value(Value::Null).unwrap(), cluster());
    let error = cluster()
        .with_status_value(json!({"version": 5}))
        .unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Shape {
                kind: KindName::ManagedCluster,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn reading_what_is_no_known_object_says_why() {
    let not_an_object = Resource::from_value(json!([])).unwrap_err();
    assert!(matches!(not_an_object, ReadError::NotAnObject));
    let unknown = Resource::from_value(json!({"apiVersion": "v9", "kind": "Pod"})).unwrap_err();
    assert!(matches!(unknown, ReadError::UnknownKind { .. }));
}

#[test]
fn every_kind_is_found_by_its_own_names() {
    for name in KindName::ALL.iter().copied() {
        let info = name.info();
        assert_eq!(info.name, name);
        assert_eq!(info.singular, info.kind.to_lowercase());
        assert_eq!(serde_json::to_value(name).unwrap(), info.kind);
        assert_eq!(
            crate::kind::lookup(&info.api_version(), info.kind).unwrap(),
            info
        );
        assert_eq!(
            crate::kind::resolve(&info.qualified_plural()).unwrap(),
            info
        );
    }
    assert_eq!(KINDS.len(), KindName::ALL.len());
}
