//! Deployments: one ReplicaSet per pod template; the old ones go when the new one is ready.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Run, condition, template_hash};
use crate::sim_cluster::object;
use crate::sim_cluster::seed;
use crate::sim_cluster::server::ApiServer;

const HASH: &str = "pod-template-hash";

/// Brings the ReplicaSets in line and reports.
pub(super) fn advance(server: &mut ApiServer, deployment: &Run, now: Timestamp) {
    let hash = template_hash(&deployment.template());
    let replicas = deployment.number(&["spec", "replicas"]);
    let sets = deployment.owned(server, "replicasets.apps");
    let (current, old): (Vec<Run>, Vec<Run>) = sets.into_iter().partition(|set| {
        object::at(&set.value, &["metadata", "labels", HASH]) == Some(&json!(hash))
    });
    let ready = current
        .first()
        .map_or(0, |set| set.number(&["status", "readyReplicas"]));
    match current.first() {
        // A paused Deployment does not begin anything new.
        None if deployment.value["spec"]["paused"] == true => {}
        None => make_replica_set(server, deployment, &hash, replicas, now),
        Some(set) => scale(server, set, replicas, now),
    }
    if ready >= replicas && !current.is_empty() {
        old.iter().for_each(|set| scale(server, set, 0, now));
    }
    let count = |sets: &[Run], field: &str| -> i64 {
        sets.iter().map(|set| set.number(&["status", field])).sum()
    };
    let all = |field: &str| count(&current, field) + count(&old, field);
    report(
        server,
        deployment,
        &Counts {
            replicas: all("replicas"),
            updated: count(&current, "replicas"),
            ready: all("readyReplicas"),
            hash,
        },
        now,
    );
}

fn make_replica_set(
    server: &mut ApiServer,
    deployment: &Run,
    hash: &str,
    replicas: i64,
    now: Timestamp,
) {
    let mut spec = json!({"replicas": replicas, "selector": deployment.value["spec"]["selector"], "template": deployment.template()});
    spec["selector"]["matchLabels"][HASH] = hash.into();
    spec["template"]["metadata"]["labels"][HASH] = hash.into();
    let set = json!({
        "metadata": {
            "name": format!("{}-{hash}", deployment.name()),
            "labels": spec["template"]["metadata"]["labels"],
            "ownerReferences": [deployment.owner_reference()],
        },
        "spec": spec,
    });
    seed::make(
        server,
        "apps",
        "replicasets",
        deployment.namespace(),
        set,
        now,
    );
}

fn scale(server: &mut ApiServer, set: &Run, replicas: i64, now: Timestamp) {
    if set.number(&["spec", "replicas"]) != replicas {
        let mut new = set.value.clone();
        new["spec"]["replicas"] = replicas.into();
        object::meta_mut(&mut new).insert("generation".to_owned(), (set.generation() + 1).into());
        set.save(server, new, "", now);
    }
}

/// What a Deployment's status counts.
pub(super) struct Counts {
    /// Pods.
    pub(super) replicas: i64,
    /// Pods of the present template.
    pub(super) updated: i64,
    /// Ready pods.
    pub(super) ready: i64,
    /// Digest of the present template.
    pub(super) hash: String,
}

/// Writes the status, with the conditions that `kubectl rollout status` reads.
pub(super) fn report(server: &mut ApiServer, deployment: &Run, counts: &Counts, now: Timestamp) {
    let wanted = deployment.number(&["spec", "replicas"]);
    let least = wanted - max_unavailable(deployment, wanted);
    let available = counts.ready >= least;
    let complete = counts.updated == wanted && counts.replicas == wanted && counts.ready == wanted;
    let set = format!("ReplicaSet \"{}-{}\"", deployment.name(), counts.hash);
    let progressing = if deployment.value["spec"]["paused"] == true {
        json!({"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "message": "Deployment is paused"})
    } else if complete {
        condition(
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &format!("{set} has successfully progressed."),
        )
    } else {
        condition(
            "Progressing",
            true,
            "ReplicaSetUpdated",
            &format!("{set} is progressing."),
        )
    };
    let availability = if available {
        condition(
            "Available",
            true,
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        let message = "Deployment does not have minimum availability.";
        condition("Available", false, "MinimumReplicasUnavailable", message)
    };
    let mut conditions = json!([availability, progressing]);
    for condition in conditions.as_array_mut().into_iter().flatten() {
        // Filled in when it is reported.
        condition["lastUpdateTime"] = Value::Null;
    }
    let mut status = json!({"observedGeneration": deployment.generation(), "terminatingReplicas": 0,
        "conditions": conditions});
    let missing = (wanted.max(counts.replicas) - counts.ready).max(0);
    for (field, number) in [
        ("replicas", counts.replicas),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.ready),
        ("unavailableReplicas", missing),
    ] {
        // As in a real cluster, a zero is left out.
        if number != 0 {
            status[field] = number.into();
        }
    }
    deployment.report(server, status, now);
}

/// How many pods may be missing: a number, or a share of the replicas, rounded down.
fn max_unavailable(deployment: &Run, wanted: i64) -> i64 {
    match object::at(
        &deployment.value,
        &["spec", "strategy", "rollingUpdate", "maxUnavailable"],
    ) {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(share)) => share
            .trim_end_matches('%')
            .parse::<i64>()
            .map_or(0, |percent| wanted * percent / 100),
        _ => 0,
    }
}
