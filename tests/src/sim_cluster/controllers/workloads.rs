//! Workload controllers, scheduler and kubelet in one: they bring workloads closer to what they say, step by step.
//!
//! With [`SimOptions::pods`](crate::sim_cluster::SimOptions::pods) workloads make pods as in a real cluster, and
//! their status counts those pods. Without, a workload's own status says what its pods would have made of it.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::kinds::ResourceType;
use crate::sim_cluster::managed_fields::{self, Before, Writer};
use crate::sim_cluster::object;
use crate::sim_cluster::server::ApiServer;
use crate::sim_cluster::store::{Change, ObjectKey};

mod deployments;
mod jobs;
mod pods;
mod replicas;

const RUN: &[&str] = &[
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
    "pods",
];

/// An object changed: it and its owners have work to do.
pub(super) fn on_changed(server: &mut ApiServer, change: &Change, now: Timestamp) {
    if RUN.contains(&change.key.resource.as_ref()) {
        let delay = server.options.controller_delay;
        server.plan(Task::Advance(change.key.clone()), delay, now);
        wake_owners(server, change, now);
    }
}

/// An object is gone: its owners may want another.
pub(super) fn on_deleted(server: &mut ApiServer, change: &Change, now: Timestamp) {
    if RUN.contains(&change.key.resource.as_ref()) {
        wake_owners(server, change, now);
    }
}

fn wake_owners(server: &mut ApiServer, change: &Change, now: Timestamp) {
    let delay = server.options.controller_delay;
    for uid in &change.after.owners {
        if let Some(owner) = server.store.find_uid(uid).cloned()
            && RUN.contains(&owner.resource.as_ref())
        {
            server.plan(Task::Advance(owner), delay, now);
        }
    }
}

/// Takes the next step for an object.
pub(super) fn advance(server: &mut ApiServer, key: &ObjectKey, now: Timestamp) {
    let Some(object) = Run::load(server, key) else {
        return;
    };
    if object.deleting() && key.resource.as_ref() != "pods" {
        return;
    }
    match key.resource.as_ref() {
        "pods" => pods::advance(server, &object, now),
        "jobs.batch" => jobs::advance(server, &object, now),
        _ if !server.options.pods => replicas::report_without_pods(server, &object, now),
        "deployments.apps" => deployments::advance(server, &object, now),
        _ => replicas::advance(server, &object, now),
    }
}

/// The time an object's pods need has passed.
pub(super) fn ripen(server: &mut ApiServer, key: &ObjectKey, now: Timestamp) {
    let Some(object) = Run::load(server, key) else {
        return;
    };
    match key.resource.as_ref() {
        "pods" => pods::ripen(server, &object, now),
        "jobs.batch" => jobs::complete(server, &object, now),
        _ => replicas::ready_without_pods(server, &object, now),
    }
}

/// An object that a controller works on.
struct Run {
    key: ObjectKey,
    kind: std::sync::Arc<ResourceType>,
    value: Value,
}

impl Run {
    fn load(server: &ApiServer, key: &ObjectKey) -> Option<Run> {
        let value = server.store.get(key)?.value();
        let kind = server.catalog.find_stored(&key.resource)?;
        Some(Run {
            key: key.clone(),
            kind,
            value,
        })
    }

    fn name(&self) -> &str {
        &self.key.name.name
    }

    fn namespace(&self) -> &str {
        &self.key.name.namespace
    }

    fn uid(&self) -> &str {
        object::meta(&self.value, "uid")
    }

    fn generation(&self) -> i64 {
        object::meta_number(&self.value, "generation").unwrap_or(0)
    }

    fn deleting(&self) -> bool {
        object::is_deleting(&self.value)
    }

    fn number(&self, path: &[&str]) -> i64 {
        object::at(&self.value, path)
            .and_then(Value::as_i64)
            .unwrap_or(0)
    }

    fn template(&self) -> Value {
        object::at(&self.value, &["spec", "template"])
            .cloned()
            .unwrap_or_default()
    }

    /// The reference that makes this object the owner of another.
    fn owner_reference(&self) -> Value {
        json!({"apiVersion": self.kind.api_version(), "kind": self.kind.kind, "name": self.name(), "uid": self.uid(),
            "controller": true, "blockOwnerDeletion": true})
    }

    /// The objects of a kind that this one owns and that are not being deleted.
    fn owned(&self, server: &ApiServer, resource: &str) -> Vec<Run> {
        let keys = server
            .store
            .owned_by(self.uid())
            .into_iter()
            .filter(|key| key.resource.as_ref() == resource);
        keys.filter_map(|key| Run::load(server, &key))
            .filter(|run| !run.deleting())
            .collect()
    }

    /// Writes a new status if it differs; keeps the time of conditions whose status stays.
    fn report(&self, server: &mut ApiServer, mut status: Value, now: Timestamp) {
        keep_times(self.value.get("status"), &mut status, now);
        let mut new = self.value.clone();
        object::fields(&mut new).insert("status".to_owned(), status);
        self.save(server, new, "status", now);
    }

    /// Stores a new state of the object, in the controllers' name.
    fn save(&self, server: &mut ApiServer, mut new: Value, subresource: &str, now: Timestamp) {
        if new == self.value {
            return;
        }
        let writer = Writer {
            manager: if self.key.resource.as_ref() == "pods" {
                "kubelet"
            } else {
                "kube-controller-manager"
            }
            .to_owned(),
            api_version: self.kind.api_version(),
            subresource: subresource.to_owned(),
            time: object::timestamp(now),
        };
        managed_fields::track_update(Before::Object(&self.value), &mut new, &self.kind, &writer);
        server.put(&self.key, new, now);
    }
}

/// A condition; its times are filled in when it is reported.
fn condition(kind: &str, status: bool, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": if status { "True" } else { "False" }, "reason": reason, "message": message})
}

fn keep_times(before: Option<&Value>, status: &mut Value, now: Timestamp) {
    let old = before
        .and_then(|status| status.get("conditions"))
        .and_then(Value::as_array);
    let time = object::timestamp(now);
    for condition in status
        .get_mut("conditions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let same = old
            .into_iter()
            .flatten()
            .find(|one| one["type"] == condition["type"]);
        let kept = same.filter(|one| one["status"] == condition["status"]);
        let transition = kept.map_or_else(
            || time.as_str().into(),
            |one| one["lastTransitionTime"].clone(),
        );
        condition["lastTransitionTime"] = transition;
        if condition.get("lastUpdateTime").is_some() {
            let kept = kept.filter(|one| one["reason"] == condition["reason"]);
            condition["lastUpdateTime"] =
                kept.map_or_else(|| time.as_str().into(), |one| one["lastUpdateTime"].clone());
        }
    }
}

/// A short digest of a pod template, as it stands in the names of what is made from it.
fn template_hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = template
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let letter = || {
        let letter = LETTERS[(hash % LETTERS.len() as u64) as usize];
        hash /= LETTERS.len() as u64;
        char::from(letter)
    };
    std::iter::repeat_with(letter).take(10).collect()
}
