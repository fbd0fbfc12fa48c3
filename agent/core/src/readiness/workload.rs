//! Readiness of what runs containers.

use super::{Readiness, View, or_none, progressing};
use serde_json::Value;

const UNSEEN: &str = "its controller has not seen the newest spec";

/// Container states that do not end by waiting.
const STUCK: &[&str] = &[
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
];

pub(super) fn deployment(object: View<'_>) -> Readiness {
    if object.unseen() {
        return progressing(UNSEEN.to_owned());
    }
    if let Some((_, "ProgressDeadlineExceeded", message)) = object.condition("Progressing") {
        return Readiness::Degraded(format!("the progress deadline has passed: {message}"));
    }
    if let Some(("True", reason, message)) = object.condition("ReplicaFailure") {
        return Readiness::Degraded(format!("replicas cannot be made: {reason}: {message}"));
    }
    let wanted = object.number(&["spec", "replicas"]).unwrap_or(1);
    let all = status(object, "replicas");
    let updated = status(object, "updatedReplicas");
    let available = status(object, "availableReplicas");
    if updated < wanted {
        progressing(format!("{updated} of {wanted} replicas are updated"))
    } else if all > updated {
        progressing(format!("{} old replicas are still there", all - updated))
    } else if available < updated {
        progressing(format!("{available} of {updated} replicas are available"))
    } else {
        Readiness::Ready
    }
}

pub(super) fn stateful_set(object: View<'_>) -> Readiness {
    if object.unseen() {
        return progressing(UNSEEN.to_owned());
    }
    let wanted = object.number(&["spec", "replicas"]).unwrap_or(1);
    let ready = status(object, "readyReplicas");
    if ready < wanted {
        return progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    if object.text(&["spec", "updateStrategy", "type"]) != "OnDelete" {
        let partition = object.number(&["spec", "updateStrategy", "rollingUpdate", "partition"]);
        let to_update = (wanted - partition.unwrap_or(0)).max(0);
        let updated = status(object, "updatedReplicas");
        if updated < to_update {
            return progressing(format!("{updated} of {to_update} replicas are updated"));
        }
    }
    Readiness::Ready
}

pub(super) fn daemon_set(object: View<'_>) -> Readiness {
    if object.unseen() {
        return progressing(UNSEEN.to_owned());
    }
    let wanted = status(object, "desiredNumberScheduled");
    let updated = status(object, "updatedNumberScheduled");
    let available = status(object, "numberAvailable");
    if object.text(&["spec", "updateStrategy", "type"]) != "OnDelete" && updated < wanted {
        return progressing(format!("{updated} of {wanted} pods are updated"));
    }
    if available < wanted {
        return progressing(format!("{available} of {wanted} pods are available"));
    }
    Readiness::Ready
}

pub(super) fn replica_set(object: View<'_>) -> Readiness {
    if object.unseen() {
        return progressing(UNSEEN.to_owned());
    }
    if let Some(("True", reason, message)) = object.condition("ReplicaFailure") {
        return Readiness::Degraded(format!("replicas cannot be made: {reason}: {message}"));
    }
    let wanted = object.number(&["spec", "replicas"]).unwrap_or(1);
    let available = status(object, "availableReplicas");
    if available < wanted {
        return progressing(format!("{available} of {wanted} replicas are available"));
    }
    Readiness::Ready
}

pub(super) fn job(object: View<'_>) -> Readiness {
    if let Some(("True", reason, message)) = object.condition("Failed") {
        return Readiness::Degraded(format!("it failed: {reason}: {message}"));
    }
    if let Some(("True", ..)) = object.condition("Complete") {
        return Readiness::Ready;
    }
    if let Some(("True", ..)) = object.condition("Suspended") {
        return progressing("it is suspended".to_owned());
    }
    let succeeded = status(object, "succeeded");
    let wanted = object.number(&["spec", "completions"]).unwrap_or(1);
    progressing(format!("{succeeded} of {wanted} completions"))
}

pub(super) fn pod(object: View<'_>) -> Readiness {
    match object.text(&["status", "phase"]) {
        "Succeeded" => return Readiness::Ready,
        "Failed" => {
            let reason = object.text(&["status", "reason"]);
            return Readiness::Degraded(format!("it failed: {}", or_none(reason)));
        }
        _ => {}
    }
    if let Some(("True", ..)) = object.condition("Ready") {
        return Readiness::Ready;
    }
    for statuses in ["initContainerStatuses", "containerStatuses"] {
        for container in object.list(&["status", statuses]) {
            let waiting = container
                .pointer("/state/waiting/reason")
                .and_then(Value::as_str);
            if let Some(reason) = waiting.filter(|reason| STUCK.contains(reason)) {
                let name = container
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                return Readiness::Degraded(format!("container {name} is in {reason}"));
            }
        }
    }
    progressing(format!(
        "phase is {}",
        or_none(object.text(&["status", "phase"]))
    ))
}

fn status(object: View<'_>, field: &str) -> i64 {
    object.number(&["status", field]).unwrap_or(0)
}
