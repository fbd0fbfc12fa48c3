#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "documents are written where they are passed"
)]

use super::warnings;
use crate::code::{Code, Refusal};
use crate::decode::{Unknown, decode};
use crate::kind::admission::{AdmissionRules, admit};
use crate::resource::Resource;
use serde_json::{Value, json};

fn document(kind: &str, namespaced: bool, fields: Value) -> Value {
    let mut document = fields;
    document["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    document["kind"] = json!(kind);
    document["metadata"] = json!({"name": "team:example"});
    if namespaced {
        document["metadata"]["namespace"] = json!("team");
    }
    document
}

fn read(document: Value) -> Resource {
    decode(document, Unknown::Refuse).unwrap().resource
}

/// The paths of what is wrong with a document, from decoding or else from admission.
fn wrong(document: Value, old: Option<Value>) -> Vec<String> {
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    let paths = |errors: Vec<crate::decode::FieldError>| {
        assert!(
            Refusal::of_fields("it", &errors).code != Code::UnknownKind,
            "{errors:?}"
        );
        errors.into_iter().map(|error| error.path).collect()
    };
    match decode(document, Unknown::Refuse) {
        Err(errors) => paths(errors),
        Ok(decoded) => {
            let old = old.map(read);
            admit(decoded.resource, old.as_ref(), &AdmissionRules::at(now))
                .map_or_else(paths, |_| Vec::new())
        }
    }
}

fn role(rule: Value) -> Value {
    document("Role", true, json!({"rules": [rule]}))
}

fn cluster_role(rule: Value) -> Value {
    document("ClusterRole", false, json!({"rules": [rule]}))
}

fn binding(kind: &str, role: &str, subject: Value) -> Value {
    let role_ref = json!({"kind": role, "name": "team:example"});
    document(
        kind,
        kind == "RoleBinding",
        json!({"roleRef": role_ref, "subjects": [subject]}),
    )
}

#[test]
fn a_rule_is_about_resources_or_about_urls() {
    let good = json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]});
    assert_eq!(wrong(role(good.clone()), None), [""; 0]);
    assert_eq!(wrong(cluster_role(good.clone()), None), [""; 0]);
    let urls = json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]});
    assert_eq!(wrong(cluster_role(urls.clone()), None), [""; 0]);
    assert_eq!(wrong(role(urls), None), ["rules[0].nonResourceURLs"]);
    let mut both = good.clone();
    both["nonResourceURLs"] = json!(["/metrics"]);
    assert_eq!(
        wrong(cluster_role(both), None),
        ["rules[0].apiGroups", "rules[0].resources"]
    );
    for missing in ["apiGroups", "resources", "verbs"] {
        for empty in [json!([]), Value::Null] {
            let mut rule = good.clone();
            rule[missing] = empty;
            let path = format!("rules[0].{missing}");
            assert_eq!(wrong(role(rule.clone()), None), std::slice::from_ref(&path));
            assert_eq!(wrong(cluster_role(rule), None), [path]);
        }
    }
}

#[test]
fn a_role_with_too_many_combinations_is_refused() {
    let words = |count: usize| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>();
    let rule =
        |count| json!({"apiGroups": words(count), "resources": words(100), "verbs": words(10)});
    assert_eq!(wrong(role(rule(10)), None), [""; 0]);
    assert_eq!(wrong(role(rule(11)), None), ["rules"]);
}

#[test]
fn an_aggregation_rule_has_a_selector_that_can_be_read() {
    let with = |selectors: Value| {
        let rule = json!({"clusterRoleSelectors": selectors});
        document("ClusterRole", false, json!({"aggregationRule": rule}))
    };
    assert_eq!(
        wrong(with(json!([{"matchLabels": {"a": "b"}}])), None),
        [""; 0]
    );
    let path = "aggregationRule.clusterRoleSelectors";
    assert_eq!(wrong(with(json!([])), None), [path]);
    let bad = json!([{"matchExpressions": [{"key": "a", "operator": "In"}]}]);
    assert_eq!(
        wrong(with(bad), None),
        [format!("{path}[0].matchExpressions[0].values")]
    );
}

#[test]
fn a_binding_names_users_groups_and_a_role_that_never_changes() {
    let alice = json!({"kind": "User", "name": "alice"});
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        let good = binding(kind, "ClusterRole", alice.clone());
        assert_eq!(wrong(good.clone(), None), [""; 0]);
        let mut other = good.clone();
        other["roleRef"]["name"] = json!("other");
        assert_eq!(wrong(other, Some(good)), ["roleRef"]);
        for (subject, path) in [
            (
                json!({"kind": "ServiceAccount", "name": "a", "namespace": "team"}),
                "kind",
            ),
            (json!({"kind": "user", "name": "a"}), "kind"),
            (
                json!({"kind": "User", "name": "a", "apiGroup": "v1"}),
                "apiGroup",
            ),
            (
                json!({"kind": "Group", "name": "a", "namespace": "team"}),
                "namespace",
            ),
            (json!({"kind": "User", "name": ""}), "name"),
        ] {
            assert_eq!(
                wrong(binding(kind, "ClusterRole", subject), None),
                [format!("subjects[0].{path}")]
            );
        }
    }
    assert_eq!(
        wrong(binding("RoleBinding", "Role", alice.clone()), None),
        [""; 0]
    );
    assert_eq!(
        wrong(binding("ClusterRoleBinding", "Role", alice.clone()), None),
        ["roleRef.kind"]
    );
    let mut slash = binding("RoleBinding", "Role", alice);
    slash["roleRef"]["name"] = json!("a/b");
    assert_eq!(wrong(slash, None), ["roleRef.name"]);
}

#[test]
fn a_slip_is_told_and_let_through() {
    let told = |groups: Value, resources: Value, verbs: Value| {
        let rule = json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
        assert_eq!(wrong(role(rule.clone()), None), [""; 0]);
        warnings(&read(role(rule)))
    };
    let cluster = json!(["cluster.open-cluster-management.io"]);
    let none: [&str; 0] = [];
    assert_eq!(told(json!(["*"]), json!(["*"]), json!(["*"])), none);
    assert_eq!(
        told(
            cluster.clone(),
            json!([
                "managedclusters",
                "managedclusters/status",
                "managedclustersets/join",
                "*/bind"
            ]),
            json!(["get", "create"])
        ),
        none
    );
    assert_eq!(
        told(cluster.clone(), json!(["managedcluster"]), json!(["gte"])),
        [
            "rules[0].verbs: the hub has no verb \"gte\" there; did you mean \"get\"?",
            "rules[0].resources: the hub has no resource \"managedcluster\" there; did you mean \
             \"managedclusters\"?",
        ]
    );
    assert_eq!(
        told(json!(["apps"]), json!(["deployments"]), json!(["get"])),
        ["rules[0].apiGroups: the hub has no group \"apps\" there"]
    );
    assert_eq!(
        told(json!([""]), json!(["manifestworks"]), json!(["get"])),
        ["rules[0].resources: the hub has no resource \"manifestworks\" there"]
    );
    let user = binding(
        "RoleBinding",
        "Role",
        json!({"kind": "User", "name": "Alice@shop"}),
    );
    assert_eq!(warnings(&read(user)).len(), 1);
}
