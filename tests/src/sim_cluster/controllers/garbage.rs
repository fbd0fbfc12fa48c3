//! The garbage collector: dependents go with their last owner.

use jiff::Timestamp;
use serde_json::Value;

use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::object;
use crate::sim_cluster::registry::{FOREGROUND, ORPHAN};
use crate::sim_cluster::request::{DeleteOptions, Propagation};
use crate::sim_cluster::server::ApiServer;
use crate::sim_cluster::store::ObjectKey;

/// An owner is gone: its dependents look for another.
pub(super) fn owner_gone(server: &mut ApiServer, uid: &str, now: Timestamp) {
    for dependent in server.store.owned_by(uid) {
        check_owners(server, &dependent, now);
    }
}

/// Whether the reference points at an object that is there, as the collector looks it up: by kind, place and uid.
fn is_present(server: &ApiServer, dependent: &ObjectKey, owner: &Value) -> Owner {
    let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    let Some(kind) = server.catalog.find_kind(text("apiVersion"), text("kind")) else {
        return Owner::Unknown;
    };
    if kind.namespaced && dependent.name.namespace.is_empty() {
        // A cluster-scoped object cannot be owned from within a namespace: the reference is never resolved.
        return Owner::Unknown;
    }
    let key = server.key(&kind, &dependent.name.namespace, text("name"));
    match server.store.get(&key) {
        Some(stored) if stored.uid.as_ref() == text("uid") => {
            let value = stored.value();
            let waits =
                object::is_deleting(&value) && object::finalizers(&value).contains(&FOREGROUND);
            if waits {
                Owner::Waiting
            } else {
                Owner::Present
            }
        }
        _ => Owner::Absent,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// There.
    Present,
    /// There, and waiting for its dependents to go.
    Waiting,
    /// Not there, or another object of the same name.
    Absent,
    /// Of a kind that is not served: the collector leaves such an object alone.
    Unknown,
}

/// Deletes an object whose owners are all gone, and drops references to owners that are.
pub(super) fn check_owners(server: &mut ApiServer, key: &ObjectKey, now: Timestamp) {
    let Some(stored) = server.store.get(key).cloned() else {
        return;
    };
    let Some(kind) = server.catalog.find_stored(&key.resource) else {
        return;
    };
    let value = stored.value();
    if object::is_deleting(&value) || object::owners(&value).is_empty() {
        return;
    }
    let owners: Vec<(Owner, Value)> = object::owners(&value)
        .iter()
        .map(|owner| (is_present(server, key, owner), owner.clone()))
        .collect();
    let any = |state: Owner| owners.iter().any(|(other, _)| *other == state);
    if any(Owner::Unknown) {
        return;
    }
    if any(Owner::Present) {
        if any(Owner::Absent) || any(Owner::Waiting) {
            let kept = owners
                .into_iter()
                .filter(|(state, _)| *state == Owner::Present)
                .map(|(_, owner)| owner);
            let mut new = value;
            object::meta_mut(&mut new).insert("ownerReferences".to_owned(), kept.collect());
            server.put(key, new, now);
        }
        return;
    }
    let finalizers = object::finalizers(&value);
    let propagation = if finalizers.contains(&ORPHAN) {
        Propagation::Orphan
    } else if finalizers.contains(&FOREGROUND)
        || any(Owner::Waiting) && has_blocking_dependents(server, &stored.uid)
    {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    let options = DeleteOptions {
        propagation,
        uid: Some(stored.uid.to_string()),
        ..DeleteOptions::default()
    };
    // Someone else may have been faster; then there is nothing left to delete.
    drop(server.delete(&kind, key, &options, now));
}

fn has_blocking_dependents(server: &ApiServer, uid: &str) -> bool {
    server
        .store
        .owned_by(uid)
        .iter()
        .any(|dependent| blocks(server, dependent, uid))
}

/// Whether the dependent keeps its owner `uid` waiting.
fn blocks(server: &ApiServer, dependent: &ObjectKey, uid: &str) -> bool {
    let Some(stored) = server.store.get(dependent) else {
        return false;
    };
    object::owners(&stored.value()).iter().any(|owner| {
        owner.get("uid").and_then(Value::as_str) == Some(uid)
            && owner.get("blockOwnerDeletion").and_then(Value::as_bool) == Some(true)
    })
}

/// A dependent is gone: owners that waited for it look again.
pub(super) fn wake_waiting_owners(server: &mut ApiServer, owners: &[Box<str>], now: Timestamp) {
    for uid in owners {
        let Some(key) = server.store.find_uid(uid).cloned() else {
            continue;
        };
        let waits = server
            .store
            .get(&key)
            .is_some_and(|stored| object::is_deleting(&stored.value()));
        if waits {
            let delay = server.options.controller_delay;
            server.plan(Task::WaitForDependents(key), delay, now);
        }
    }
}

/// Lets an object that waits for its dependents go when they are gone (foreground) or let go (orphan).
pub(super) fn wait_for_dependents(server: &mut ApiServer, key: &ObjectKey, now: Timestamp) {
    let Some(stored) = server.store.get(key).cloned() else {
        return;
    };
    let Some(kind) = server.catalog.find_stored(&key.resource) else {
        return;
    };
    let value = stored.value();
    if !object::is_deleting(&value) {
        return;
    }
    let finalizers = object::finalizers(&value);
    let dependents = server.store.owned_by(&stored.uid);
    let done = if finalizers.contains(&ORPHAN) {
        dependents
            .iter()
            .for_each(|dependent| forget_owner(server, dependent, &stored.uid, now));
        ORPHAN
    } else if finalizers.contains(&FOREGROUND) {
        dependents
            .iter()
            .for_each(|dependent| check_owners(server, dependent, now));
        if has_blocking_dependents(server, &stored.uid) {
            return;
        }
        FOREGROUND
    } else {
        return;
    };
    let Some(stored) = server.store.get(key).cloned() else {
        return;
    };
    let mut new = stored.value();
    object::remove_finalizer(&mut new, done);
    server.store_change(&kind, key, new, now);
}

fn forget_owner(server: &mut ApiServer, dependent: &ObjectKey, uid: &str, now: Timestamp) {
    let Some(stored) = server.store.get(dependent).cloned() else {
        return;
    };
    let mut new = stored.value();
    let other = |owner: &&Value| owner.get("uid").and_then(Value::as_str) != Some(uid);
    let kept: Vec<Value> = object::owners(&new).iter().filter(other).cloned().collect();
    if kept.is_empty() {
        object::meta_mut(&mut new).remove("ownerReferences");
    } else {
        object::meta_mut(&mut new).insert("ownerReferences".to_owned(), Value::Array(kept));
    }
    server.put(dependent, new, now);
}
