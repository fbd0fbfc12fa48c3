#![allow(clippy::needless_pass_by_value, reason = "tables of json! values")]

use super::*;
use serde_json::json;

fn judge(api_version: &str, kind: &str, rest: Value) -> Readiness {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"generation": 2}});
    let target = object.as_object_mut().unwrap();
    for (key, value) in rest.as_object().unwrap() {
        target.insert(key.clone(), value.clone());
    }
    of(target)
}

fn progressing(text: &str) -> Readiness {
    Readiness::Progressing(text.to_owned())
}

fn degraded(text: &str) -> Readiness {
    Readiness::Degraded(text.to_owned())
}

#[test]
fn deployments() {
    let deployment = |status: Value| {
        judge(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": 3}, "status": status}),
        )
    };
    for (status, readiness) in [
        (
            json!({}),
            progressing("its controller has not seen the newest spec"),
        ),
        (
            json!({"observedGeneration": 2}),
            progressing("0 of 3 replicas are updated"),
        ),
        (
            json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 4, "availableReplicas": 4}),
            progressing("1 old replicas are still there"),
        ),
        (
            json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}),
            progressing("2 of 3 replicas are available"),
        ),
        (
            json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}),
            Readiness::Ready,
        ),
        (
            json!({"observedGeneration": 2, "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}]}),
            degraded("the progress deadline has passed: m"),
        ),
        (
            json!({"observedGeneration": 2, "conditions": [
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]}),
            degraded("replicas cannot be made: FailedCreate: quota"),
        ),
    ] {
        assert_eq!(deployment(status.clone()), readiness, "{status}");
    }
    assert_eq!(
        judge(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": 0}, "status": {"observedGeneration": 2}})
        ),
        Readiness::Ready
    );
}

#[test]
fn other_workloads() {
    let seen = |mut status: Value| {
        status["observedGeneration"] = json!(2);
        status
    };
    for (api_version, kind, spec, status, readiness) in [
        (
            "apps/v1",
            "StatefulSet",
            json!({"replicas": 2}),
            seen(json!({"readyReplicas": 1})),
            progressing("1 of 2 replicas are ready"),
        ),
        (
            "apps/v1",
            "StatefulSet",
            json!({"replicas": 2}),
            seen(json!({"readyReplicas": 2, "updatedReplicas": 1})),
            progressing("1 of 2 replicas are updated"),
        ),
        (
            "apps/v1",
            "StatefulSet",
            json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}),
            seen(json!({"readyReplicas": 2, "updatedReplicas": 1})),
            Readiness::Ready,
        ),
        (
            "apps/v1",
            "DaemonSet",
            json!({}),
            seen(
                json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}),
            ),
            progressing("1 of 2 pods are available"),
        ),
        (
            "apps/v1",
            "DaemonSet",
            json!({}),
            seen(json!({})),
            Readiness::Ready,
        ),
        (
            "apps/v1",
            "ReplicaSet",
            json!({}),
            seen(json!({"availableReplicas": 1})),
            Readiness::Ready,
        ),
        (
            "batch/v1",
            "Job",
            json!({"completions": 3}),
            json!({"succeeded": 1}),
            progressing("1 of 3 completions"),
        ),
        (
            "batch/v1",
            "Job",
            json!({}),
            json!({"conditions": [{"type": "Complete", "status": "True"}]}),
            Readiness::Ready,
        ),
        (
            "batch/v1",
            "Job",
            json!({}),
            json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]}),
            degraded("it failed: BackoffLimitExceeded: m"),
        ),
        (
            "v1",
            "Pod",
            json!({}),
            json!({"phase": "Succeeded"}),
            Readiness::Ready,
        ),
        (
            "v1",
            "Pod",
            json!({}),
            json!({"phase": "Running"}),
            progressing("phase is Running"),
        ),
        (
            "v1",
            "Pod",
            json!({}),
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            Readiness::Ready,
        ),
        (
            "v1",
            "Pod",
            json!({}),
            json!({"phase": "Pending", "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}),
            degraded("container a is in ImagePullBackOff"),
        ),
    ] {
        let found = judge(
            api_version,
            kind,
            json!({"spec": spec, "status": status.clone()}),
        );
        assert_eq!(found, readiness, "{kind} {status}");
    }
}

#[test]
fn the_rest() {
    for (api_version, kind, rest, readiness) in [
        (
            "v1",
            "Namespace",
            json!({"status": {"phase": "Active"}}),
            Readiness::Ready,
        ),
        (
            "v1",
            "Namespace",
            json!({"status": {"phase": "Terminating"}}),
            progressing("phase is Terminating"),
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            json!({"status": {"phase": "Pending"}}),
            progressing("phase is Pending"),
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            json!({"status": {"phase": "Lost"}}),
            degraded("the volume is lost"),
        ),
        (
            "v1",
            "Service",
            json!({"spec": {"type": "ClusterIP"}}),
            Readiness::Ready,
        ),
        (
            "v1",
            "Service",
            json!({"spec": {"type": "LoadBalancer"}}),
            progressing("no load balancer address yet"),
        ),
        (
            "v1",
            "Service",
            json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}),
            Readiness::Ready,
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({}),
            progressing("not established yet"),
        ),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({"status": {"conditions": [{"type": "Established", "status": "True"}]}}),
            Readiness::Ready,
        ),
        (
            "apiregistration.k8s.io/v1",
            "APIService",
            json!({"status": {"conditions": [{"type": "Available", "status": "False", "reason": "R", "message": "m"}]}}),
            progressing("not available: R: m"),
        ),
        ("v1", "ConfigMap", json!({}), Readiness::Unjudged),
        (
            "example.com/v1",
            "Deployment",
            json!({}),
            Readiness::Unjudged,
        ),
        (
            "v1",
            "Namespace",
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Active"}}),
            progressing("it is being deleted"),
        ),
    ] {
        assert_eq!(
            judge(api_version, kind, rest.clone()),
            readiness,
            "{kind} {rest}"
        );
    }
}
