//! ReplicaSets, StatefulSets and DaemonSets: so many pods of one template.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::deployments::{self, Counts};
use super::{Run, pods, template_hash};
use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::object;
use crate::sim_cluster::request::DeleteOptions;
use crate::sim_cluster::server::ApiServer;

const REVISION: &str = "controller-revision-hash";

/// Brings the pods in line and reports.
pub(super) fn advance(server: &mut ApiServer, set: &Run, now: Timestamp) {
    let own = set.owned(server, "pods");
    match set.key.resource.as_ref() {
        "replicasets.apps" => advance_replica_set(server, set, &own, now),
        "statefulsets.apps" => advance_stateful_set(server, set, &own, now),
        _ => advance_daemon_set(server, set, &own, now),
    }
    let own = set.owned(server, "pods");
    let ready = own.iter().filter(|pod| pods::is_ready(pod)).count() as i64;
    let hash = template_hash(&set.template());
    let updated = own.iter().filter(|pod| revision(pod) == hash).count() as i64;
    report(server, set, own.len() as i64, updated, ready, now);
}

fn revision(pod: &Run) -> &str {
    object::at(&pod.value, &["metadata", "labels", REVISION])
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn delete(server: &mut ApiServer, pod: &Run, now: Timestamp) {
    // A pod that is already gone needs no deleting.
    drop(server.delete(&pod.kind, &pod.key, &DeleteOptions::default(), now));
}

fn advance_replica_set(server: &mut ApiServer, set: &Run, own: &[Run], now: Timestamp) {
    let wanted = usize::try_from(set.number(&["spec", "replicas"])).unwrap_or(0);
    for _ in own.len()..wanted {
        let name = format!("{}-{}", set.name(), server.random.suffix(5));
        pods::make(server, set, &name, &json!({}), None, now);
    }
    // Pods that are not ready go first.
    let mut extra: Vec<&Run> = own.iter().collect();
    extra.sort_by_key(|pod| pods::is_ready(pod));
    extra
        .iter()
        .take(own.len().saturating_sub(wanted))
        .for_each(|pod| delete(server, pod, now));
}

/// One pod after the other, by number; the next only when all before it are ready.
fn advance_stateful_set(server: &mut ApiServer, set: &Run, own: &[Run], now: Timestamp) {
    let wanted = set.number(&["spec", "replicas"]);
    let hash = template_hash(&set.template());
    let parallel = set.value["spec"]["podManagementPolicy"] == "Parallel";
    for number in 0..wanted {
        let name = format!("{}-{number}", set.name());
        match own.iter().find(|pod| pod.name() == name) {
            None => {
                pods::make(server, set, &name, &json!({REVISION: hash}), None, now);
                if !parallel {
                    return;
                }
            }
            Some(pod) if revision(pod) != hash => return delete(server, pod, now),
            Some(pod) if !pods::is_ready(pod) && !parallel => return,
            Some(_) => {}
        }
    }
    let number_of = |pod: &Run| {
        pod.name()
            .rsplit('-')
            .next()
            .and_then(|number| number.parse::<i64>().ok())
    };
    own.iter()
        .filter(|pod| number_of(pod).is_some_and(|number| number >= wanted))
        .for_each(|pod| delete(server, pod, now));
}

/// One pod on each node.
fn advance_daemon_set(server: &mut ApiServer, set: &Run, own: &[Run], now: Timestamp) {
    let hash = template_hash(&set.template());
    let nodes: Vec<String> = server
        .store
        .list("nodes", "")
        .map(|(name, _)| name.name.to_string())
        .collect();
    for node in &nodes {
        let here = |pod: &&Run| object::at(&pod.value, &["spec", "nodeName"]) == Some(&json!(node));
        match own.iter().find(here) {
            None => {
                let name = format!("{}-{}", set.name(), server.random.suffix(5));
                pods::make(
                    server,
                    set,
                    &name,
                    &json!({REVISION: hash}),
                    Some(node),
                    now,
                );
            }
            Some(pod) if revision(pod) != hash => delete(server, pod, now),
            Some(_) => {}
        }
    }
}

/// What the set's status says, given its pods.
fn report(
    server: &mut ApiServer,
    set: &Run,
    replicas: i64,
    updated: i64,
    ready: i64,
    now: Timestamp,
) {
    let generation = set.generation();
    let hash = template_hash(&set.template());
    let revision = format!("{}-{hash}", set.name());
    let status = match set.key.resource.as_ref() {
        "replicasets.apps" => {
            let mut status = json!({"observedGeneration": generation, "replicas": replicas});
            for (field, number) in [
                ("fullyLabeledReplicas", replicas),
                ("readyReplicas", ready),
                ("availableReplicas", ready),
            ] {
                if number != 0 {
                    status[field] = number.into();
                }
            }
            status
        }
        "statefulsets.apps" => json!({
            "observedGeneration": generation, "replicas": replicas, "readyReplicas": ready,
            "availableReplicas": ready, "currentReplicas": updated, "updatedReplicas": updated,
            "currentRevision": revision, "updateRevision": revision, "collisionCount": 0,
        }),
        _ => {
            let wanted = server.store.list("nodes", "").count() as i64;
            json!({
                "observedGeneration": generation, "desiredNumberScheduled": wanted,
                "currentNumberScheduled": replicas, "updatedNumberScheduled": updated, "numberReady": ready,
                "numberAvailable": ready, "numberUnavailable": wanted - ready, "numberMisscheduled": 0,
            })
        }
    };
    set.report(server, status, now);
}

/// How many pods the set wants.
fn wanted(server: &ApiServer, set: &Run) -> i64 {
    match set.key.resource.as_ref() {
        "daemonsets.apps" => server.store.list("nodes", "").count() as i64,
        _ => set.number(&["spec", "replicas"]),
    }
}

fn report_any(server: &mut ApiServer, set: &Run, ready: i64, now: Timestamp) {
    let wanted = wanted(server, set);
    if set.key.resource.as_ref() == "deployments.apps" {
        let hash = template_hash(&set.template());
        deployments::report(
            server,
            set,
            &Counts {
                replicas: wanted,
                updated: wanted,
                ready,
                hash,
            },
            now,
        );
    } else {
        report(server, set, wanted, wanted, ready, now);
    }
}

/// Without pods: a changed set first loses its readiness, and gains it when the time has passed.
pub(super) fn report_without_pods(server: &mut ApiServer, set: &Run, now: Timestamp) {
    if set.number(&["status", "observedGeneration"]) == set.generation() {
        return;
    }
    let ready = ["readyReplicas", "numberReady"].map(|field| set.number(&["status", field]));
    let kept = ready
        .into_iter()
        .max()
        .unwrap_or(0)
        .min(wanted(server, set));
    report_any(server, set, kept, now);
    let delay = server.options.ready_after;
    server.plan(Task::Ripen(set.key.clone()), delay, now);
}

/// Without pods: the time has passed.
pub(super) fn ready_without_pods(server: &mut ApiServer, set: &Run, now: Timestamp) {
    if !pods::is_broken(server, &set.template()) {
        let wanted = wanted(server, set);
        report_any(server, set, wanted, now);
    }
}
