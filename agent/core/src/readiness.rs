//! Built-in readiness: whether an object of a well-known kind does what it is there for.
//!
//! OCM's `Available` only says that an object exists. Skein keeps that condition as it is and adds
//! `Progressing` and `Degraded` from here, where no rule of the work gives them.

mod workload;

use crate::feedback::group_version_kind;
use serde_json::{Map, Value};

/// What is known of an object's readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It does what it is there for.
    Ready,
    /// It is on its way; the text says what is missing.
    Progressing(String),
    /// It will not get there by itself; the text says why.
    Degraded(String),
    /// Nothing is known about the kind.
    Unjudged,
}

/// Judges an object by what it says of itself.
#[must_use]
pub fn of(object: &Map<String, Value>) -> Readiness {
    let view = View(object);
    let (group, _, kind) = group_version_kind(object);
    let judge: fn(View<'_>) -> Readiness = match (group, kind) {
        ("apps", "Deployment") => workload::deployment,
        ("apps", "StatefulSet") => workload::stateful_set,
        ("apps", "DaemonSet") => workload::daemon_set,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set,
        ("batch", "Job") => workload::job,
        ("", "Pod") => workload::pod,
        ("", "PersistentVolumeClaim") => persistent_volume_claim,
        ("", "Namespace") => namespace,
        ("", "Service") => service,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom_resource_definition,
        ("apiregistration.k8s.io", "APIService") => api_service,
        _ => return Readiness::Unjudged,
    };
    if !view.at(&["metadata", "deletionTimestamp"]).is_null() {
        return Readiness::Progressing("it is being deleted".to_owned());
    }
    judge(view)
}

/// True if an object that later waves wait for lets them go on.
#[must_use]
pub fn gate_open(object: &Map<String, Value>) -> bool {
    matches!(of(object), Readiness::Ready | Readiness::Unjudged)
}

fn namespace(object: View<'_>) -> Readiness {
    match object.text(&["status", "phase"]) {
        // An API server that has just created one may not show the phase yet.
        "Active" => Readiness::Ready,
        phase => progressing(format!("phase is {}", or_none(phase))),
    }
}

fn persistent_volume_claim(object: View<'_>) -> Readiness {
    match object.text(&["status", "phase"]) {
        "Bound" => Readiness::Ready,
        "Lost" => Readiness::Degraded("the volume is lost".to_owned()),
        phase => progressing(format!("phase is {}", or_none(phase))),
    }
}

fn service(object: View<'_>) -> Readiness {
    let waits = object.text(&["spec", "type"]) == "LoadBalancer"
        && object
            .list(&["status", "loadBalancer", "ingress"])
            .is_empty();
    if waits {
        progressing("no load balancer address yet".to_owned())
    } else {
        Readiness::Ready
    }
}

fn custom_resource_definition(object: View<'_>) -> Readiness {
    if let Some(("False", _, message)) = object.condition("NamesAccepted") {
        return Readiness::Degraded(format!("names are not accepted: {message}"));
    }
    match object.condition("Established") {
        Some(("True", ..)) => Readiness::Ready,
        _ => progressing("not established yet".to_owned()),
    }
}

fn api_service(object: View<'_>) -> Readiness {
    match object.condition("Available") {
        Some(("True", ..)) => Readiness::Ready,
        Some((_, reason, message)) => progressing(format!("not available: {reason}: {message}")),
        None => progressing("not available yet".to_owned()),
    }
}

fn progressing(what: String) -> Readiness {
    Readiness::Progressing(what)
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "not set" } else { text }
}

/// Reads an object without caring whether it is well formed: what is not there is empty or zero.
#[derive(Clone, Copy)]
struct View<'a>(&'a Map<String, Value>);

impl<'a> View<'a> {
    fn at(self, path: &[&str]) -> &'a Value {
        let (first, rest) = path.split_first().unwrap_or((&"", &[]));
        let start = self.0.get(*first).unwrap_or(&Value::Null);
        rest.iter()
            .fold(start, |value, key| value.get(key).unwrap_or(&Value::Null))
    }

    fn text(self, path: &[&str]) -> &'a str {
        self.at(path).as_str().unwrap_or_default()
    }

    fn number(self, path: &[&str]) -> Option<i64> {
        self.at(path).as_i64()
    }

    fn list(self, path: &[&str]) -> &'a [Value] {
        self.at(path).as_array().map_or(&[], Vec::as_slice)
    }

    /// Status, reason and message of the condition of a type.
    fn condition(self, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
        let text = |c: &'a Value, key: &str| c.get(key).and_then(Value::as_str).unwrap_or_default();
        let conditions = self.list(&["status", "conditions"]);
        let found = conditions
            .iter()
            .find(|condition| text(condition, "type") == kind)?;
        Some((
            text(found, "status"),
            text(found, "reason"),
            text(found, "message"),
        ))
    }

    /// True if the object's controller has not seen the newest spec.
    fn unseen(self) -> bool {
        let generation = self.number(&["metadata", "generation"]).unwrap_or(0);
        self.number(&["status", "observedGeneration"]).unwrap_or(0) < generation
    }
}

#[cfg(test)]
mod tests;
