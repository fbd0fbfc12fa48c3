//! The namespace controller: what a new namespace gets, and how an old one ends.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sim_cluster::kinds;
use crate::sim_cluster::object;
use crate::sim_cluster::request::DeleteOptions;
use crate::sim_cluster::seed;
use crate::sim_cluster::server::ApiServer;
use crate::sim_cluster::store::ObjectKey;

/// Gives a new namespace its default service account and the cluster's root certificates.
pub(super) fn furnish(server: &mut ApiServer, key: &ObjectKey, now: Timestamp) {
    let there = server
        .store
        .get(key)
        .is_some_and(|stored| !object::is_deleting(&stored.value()));
    if there && server.options.pods {
        seed::namespace_content(server, &key.name.name, now);
    }
}

/// Deletes what is left in a namespace that ends, and the namespace itself when nothing is.
pub(super) fn empty(server: &mut ApiServer, name: &str, now: Timestamp) {
    let kind = kinds::builtin("", "v1", "namespaces").expect("a built-in kind");
    let key = server.key(kind, "", name);
    let Some(stored) = server.store.get(&key).cloned() else {
        return;
    };
    let mut value = stored.value();
    if !object::is_deleting(&value) {
        return;
    }
    for content in server.store.content_of(name) {
        if let Some(kind) = server.catalog.find_stored(&content.resource) {
            // What something else deleted in the meantime is no longer our concern.
            drop(server.delete(&kind, &content, &DeleteOptions::default(), now));
        }
    }
    let left = server.store.content_of(name);
    if left.is_empty() {
        object::field_mut(&mut value, "spec").remove("finalizers");
    } else {
        let conditions = conditions(server, &left, now);
        object::field_mut(&mut value, "status").insert("conditions".to_owned(), conditions);
    }
    if value != stored.value() {
        server.store_change(kind, &key, value, now);
    }
}

/// Why the namespace is still there, in the conditions a real cluster sets.
fn conditions(server: &ApiServer, left: &[ObjectKey], now: Timestamp) -> Value {
    let mut remaining: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let mut finalizers: std::collections::BTreeMap<String, usize> =
        std::collections::BTreeMap::new();
    for key in left {
        *remaining.entry(key.resource.as_ref()).or_default() += 1;
        if let Some(stored) = server.store.get(key) {
            for finalizer in object::finalizers(&stored.value()) {
                *finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    let instances: Vec<String> = remaining
        .iter()
        .map(|(resource, count)| format!("{resource} has {count} resource instances"))
        .collect();
    let held: Vec<String> = finalizers
        .iter()
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    let condition = |kind: &str, status: bool, reason: &str, message: String| {
        json!({"type": kind, "status": if status { "True" } else { "False" }, "reason": reason, "message": message,
            "lastTransitionTime": object::timestamp(now)})
    };
    json!([
        condition(
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", instances.join(", "))
        ),
        condition(
            "NamespaceFinalizersRemaining",
            !held.is_empty(),
            if held.is_empty() {
                "ContentHasNoFinalizers"
            } else {
                "SomeFinalizersRemain"
            },
            if held.is_empty() {
                "All content-preserving finalizers finished".to_owned()
            } else {
                format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    held.join(", ")
                )
            }
        ),
    ])
}
