//! What each kind keeps, drops and counts when it is written: status apart from the rest, and generation.

use serde_json::{Map, Value, json};

use super::kinds::ResourceType;
use super::object;
use super::request::Subresource;
use super::shape::Shape;

/// What is there before anybody writes it: the parts of a kind that Go encodes even when they are empty. Whoever makes
/// an object owns the fields in these parts, not the parts themselves.
pub(crate) fn blank(kind: &ResourceType) -> Value {
    let template = json!({"metadata": {}, "spec": {"containers": null}});
    match kind.group_resource.as_ref() {
        "deployments.apps" => {
            json!({"spec": {"selector": null, "strategy": {}, "template": template}, "status": {}})
        }
        "statefulsets.apps" | "daemonsets.apps" => {
            json!({"spec": {"selector": null, "updateStrategy": {}, "template": template}, "status": {}})
        }
        "replicasets.apps" => {
            json!({"spec": {"selector": null, "template": template}, "status": {}})
        }
        "jobs.batch" => json!({"spec": {"template": template}, "status": {}}),
        "cronjobs.batch" => {
            json!({"spec": {"jobTemplate": {"metadata": {}, "spec": {"template": template}}}, "status": {}})
        }
        "pods" => json!({"spec": {"containers": null}, "status": {}}),
        "services" | "ingresses.networking.k8s.io" => {
            json!({"spec": {}, "status": {"loadBalancer": {}}})
        }
        "persistentvolumeclaims" => json!({"spec": {"resources": {}}, "status": {}}),
        "limitranges" => json!({"spec": {"limits": null}}),
        "networkpolicies.networking.k8s.io" => json!({"spec": {"podSelector": {}}}),
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            json!({"rules": null})
        }
        "nodes" | "namespaces" | "persistentvolumes" | "resourcequotas" => {
            json!({"spec": {}, "status": {}})
        }
        "poddisruptionbudgets.policy" | "horizontalpodautoscalers.autoscaling" => {
            json!({"spec": {}, "status": {}})
        }
        "leases.coordination.k8s.io" => json!({"spec": {}}),
        _ => json!({}),
    }
}

/// Drops what a client cannot set when it makes an object, and sets the first status.
pub(crate) fn prepare_create(kind: &ResourceType, new: &mut Value) {
    if !kind.status || kind.is("", "nodes") {
        // Kubelets register a node with its status.
        return;
    }
    let fields = object::fields(new);
    fields.remove("status");
    let first = match kind.group_resource.as_ref() {
        "namespaces" => json!({"phase": "Active"}),
        "pods" | "persistentvolumeclaims" | "persistentvolumes" => json!({"phase": "Pending"}),
        "services" | "ingresses.networking.k8s.io" => json!({"loadBalancer": {}}),
        "replicasets.apps" => json!({"replicas": 0}),
        "statefulsets.apps" => json!({"replicas": 0, "availableReplicas": 0}),
        "daemonsets.apps" => json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0,
            "numberMisscheduled": 0, "numberReady": 0}),
        "poddisruptionbudgets.policy" => json!({"currentHealthy": 0, "desiredHealthy": 0,
            "disruptionsAllowed": 0, "expectedPods": 0}),
        _ if kind.custom.is_some() => return,
        _ => json!({}),
    };
    fields.insert("status".to_owned(), first);
}

/// Lists that are written even when they are empty.
const KEPT: &[&str] = &["containers", "rules", "limits", "versions", "items"];

/// Drops empty maps and lists, which Go's encoding of the built-in kinds leaves out. A custom resource is kept as it
/// is written, except for its metadata.
pub(crate) fn drop_empty(kind: &ResourceType, value: &mut Value) {
    if kind.custom.is_none() {
        empty_fields(&kind.shape, value);
    } else if let Some(metadata) = value.get_mut("metadata") {
        empty_fields(kind.shape.field("metadata").0, metadata);
    }
}

fn empty_fields(shape: &Shape, value: &mut Value) {
    let shape = match shape {
        Shape::Atomic(inner) => inner,
        other => other,
    };
    match value {
        Value::Object(fields) => {
            fields.retain(|name, child| {
                let below = shape.field(name).0;
                empty_fields(below, child);
                match child {
                    Value::Object(map) => !map.is_empty() || !below.is_map(),
                    Value::Array(list) => !list.is_empty() || KEPT.contains(&name.as_str()),
                    _ => true,
                }
            });
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|child| empty_fields(shape.item(), child)),
        _ => {}
    }
}

/// Keeps the part of the object that this door cannot change.
pub(crate) fn prepare_update(kind: &ResourceType, door: Subresource, old: &Value, new: &mut Value) {
    match door {
        Subresource::Status => {
            let status = new.get("status").cloned();
            let managed = object::at(new, &["metadata", "managedFields"]).cloned();
            *new = old.clone();
            set(object::fields(new), "status", status);
            set(object::meta_mut(new), "managedFields", managed);
        }
        Subresource::Finalize => {
            let finalizers = object::at(new, &["spec", "finalizers"]).cloned();
            *new = old.clone();
            let empty = finalizers
                .as_ref()
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty);
            set(
                object::field_mut(new, "spec"),
                "finalizers",
                finalizers.filter(|_| !empty),
            );
        }
        _ => {
            if kind.status {
                set(object::fields(new), "status", old.get("status").cloned());
            }
            if kind.is("", "namespaces") {
                let finalizers = object::at(old, &["spec", "finalizers"]).cloned();
                set(object::field_mut(new, "spec"), "finalizers", finalizers);
            }
        }
    }
}

fn set(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
}

/// Raises the generation when the desired part changed.
pub(crate) fn count_generation(kind: &ResourceType, old: &Value, new: &mut Value) {
    if !kind.generation {
        return;
    }
    let desired = |value: &Value| -> Map<String, Value> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| *name != "metadata" && !(kind.status && *name == "status"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let generation = object::meta_number(old, "generation").unwrap_or(0);
    let next = if desired(old) == desired(new) {
        generation
    } else {
        generation + 1
    };
    object::meta_mut(new).insert("generation".to_owned(), next.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_cluster::kinds;

    fn deployments() -> &'static ResourceType {
        kinds::builtin("apps", "v1", "deployments").expect("built in")
    }

    #[test]
    fn each_door_changes_its_own_part() {
        let old = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1}, "status": {"replicas": 1}});
        let sent = json!({"metadata": {"labels": {"a": "2"}}, "spec": {"replicas": 2}, "status": {"replicas": 2}});
        let mut main = sent.clone();
        prepare_update(deployments(), Subresource::None, &old, &mut main);
        assert_eq!(
            main,
            json!({"metadata": {"labels": {"a": "2"}}, "spec": {"replicas": 2}, "status": {"replicas": 1}})
        );
        let mut status = sent;
        prepare_update(deployments(), Subresource::Status, &old, &mut status);
        assert_eq!(
            status,
            json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1}, "status": {"replicas": 2}})
        );
    }

    #[test]
    fn generation_counts_changes_of_the_spec_only() {
        let old = json!({"metadata": {"generation": 4}, "spec": {"replicas": 1}});
        for (mut new, generation) in [
            (
                json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 1}, "status": {"replicas": 9}}),
                4,
            ),
            (json!({"metadata": {}, "spec": {"replicas": 2}}), 5),
        ] {
            count_generation(deployments(), &old, &mut new);
            assert_eq!(new["metadata"]["generation"], generation);
        }
    }
}
