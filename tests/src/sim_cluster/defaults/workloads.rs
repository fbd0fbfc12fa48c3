//! Defaults of what makes pods.

use serde_json::{Map, Value, json};

use super::{child, pods, put, put_all};
use crate::sim_cluster::object;

fn template(spec: &mut Map<String, Value>) {
    let template = child(spec, "template");
    child(template, "metadata");
    pods::spec(child(template, "spec"));
}

fn strategy(spec: &mut Map<String, Value>, field: &str, rolling: &[(&str, Value)]) {
    let strategy = child(spec, field);
    put(strategy, "type", json!("RollingUpdate"));
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        put_all(child(strategy, "rollingUpdate"), rolling);
    }
}

/// Defaults of a Deployment.
pub(super) fn deployment(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put_all(
        spec,
        &[
            ("replicas", json!(1)),
            ("progressDeadlineSeconds", json!(600)),
            ("revisionHistoryLimit", json!(10)),
        ],
    );
    strategy(
        spec,
        "strategy",
        &[("maxSurge", json!("25%")), ("maxUnavailable", json!("25%"))],
    );
    template(spec);
}

/// Defaults of a ReplicaSet.
pub(super) fn replica_set(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put(spec, "replicas", json!(1));
    template(spec);
}

/// Defaults of a StatefulSet.
pub(super) fn stateful_set(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put_all(
        spec,
        &[
            ("replicas", json!(1)),
            ("podManagementPolicy", json!("OrderedReady")),
            ("revisionHistoryLimit", json!(10)),
            (
                "persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            ),
        ],
    );
    strategy(spec, "updateStrategy", &[("partition", json!(0))]);
    template(spec);
}

/// Defaults of a DaemonSet, and the annotation by which its older clients count templates.
pub(super) fn daemon_set(value: &mut Value) {
    let generation = object::meta_number(value, "generation")
        .unwrap_or(1)
        .to_string();
    let annotations = child(object::meta_mut(value), "annotations");
    put(
        annotations,
        "deprecated.daemonset.template.generation",
        generation.into(),
    );
    let spec = object::field_mut(value, "spec");
    put(spec, "revisionHistoryLimit", json!(10));
    strategy(
        spec,
        "updateStrategy",
        &[("maxSurge", json!(0)), ("maxUnavailable", json!(1))],
    );
    template(spec);
}

/// Defaults of a Job: it selects its pods by its own uid.
pub(super) fn job(value: &mut Value) {
    let uid = object::meta(value, "uid").to_owned();
    let name = object::meta(value, "name").to_owned();
    let spec = object::field_mut(value, "spec");
    put_all(
        spec,
        &[
            ("backoffLimit", json!(6)),
            ("completionMode", json!("NonIndexed")),
            ("suspend", json!(false)),
            ("podReplacementPolicy", json!("TerminatingOrFailed")),
            ("completions", json!(1)),
            ("parallelism", json!(1)),
        ],
    );
    if spec.get("manualSelector").and_then(Value::as_bool) != Some(true) {
        put(
            spec,
            "selector",
            json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}),
        );
        let labels = child(child(child(spec, "template"), "metadata"), "labels");
        for prefix in ["", "batch.kubernetes.io/"] {
            put(
                labels,
                &format!("{prefix}controller-uid"),
                uid.as_str().into(),
            );
            put(labels, &format!("{prefix}job-name"), name.as_str().into());
        }
    }
    template(spec);
}

/// Defaults of a CronJob. Those of its Jobs are filled in when they are made.
pub(super) fn cron_job(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put_all(
        spec,
        &[
            ("concurrencyPolicy", json!("Allow")),
            ("suspend", json!(false)),
            ("successfulJobsHistoryLimit", json!(3)),
            ("failedJobsHistoryLimit", json!(1)),
        ],
    );
    let job = child(spec, "jobTemplate");
    child(job, "metadata");
    template(child(job, "spec"));
}
