use serde_json::json;

use super::*;
use crate::sim_cluster::kinds;

fn fields(group: &str, plural: &str, object: &Value) -> Vec<String> {
    let kind = kinds::builtin(group, "v1", plural).expect("built in");
    check_new(kind, object)
        .into_iter()
        .map(|cause| cause.field)
        .collect()
}

#[test]
fn names_follow_the_rules_of_their_kind() {
    for (group, plural, name, good) in [
        ("", "configmaps", "a.b-c", true),
        ("", "configmaps", "Bad_Name", false),
        ("", "configmaps", "a..b", false),
        ("", "namespaces", "a.b", false),
        ("", "namespaces", "team-1", true),
        (
            "rbac.authorization.k8s.io",
            "clusterroles",
            "system:node",
            true,
        ),
        ("rbac.authorization.k8s.io", "clusterroles", "a/b", false),
    ] {
        let found = fields(group, plural, &json!({"metadata": {"name": name}}));
        assert_eq!(found.is_empty(), good, "{plural} {name}: {found:?}");
    }
}

#[test]
fn a_workload_needs_a_selector_that_fits_and_containers() {
    let deployment = json!({"metadata": {"name": "a"}, "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "b"}}, "spec": {"containers": [{"name": "c"}]}}}});
    assert_eq!(
        fields("apps", "deployments", &deployment),
        [
            "spec.template.metadata.labels",
            "spec.template.spec.containers[0].image"
        ]
    );
}

#[test]
fn what_is_immutable_stays() {
    let kind = kinds::builtin("", "v1", "configmaps").expect("built in");
    let old = json!({"metadata": {"name": "a"}, "immutable": true, "data": {"k": "1"}});
    let new = json!({"metadata": {"name": "a"}, "immutable": true, "data": {"k": "2"}});
    let causes = check_change(kind, &old, &new);
    assert_eq!(
        causes,
        [Cause::forbidden(
            "data",
            "field is immutable when `immutable` is set"
        )]
    );
}

#[test]
fn labels_and_owners_are_checked() {
    let object = json!({"metadata": {"name": "a", "labels": {"bad key": "v", "k": "-v-"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}});
    assert_eq!(
        fields("", "configmaps", &object),
        [
            "metadata.labels",
            "metadata.labels",
            "metadata.ownerReferences.uid"
        ]
    );
}
