//! What RBAC allows, case by case, each naming its rule.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Deserialize;
use serde_json::{Value, json};
use skein_hub_core::access::cover::{covers, describe};
use skein_hub_core::access::{Identity, Objects, Rules, Verdict};
use skein_schema::kind::admission::Review;
use skein_schema::name::UserName;
use skein_schema::resource::Resource;

/// What roles and bindings let a user do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    id: String,
    #[serde(rename = "rule")]
    _rule: String,
    /// Labels by cluster.
    #[serde(default)]
    clusters: BTreeMap<String, BTreeMap<String, String>>,
    /// Label selectors by set; `null` for a set that clusters name by their label.
    #[serde(default)]
    sets: BTreeMap<String, Value>,
    /// By name, of Roles by `namespace/name`.
    #[serde(default)]
    roles: BTreeMap<String, Role>,
    /// By name, of RoleBindings by `namespace/name`.
    #[serde(default)]
    bindings: BTreeMap<String, Binding>,
    who: String,
    /// Groups beside those that every user is in.
    #[serde(default)]
    groups: Vec<String>,
    /// By `verb resource.group name in namespace`: why it is allowed, `null` if it is not.
    asks: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Value,
    #[serde(default)]
    gathers: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    /// `roles/name` or `clusterroles/name`.
    role: String,
    /// `user:name` or `group:name`.
    to: Vec<String>,
}

/// What somebody who has some rules lacks of others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cover {
    id: String,
    #[serde(rename = "rule")]
    _rule: String,
    owned: Vec<PolicyRule>,
    wanted: Vec<PolicyRule>,
    missing: Vec<String>,
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// An object of the kind, or of that for a namespace if the name has one.
fn object(kinds: (&str, &str), name: &str, mut fields: Value) -> Resource {
    let (kind, metadata) = match name.split_once('/') {
        Some((namespace, name)) => (kinds.0, json!({"name": name, "namespace": namespace})),
        None => (kinds.1, json!({"name": name})),
    };
    let labels = fields.as_object_mut().unwrap().remove("labels");
    fields["kind"] = json!(kind);
    fields["apiVersion"] = json!(match kind {
        "ManagedCluster" => "cluster.open-cluster-management.io/v1",
        "ManagedClusterSet" => "cluster.open-cluster-management.io/v1beta2",
        _ => RBAC,
    });
    fields["metadata"] = metadata;
    fields["metadata"]["labels"] = labels.unwrap_or_default();
    Resource::from_value(fields).unwrap()
}

impl Access {
    fn objects(&self) -> Vec<Resource> {
        let mut objects = Vec::new();
        for (name, labels) in &self.clusters {
            let fields = json!({"spec": {}, "labels": labels});
            objects.push(object(("", "ManagedCluster"), name, fields));
        }
        for (name, selector) in &self.sets {
            let selector = match selector {
                Value::Null => json!({"selectorType": "ExclusiveClusterSetLabel"}),
                labels => json!({"selectorType": "LabelSelector", "labelSelector": labels}),
            };
            let fields = json!({"spec": {"clusterSelector": selector}});
            objects.push(object(("", "ManagedClusterSet"), name, fields));
        }
        for (name, role) in &self.roles {
            let mut fields = json!({"labels": role.labels});
            if !role.rules.is_null() {
                fields["rules"] = role.rules.clone();
            }
            if !role.gathers.is_null() {
                fields["aggregationRule"] = json!({"clusterRoleSelectors": role.gathers});
            }
            objects.push(object(("Role", "ClusterRole"), name, fields));
        }
        for (name, binding) in &self.bindings {
            let (plural, role) = binding.role.split_once('/').unwrap();
            let kind = match plural {
                "roles" => "Role",
                _ => "ClusterRole",
            };
            let subjects: Vec<_> = binding.to.iter().map(|to| subject(to)).collect();
            let role = json!({"apiGroup": RBAC, "kind": kind, "name": role});
            let fields = json!({"roleRef": role, "subjects": subjects});
            objects.push(object(("RoleBinding", "ClusterRoleBinding"), name, fields));
        }
        objects
    }

    fn identity(&self) -> Identity {
        let mut identity = Identity::of(&UserName::new(&self.who).unwrap());
        identity.groups.extend(self.groups.iter().cloned());
        identity
    }
}

fn subject(text: &str) -> Value {
    let (kind, name) = text.split_once(':').unwrap();
    let kind = match kind {
        "user" => "User",
        "group" => "Group",
        _ => "ServiceAccount",
    };
    json!({"kind": kind, "name": name})
}

/// `verb resource[/subresource][.group][ name][ in namespace]`
fn review(text: &str) -> Review {
    let (what, namespace) = text.split_once(" in ").unwrap_or((text, ""));
    let words: Vec<&str> = what.split(' ').collect();
    let (resource, group) = words[1].split_once('.').unwrap_or((words[1], ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Review {
        group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        verb: words[0].to_owned(),
        namespace: namespace.to_owned(),
        name: words.get(2).unwrap_or(&"").to_string(),
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("vectors/access.jsonl").lines()
}

#[test]
fn each_answer_is_allowed_by_the_binding_that_the_rule_says() {
    let cases: Vec<Access> = lines()
        .filter(|line| line.contains("\"asks\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 61);
    for case in cases {
        let resources = case.objects();
        let objects: Objects<'_> = resources.iter().collect();
        let identity = case.identity();
        let everybodys = Rules::new(&objects);
        let own = Rules::about(&objects, &identity);
        for (ask, expected) in &case.asks {
            let answer = |rules: &Rules| match rules.allows(&identity, &review(ask)) {
                Verdict::Allowed(because) => Some(because.to_string()),
                Verdict::Denied => None,
            };
            assert_eq!(&answer(&everybodys), expected, "{}: {ask}", case.id);
            assert_eq!(&answer(&own), expected, "{}: {ask}", case.id);
            if expected.is_some() {
                let might = own.might_allow(&identity, &review(ask));
                assert!(might, "{}: {ask}", case.id);
            }
        }
        let backwards: Objects<'_> = resources.iter().rev().collect();
        assert_eq!(everybodys, Rules::new(&backwards), "{}", case.id);
    }
}

#[test]
fn what_lacks_of_wanted_rules_is_told() {
    let cases: Vec<Cover> = lines()
        .filter(|line| line.contains("\"wanted\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let missing = covers(&case.owned, &case.wanted).err().unwrap_or_default();
        let missing: Vec<_> = missing.iter().map(describe).collect();
        assert_eq!(missing, case.missing, "{}", case.id);
    }
}
