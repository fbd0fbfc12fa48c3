//! Pods: scheduled, started, ready, and ended after a while.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Run, condition};
use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::object;
use crate::sim_cluster::seed;
use crate::sim_cluster::server::ApiServer;

/// Makes a pod from its owner's template.
pub(super) fn make(
    server: &mut ApiServer,
    owner: &Run,
    name: &str,
    labels: &Value,
    node: Option<&str>,
    now: Timestamp,
) {
    let template = owner.template();
    let mut metadata = template
        .get("metadata")
        .cloned()
        .unwrap_or_else(|| json!({}));
    for (key, value) in labels.as_object().into_iter().flatten() {
        metadata["labels"][key] = value.clone();
    }
    metadata["name"] = name.into();
    metadata["ownerReferences"] = json!([owner.owner_reference()]);
    let mut spec = template["spec"].clone();
    if let Some(node) = node {
        spec["nodeName"] = node.into();
    }
    seed::make(
        server,
        "",
        "pods",
        owner.namespace(),
        json!({"metadata": metadata, "spec": spec}),
        now,
    );
}

/// Whether the pod is ready.
pub(super) fn is_ready(pod: &Run) -> bool {
    let conditions = object::at(&pod.value, &["status", "conditions"]).and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// Annotation of a pod that never becomes ready, as the stages of `tests/kube/kwok` have it.
const STUCK: &str = "skein.test/stuck";

/// Whether a pod (or the template of one) never becomes ready: it says so, or its image cannot be had.
pub(super) fn is_broken(server: &ApiServer, pod: &Value) -> bool {
    let stuck = object::at(pod, &["metadata", "annotations", STUCK]) == Some(&json!("true"));
    let containers = object::at(pod, &["spec", "containers"]).and_then(Value::as_array);
    let mut images = containers
        .into_iter()
        .flatten()
        .filter_map(|one| one["image"].as_str());
    stuck
        || images.any(|image| {
            server
                .broken_images
                .iter()
                .any(|broken| image.contains(broken))
        })
}

/// Schedules a pod, and sets the time for what comes next.
pub(super) fn advance(server: &mut ApiServer, pod: &Run, now: Timestamp) {
    let phase = pod.value["status"]["phase"].as_str().unwrap_or_default();
    let delay = server.options.ready_after;
    if pod.deleting() {
        server.plan(Task::Ripen(pod.key.clone()), delay, now);
        return;
    }
    if pod.value["spec"].get("nodeName").is_some() {
        if phase == "Pending" && pod.value["status"].get("startTime").is_none() {
            start(server, pod, now);
        }
        return;
    }
    let nodes: Vec<String> = server
        .store
        .list("nodes", "")
        .map(|(name, _)| name.name.to_string())
        .collect();
    if nodes.is_empty() {
        if pod.value["status"].get("conditions").is_none() {
            let why = condition(
                "PodScheduled",
                false,
                "Unschedulable",
                "0/0 nodes are available.",
            );
            pod.report(
                server,
                json!({"phase": "Pending", "conditions": [why]}),
                now,
            );
        }
        return;
    }
    let node = &nodes[(server.random.next() % nodes.len() as u64) as usize];
    let mut new = pod.value.clone();
    new["spec"]["nodeName"] = node.as_str().into();
    pod.save(server, new, "", now);
}

fn start(server: &mut ApiServer, pod: &Run, now: Timestamp) {
    let delay = server.options.ready_after;
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let status = status(server, pod, "Pending", false, &waiting, now);
    pod.report(server, status, now);
    server.plan(Task::Ripen(pod.key.clone()), delay, now);
}

/// The time a pod needs has passed: it runs, has done its work, or is gone.
pub(super) fn ripen(server: &mut ApiServer, pod: &Run, now: Timestamp) {
    let time = object::timestamp(now);
    if pod.deleting() {
        end(server, pod, now);
        return;
    }
    let phase = pod.value["status"]["phase"].as_str().unwrap_or_default();
    let finite = pod.value["spec"]["restartPolicy"] != "Always";
    let next = match phase {
        "Pending" if is_broken(server, &pod.value) => {
            let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "the image cannot be pulled"}});
            status(server, pod, "Pending", false, &waiting, now)
        }
        "Pending" => {
            if finite {
                let delay = server.options.ready_after;
                server.plan(Task::Ripen(pod.key.clone()), delay, now);
            }
            status(
                server,
                pod,
                "Running",
                true,
                &json!({"running": {"startedAt": time}}),
                now,
            )
        }
        "Running" if finite => {
            let ended =
                json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": time}});
            status(server, pod, "Succeeded", false, &ended, now)
        }
        _ => return,
    };
    pod.report(server, next, now);
}

/// Takes a pod away, unless a finalizer keeps it.
fn end(server: &mut ApiServer, pod: &Run, now: Timestamp) {
    let mut new = pod.value.clone();
    object::meta_mut(&mut new).insert("deletionGracePeriodSeconds".to_owned(), 0.into());
    if new != pod.value || object::finalizers(&new).is_empty() {
        server.store_change(&pod.kind, &pod.key, new, now);
    }
}

fn status(
    server: &mut ApiServer,
    pod: &Run,
    phase: &str,
    ready: bool,
    state: &Value,
    now: Timestamp,
) -> Value {
    let reason = match phase {
        "Succeeded" => "PodCompleted",
        _ if ready => "",
        _ => "ContainersNotReady",
    };
    let containers = pod.value["spec"]["containers"].as_array().into_iter().flatten().map(|container| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0,
            "ready": ready, "started": ready, "state": state,
        })
    });
    let containers: Vec<Value> = containers.collect();
    let before = &pod.value["status"];
    let started = before
        .get("startTime")
        .cloned()
        .unwrap_or_else(|| object::timestamp(now).into());
    let mut status = json!({
        "phase": phase,
        "startTime": started,
        "containerStatuses": containers,
        "conditions": [
            condition("PodScheduled", true, "", ""),
            condition("Initialized", true, "", ""),
            condition("ContainersReady", ready, reason, ""),
            condition("Ready", ready, reason, ""),
        ],
    });
    if ready || before.get("podIP").is_some() {
        let number = server.random.next();
        let address = before.get("podIP").and_then(Value::as_str).map_or_else(
            || format!("10.244.{}.{}", number >> 8 & 0xff, 1 + number % 254),
            str::to_owned,
        );
        status["podIPs"] = json!([{"ip": address}]);
        status["podIP"] = address.into();
    }
    status
}
