//! What a cluster does by itself: it collects garbage, ends namespaces, serves CRDs, and runs workloads.

use jiff::Timestamp;

use super::agenda::Task;
use super::object;
use super::server::ApiServer;
use super::store::Change;

mod definitions;
mod garbage;
mod namespaces;
mod workloads;

/// Plans what a change calls for.
pub(crate) fn react(server: &mut ApiServer, change: &Change, now: Timestamp) {
    let delay = server.options.controller_delay;
    let key = &change.key;
    if change.deleted {
        if !server.store.owned_by(&change.after.uid).is_empty() {
            server.plan(Task::OwnerGone(change.after.uid.clone()), delay, now);
        }
        if !key.name.namespace.is_empty() {
            wake_namespace(server, &key.name.namespace.clone(), now);
        }
        definitions::on_deleted(server, change, now);
        garbage::wake_waiting_owners(server, &change.after.owners, now);
        workloads::on_deleted(server, change, now);
        return;
    }
    if !change.after.owners.is_empty() {
        let same = change
            .before
            .as_ref()
            .is_some_and(|before| before.owners == change.after.owners);
        if !same {
            server.plan(Task::CheckOwners(key.clone()), delay, now);
        }
    }
    match key.resource.as_ref() {
        "namespaces" => {
            let value = change.after.value();
            if object::is_deleting(&value) {
                server.plan(Task::EmptyNamespace(key.name.name.clone()), delay, now);
            } else if change.before.is_none() {
                server.plan(Task::Advance(key.clone()), delay, now);
            }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            server.plan(Task::Serve(key.clone()), delay, now);
        }
        _ => workloads::on_changed(server, change, now),
    }
}

fn wake_namespace(server: &mut ApiServer, namespace: &str, now: Timestamp) {
    let kind = super::kinds::builtin("", "v1", "namespaces").expect("a built-in kind");
    let stored = server.stored(kind, "", namespace);
    if stored.is_ok_and(|stored| object::is_deleting(&stored.value())) {
        let delay = server.options.controller_delay;
        server.plan(Task::EmptyNamespace(namespace.into()), delay, now);
    }
}

/// Carries out one task.
pub(crate) fn run(server: &mut ApiServer, task: &Task, now: Timestamp) {
    match task {
        Task::OwnerGone(uid) => garbage::owner_gone(server, uid, now),
        Task::CheckOwners(key) => garbage::check_owners(server, key, now),
        Task::WaitForDependents(key) => garbage::wait_for_dependents(server, key, now),
        Task::EmptyNamespace(name) => namespaces::empty(server, name, now),
        Task::Serve(key) => definitions::serve(server, key, now),
        Task::Advance(key) if key.resource.as_ref() == "namespaces" => {
            namespaces::furnish(server, key, now);
        }
        Task::Advance(key) => workloads::advance(server, key, now),
        Task::Ripen(key) => workloads::ripen(server, key, now),
    }
}
