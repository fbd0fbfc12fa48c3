//! Which columns each kind has in a table.

use jiff::Timestamp;
use serde_json::Value;
use skein_schema::kind::managed_cluster::CLUSTER_SET_LABEL;
use skein_schema::kind::placement::{
    CONDITION_MISCONFIGURED, CONDITION_SATISFIED, DECISION_GROUP_NAME_LABEL, PLACEMENT_LABEL,
};
use skein_schema::resource::KindName;

use crate::ask::text;
use crate::moment;

/// The headings of `kind`, NAME first.
pub(crate) fn headings(kind: KindName, wide: bool) -> Vec<&'static str> {
    let (narrow, more): (&[&str], &[&str]) = match kind {
        KindName::ManagedCluster => (
            &[
                "NAME",
                "ACCEPTED",
                "AVAILABLE",
                "CLUSTERSET",
                "VERSION",
                "AGE",
            ],
            &["JOINED", "CPU", "MEMORY", "TAINTS", "URL"],
        ),
        KindName::ManagedClusterSet => (&["NAME", "EMPTY", "CLUSTERS", "AGE"], &["SELECTOR"]),
        KindName::ManagedClusterSetBinding => (&["NAME", "BOUND", "AGE"], &[]),
        KindName::ManifestWork => (
            &["NAME", "MANIFESTS", "APPLIED", "AVAILABLE", "AGE"],
            &["GENERATION", "MESSAGE"],
        ),
        KindName::Namespace => (&["NAME", "STATUS", "AGE"], &[]),
        KindName::AddOnPlacementScore => (&["NAME", "SCORES", "AGE"], &["VALID UNTIL"]),
        KindName::Placement => (
            &["NAME", "SUCCEEDED", "REASON", "SELECTEDCLUSTERS", "AGE"],
            &["MISCONFIGURED", "MESSAGE"],
        ),
        KindName::PlacementDecision => (&["NAME", "CLUSTERS", "AGE"], &["GROUP", "PLACEMENT"]),
        KindName::ClusterRole | KindName::Role => (&["NAME", "AGE"], &[]),
        KindName::ClusterRoleBinding | KindName::RoleBinding => {
            (&["NAME", "ROLE", "AGE"], &["USERS", "GROUPS"])
        }
    };
    let mut headings = narrow.to_vec();
    if wide {
        headings.extend(more);
    }
    headings
}

/// The cells of `object` under [`headings`].
pub(crate) fn cells(kind: KindName, object: &Value, wide: bool, now: Timestamp) -> Vec<String> {
    let name = text(object, &["metadata", "name"])
        .unwrap_or_default()
        .to_owned();
    let age = text(object, &["metadata", "creationTimestamp"])
        .and_then(|time| time.parse().ok())
        .map(|since| moment::age(since, now))
        .unwrap_or_else(|| "<unknown>".to_owned());
    let (narrow, more) = match kind {
        KindName::ManagedCluster => managed_cluster(object, name, age),
        KindName::ManagedClusterSet => (
            vec![
                name,
                condition(object, "ClusterSetEmpty"),
                cluster_count(object),
                age,
            ],
            vec![selector(object)],
        ),
        KindName::ManagedClusterSetBinding => (vec![name, condition(object, "Bound"), age], vec![]),
        KindName::ManifestWork => (
            vec![
                name,
                count(object, "/spec/workload/manifests"),
                current_condition(object, "Applied"),
                current_condition(object, "Available"),
                age,
            ],
            vec![
                object
                    .pointer("/metadata/generation")
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                condition_message(object),
            ],
        ),
        KindName::Namespace => {
            let status = if object.pointer("/metadata/deletionTimestamp").is_some() {
                "Terminating"
            } else {
                "Active"
            };
            (vec![name, status.to_owned(), age], vec![])
        }
        KindName::AddOnPlacementScore => (
            vec![name, count(object, "/status/scores"), age],
            vec![
                text(object, &["status", "validUntil"])
                    .unwrap_or_default()
                    .to_owned(),
            ],
        ),
        KindName::Placement => placement(object, name, age),
        KindName::PlacementDecision => (
            vec![name, count(object, "/status/decisions"), age],
            vec![
                label(object, DECISION_GROUP_NAME_LABEL),
                label(object, PLACEMENT_LABEL),
            ],
        ),
        KindName::ClusterRole | KindName::Role => (vec![name, age], vec![]),
        KindName::ClusterRoleBinding | KindName::RoleBinding => (
            vec![name, role(object), age],
            vec![subjects(object, "User"), subjects(object, "Group")],
        ),
    };
    let mut cells = narrow;
    if wide {
        cells.extend(more);
    }
    cells
}

fn placement(object: &Value, name: String, age: String) -> (Vec<String>, Vec<String>) {
    let satisfied = find_condition(object, CONDITION_SATISFIED);
    let said = |field| {
        let said = satisfied.and_then(|condition| text(condition, &[field]));
        said.unwrap_or_default().to_owned()
    };
    let selected = object.pointer("/status/numberOfSelectedClusters");
    (
        vec![
            name,
            condition(object, CONDITION_SATISFIED),
            said("reason"),
            selected.map(ToString::to_string).unwrap_or_default(),
            age,
        ],
        vec![condition(object, CONDITION_MISCONFIGURED), said("message")],
    )
}

/// What a binding gives, e.g. `ClusterRole/view`.
fn role(object: &Value) -> String {
    let part = |name| text(object, &["roleRef", name]).unwrap_or_default();
    format!("{}/{}", part("kind"), part("name"))
}

/// Those of a kind to whom a binding gives its role.
fn subjects(object: &Value, kind: &str) -> String {
    let all = object.get("subjects").and_then(Value::as_array);
    let chosen = all
        .into_iter()
        .flatten()
        .filter(|subject| text(subject, &["kind"]) == Some(kind));
    let names: Vec<_> = chosen
        .filter_map(|subject| text(subject, &["name"]))
        .collect();
    names.join(",")
}

/// The cells of a cluster: those that are always shown, and those of the wide table.
fn managed_cluster(object: &Value, name: String, age: String) -> (Vec<String>, Vec<String>) {
    (
        vec![
            name,
            object
                .pointer("/spec/hubAcceptsClient")
                .and_then(Value::as_bool)
                .unwrap_or_default()
                .to_string(),
            condition(object, "ManagedClusterConditionAvailable"),
            label(object, CLUSTER_SET_LABEL),
            text(object, &["status", "version", "kubernetes"])
                .unwrap_or_default()
                .to_owned(),
            age,
        ],
        vec![
            condition(object, "ManagedClusterJoined"),
            text(object, &["status", "allocatable", "cpu"])
                .unwrap_or_default()
                .to_owned(),
            text(object, &["status", "allocatable", "memory"])
                .unwrap_or_default()
                .to_owned(),
            taints(object),
            object
                .pointer("/spec/managedClusterClientConfigs/0/url")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        ],
    )
}

/// All labels, as `a=1,b=2`.
pub(crate) fn labels(object: &Value) -> String {
    let labels = object
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    let pairs: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.join(",")
}

fn label(object: &Value, key: &str) -> String {
    text(object, &["metadata", "labels", key])
        .unwrap_or_default()
        .to_owned()
}

fn find_condition<'a>(object: &'a Value, of: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| text(condition, &["type"]) == Some(of))
}

/// The status of a condition: True, False, Unknown, or nothing.
pub(crate) fn condition(object: &Value, of: &str) -> String {
    find_condition(object, of)
        .and_then(|c| text(c, &["status"]))
        .unwrap_or_default()
        .to_owned()
}

/// The status of a condition if it is about the object's present generation; one about an older
/// says nothing about what was asked for since.
pub(crate) fn current_condition(object: &Value, of: &str) -> String {
    let Some(found) = find_condition(object, of) else {
        return String::new();
    };
    match (
        found.get("observedGeneration"),
        object.pointer("/metadata/generation"),
    ) {
        (Some(observed), Some(generation)) if observed != generation => String::new(),
        _ => condition(object, of),
    }
}

/// The message of a condition, or nothing.
pub(crate) fn message(object: &Value, of: &str) -> String {
    find_condition(object, of)
        .and_then(|c| text(c, &["message"]))
        .unwrap_or_default()
        .to_owned()
}

fn condition_message(object: &Value) -> String {
    let of_interest = ["Deleting", "Applied", "Available"]
        .into_iter()
        .filter_map(|of| find_condition(object, of));
    let failing = of_interest
        .filter(|c| text(c, &["type"]) == Some("Deleting") || text(c, &["status"]) != Some("True"))
        .find_map(|c| text(c, &["message"]));
    failing.unwrap_or_default().to_owned()
}

/// How many clusters a set holds, out of the message of its ClusterSetEmpty condition: that is
/// where OCM has it.
fn cluster_count(object: &Value) -> String {
    if condition(object, "ClusterSetEmpty") == "True" {
        return "0".to_owned();
    }
    let message = find_condition(object, "ClusterSetEmpty")
        .and_then(|c| text(c, &["message"]))
        .unwrap_or_default();
    message
        .split_whitespace()
        .find(|word| word.parse::<u64>().is_ok())
        .unwrap_or_default()
        .to_owned()
}

fn selector(object: &Value) -> String {
    match text(object, &["spec", "clusterSelector", "selectorType"]) {
        Some("LabelSelector") => {
            let labels = object
                .pointer("/spec/clusterSelector/labelSelector")
                .filter(|s| !s.is_null());
            match labels.map(ToString::to_string).as_deref() {
                None => "<nothing>".to_owned(),
                Some("{}") => "<all>".to_owned(),
                Some(text) => text.to_owned(),
            }
        }
        _ => "<label>".to_owned(),
    }
}

fn taints(object: &Value) -> String {
    let taints = object.pointer("/spec/taints").and_then(Value::as_array);
    let texts: Vec<String> = taints
        .into_iter()
        .flatten()
        .map(|taint| {
            let part = |name| text(taint, &[name]).unwrap_or_default();
            let value = if part("value").is_empty() {
                String::new()
            } else {
                format!("={}", part("value"))
            };
            format!("{}{value}:{}", part("key"), part("effect"))
        })
        .collect();
    texts.join(",")
}

fn count(object: &Value, pointer: &str) -> String {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(0, Vec::len)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-23T14:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_kind_has_as_many_cells_as_headings() {
        for kind in KindName::ALL {
            for wide in [false, true] {
                assert_eq!(
                    headings(*kind, wide).len(),
                    cells(*kind, &json!({}), wide, now()).len(),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn a_binding_shows_its_role_and_to_whom_it_is_given() {
        let binding = json!({
            "metadata": {"name": "b", "creationTimestamp": "2026-11-23T13:59:00Z"},
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [
                {"kind": "User", "name": "alice"},
                {"kind": "Group", "name": "system:authenticated"},
                {"kind": "User", "name": "bob"},
            ],
        });
        for kind in [KindName::RoleBinding, KindName::ClusterRoleBinding] {
            assert_eq!(
                cells(kind, &binding, true, now()),
                [
                    "b",
                    "ClusterRole/view",
                    "60s",
                    "alice,bob",
                    "system:authenticated"
                ]
            );
        }
    }

    #[test]
    fn a_cluster_shows_what_people_look_for() {
        let cluster = json!({
            "metadata": {"name": "c1", "creationTimestamp": "2026-11-23T13:59:00Z", "labels": {CLUSTER_SET_LABEL: "eu"}},
            "spec": {"hubAcceptsClient": true, "taints": [{"key": "gpu", "value": "a", "effect": "NoSelect"}]},
            "status": {
                "version": {"kubernetes": "v1.36.3"}, "allocatable": {"cpu": "4", "memory": "8Gi"},
                "conditions": [{"type": "ManagedClusterConditionAvailable", "status": "True"}],
            },
        });
        assert_eq!(
            cells(KindName::ManagedCluster, &cluster, true, now()),
            [
                "c1",
                "true",
                "True",
                "eu",
                "v1.36.3",
                "60s",
                "",
                "4",
                "8Gi",
                "gpu=a:NoSelect",
                ""
            ]
        );
    }

    #[test]
    fn a_condition_about_an_older_generation_is_not_shown_as_present() {
        let work = |observed: i64| {
            json!({"metadata": {"generation": 2}, "status": {"conditions": [
                {"type": "Applied", "status": "True", "observedGeneration": observed}]}})
        };
        assert_eq!(current_condition(&work(2), "Applied"), "True");
        assert_eq!(current_condition(&work(1), "Applied"), "");
    }
}
