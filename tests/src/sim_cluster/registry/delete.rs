//! Deletion: preconditions, finalizers, grace, propagation.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::error::ApiError;
use crate::sim_cluster::kinds::ResourceType;
use crate::sim_cluster::object;
use crate::sim_cluster::request::{ApiRequest, DeleteOptions, Propagation};
use crate::sim_cluster::selector::Selector;
use crate::sim_cluster::server::{ApiServer, success, with_type};
use crate::sim_cluster::store::ObjectKey;

/// Finalizer of an object that waits until its dependents are deleted.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object that waits until its dependents have forgotten it.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer of a CRD that waits until its custom resources are gone.
pub(crate) const CUSTOM_RESOURCES: &str = "customresourcecleanup.apiextensions.k8s.io";

impl ApiServer {
    /// Deletes an object, or begins to. Answers with the object while something holds it, else with a `Status`.
    ///
    /// # Errors
    /// 404 when it does not exist, 409 when a precondition does not hold.
    pub(crate) fn delete(
        &mut self,
        kind: &ResourceType,
        key: &ObjectKey,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let name = key.name.name.as_ref();
        let stored = self
            .store
            .get(key)
            .cloned()
            .ok_or_else(|| ApiError::not_found(kind, name))?;
        let old = stored.value();
        check_preconditions(kind, name, &old, options)?;
        let mut new = old.clone();
        match options.propagation {
            Propagation::Foreground => object::add_finalizer(&mut new, FOREGROUND),
            Propagation::Orphan => object::add_finalizer(&mut new, ORPHAN),
            Propagation::Background => {}
        }
        if kind.is("apiextensions.k8s.io", "customresourcedefinitions") {
            object::add_finalizer(&mut new, CUSTOM_RESOURCES);
        }
        let grace = grace_seconds(kind, &old, options);
        mark_deleting(kind, &mut new, grace, now);
        if options.dry_run {
            return Ok(success(kind, name, &stored.uid));
        }
        if new == old {
            return as_object(kind, &old);
        }
        let last = self.store_change(kind, key, new, now);
        if self.store.get(key).is_none() {
            return Ok(success(kind, name, &stored.uid));
        }
        if options.propagation != Propagation::Background {
            let delay = self.options.controller_delay;
            self.plan(Task::WaitForDependents(key.clone()), delay, now);
        }
        as_object(kind, &last)
    }

    /// Deletes all selected objects and answers with what was selected.
    pub(crate) fn delete_collection(
        &mut self,
        request: &ApiRequest,
        selector: &Selector,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let kind = &request.kind;
        let all = self.store.list(&kind.group_resource, &request.namespace);
        let selected: Vec<ObjectKey> = all
            .filter(|(_, stored)| selector.is_empty() || selector.matches(&stored.value()))
            .map(|(name, _)| ObjectKey {
                resource: kind.group_resource.clone(),
                name: name.clone(),
            })
            .collect();
        let mut items = Vec::new();
        for key in selected {
            items.extend(self.store.get(&key).map(|stored| stored.value()));
            self.delete(kind, &key, options, now)?;
        }
        let metadata = json!({"resourceVersion": self.store.version().to_string()});
        Ok(
            json!({"kind": kind.list_kind, "apiVersion": kind.api_version(), "metadata": metadata, "items": items}),
        )
    }
}

fn as_object(kind: &ResourceType, value: &Value) -> Result<Value, ApiError> {
    serde_json::from_str(&with_type(kind, value))
        .map_err(|error| ApiError::internal(error.to_string()))
}

fn check_preconditions(
    kind: &ResourceType,
    name: &str,
    old: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let (uid, version) = (
        object::meta(old, "uid"),
        object::meta(old, "resourceVersion"),
    );
    let differs = |what: &str, wanted: &str, found: &str, hint: &str| {
        format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object \
             might have been {hint}"
        )
    };
    let why = match (&options.uid, &options.version) {
        (Some(wanted), _) if wanted != uid => {
            differs("UID", wanted, uid, "deleted and then recreated")
        }
        (_, Some(wanted)) if wanted != version => {
            differs("ResourceVersion", wanted, version, "modified")
        }
        _ => return Ok(()),
    };
    Err(ApiError::precondition(kind, name, &why))
}

/// Only a pod that runs on a node gets time to end.
fn grace_seconds(kind: &ResourceType, old: &Value, options: &DeleteOptions) -> i64 {
    let running = kind.is("", "pods")
        && object::at(old, &["spec", "nodeName"]).is_some()
        && !matches!(
            object::at(old, &["status", "phase"]).and_then(Value::as_str),
            Some("Succeeded" | "Failed")
        );
    if !running {
        return 0;
    }
    let own = object::at(old, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    options.grace.or(own).unwrap_or(30).max(0)
}

/// Marks an object as being deleted. A second deletion can only shorten the grace.
fn mark_deleting(kind: &ResourceType, new: &mut Value, grace: i64, now: Timestamp) {
    let before = object::meta_number(new, "deletionGracePeriodSeconds");
    let first = !object::is_deleting(new);
    if !first && before.is_none_or(|before| before <= grace) {
        return;
    }
    let generation = object::meta_number(new, "generation");
    let at = now
        .checked_add(std::time::Duration::from_secs(grace.unsigned_abs()))
        .unwrap_or(now);
    let meta = object::meta_mut(new);
    meta.insert("deletionTimestamp".to_owned(), object::timestamp(at).into());
    meta.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    if let (Some(generation), true) = (generation, first) {
        meta.insert("generation".to_owned(), (generation + 1).into());
    }
    if kind.is("", "namespaces") {
        // A namespace has no grace period of its own; its phase says what happens.
        meta.remove("deletionGracePeriodSeconds");
        object::field_mut(new, "status").insert("phase".to_owned(), "Terminating".into());
    }
}
