//! Workloads become ready, and say so in the fields that feedback and conditions read.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::context::{Check, Context, checks, eventually};
use crate::deletion::gone;

pub(crate) fn checks() -> Vec<Check> {
    checks!["workloads":
        a_deployment_becomes_available,
        a_changed_deployment_rolls_out,
        a_stuck_deployment_is_not_available,
        a_deployment_takes_its_pods_along,
        stateful_sets_and_daemon_sets_become_ready,
        a_job_completes,
        a_scale_changes_the_replicas,
    ]
}

fn typed<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("an object of that kind")
}

async fn available(
    api: &Api<Deployment>,
    name: &str,
    generation: i64,
    replicas: i32,
) -> Deployment {
    eventually(
        &format!("{replicas} available replicas of generation {generation}"),
        async || {
            let deployment = api.get(name).await.expect("there");
            let status = deployment.status.clone()?;
            let conditions = status.conditions.clone().unwrap_or_default();
            let met = |kind: &str| {
                conditions
                    .iter()
                    .any(|one| one.type_ == kind && one.status == "True")
            };
            let all = [
                status.replicas,
                status.updated_replicas,
                status.ready_replicas,
                status.available_replicas,
            ];
            let there = status.observed_generation == Some(generation)
                && all.iter().all(|count| *count == Some(replicas));
            (there && met("Available") && met("Progressing")).then_some(deployment)
        },
    )
    .await
}

async fn a_deployment_becomes_available(context: Context) {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &context.namespace);
    let body = typed(crate::objects::deployment("d", 2));
    api.create(&PostParams::default(), &body)
        .await
        .expect("created");
    let deployment = available(&api, "d", 1, 2).await;
    let conditions = deployment
        .status
        .and_then(|status| status.conditions)
        .expect("conditions");
    let reason = |kind: &str| {
        conditions
            .iter()
            .find(|one| one.type_ == kind)
            .and_then(|one| one.reason.clone())
    };
    assert_eq!(
        reason("Available").as_deref(),
        Some("MinimumReplicasAvailable")
    );
    assert_eq!(
        reason("Progressing").as_deref(),
        Some("NewReplicaSetAvailable")
    );
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespace);
    let pods = pods
        .list(&ListParams::default().labels("app=d"))
        .await
        .expect("a list")
        .items;
    assert_eq!(pods.len(), 2);
    let sets: Api<ReplicaSet> = Api::namespaced(context.client.clone(), &context.namespace);
    let set = sets
        .get(&pods[0].owner_references()[0].name)
        .await
        .expect("the pods' owner");
    assert_eq!(set.owner_references()[0].name, "d");
    assert_eq!(set.owner_references()[0].controller, Some(true));
    assert!(pods.iter().all(|pod| {
        pod.spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some())
    }));
}

async fn a_changed_deployment_rolls_out(context: Context) {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &context.namespace);
    api.create(
        &PostParams::default(),
        &typed(crate::objects::deployment("d", 1)),
    )
    .await
    .expect("created");
    available(&api, "d", 1, 1).await;
    let image = json!({"spec": {"replicas": 3, "template": {"spec": {"containers": [
        {"name": "main", "image": "registry.example/app:2"}]}}}});
    api.patch("d", &PatchParams::default(), &Patch::Strategic(image))
        .await
        .expect("patched");
    available(&api, "d", 2, 3).await;
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespace);
    eventually("only pods of the new image", async || {
        let pods = pods
            .list(&ListParams::default().labels("app=d"))
            .await
            .expect("a list")
            .items;
        let new = |pod: &Pod| {
            pod.spec.as_ref().is_some_and(|spec| {
                spec.containers[0].image.as_deref() == Some("registry.example/app:2")
            })
        };
        (pods.len() == 3 && pods.iter().all(new)).then_some(())
    })
    .await;
}

async fn a_stuck_deployment_is_not_available(context: Context) {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &context.namespace);
    let mut body = crate::objects::deployment("d", 1);
    body["spec"]["template"]["metadata"]["annotations"] = json!({"skein.test/stuck": "true"});
    api.create(&PostParams::default(), &typed(body))
        .await
        .expect("created");
    eventually("a status that says so", async || {
        let status = api.get("d").await.expect("there").status?;
        let conditions = status.conditions.unwrap_or_default();
        let missing = conditions
            .iter()
            .any(|one| one.type_ == "Available" && one.status == "False");
        (missing && status.unavailable_replicas == Some(1) && status.replicas == Some(1))
            .then_some(())
    })
    .await;
}

async fn a_deployment_takes_its_pods_along(context: Context) {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &context.namespace);
    api.create(
        &PostParams::default(),
        &typed(crate::objects::deployment("d", 1)),
    )
    .await
    .expect("created");
    available(&api, "d", 1, 1).await;
    api.delete("d", &DeleteParams::background())
        .await
        .expect("deleted");
    gone(&api, "d").await;
    let sets: Api<ReplicaSet> = Api::namespaced(context.client.clone(), &context.namespace);
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespace);
    eventually("no ReplicaSet and no pod is left", async || {
        let sets = sets
            .list(&ListParams::default())
            .await
            .expect("a list")
            .items;
        let pods = pods
            .list(&ListParams::default())
            .await
            .expect("a list")
            .items;
        (sets.is_empty() && pods.is_empty()).then_some(())
    })
    .await;
}

async fn stateful_sets_and_daemon_sets_become_ready(context: Context) {
    let template = crate::objects::deployment("s", 2)["spec"]["template"].clone();
    let selector = json!({"matchLabels": {"app": "s"}});
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), &context.namespace);
    let body = typed(
        json!({"metadata": {"name": "s"}, "spec": {"replicas": 2, "serviceName": "s", "selector": selector, "template": template}}),
    );
    sets.create(&PostParams::default(), &body)
        .await
        .expect("created");
    eventually("a ready StatefulSet", async || {
        let status = sets.get("s").await.expect("there").status?;
        (status.ready_replicas == Some(2) && status.observed_generation == Some(1)).then_some(())
    })
    .await;
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespace);
    for name in ["s-0", "s-1"] {
        pods.get(name).await.expect("pods are numbered");
    }
    let template = crate::objects::deployment("e", 1)["spec"]["template"].clone();
    let everywhere: Api<DaemonSet> = Api::namespaced(context.client.clone(), &context.namespace);
    let body = typed(
        json!({"metadata": {"name": "e"}, "spec": {"selector": {"matchLabels": {"app": "e"}}, "template": template}}),
    );
    everywhere
        .create(&PostParams::default(), &body)
        .await
        .expect("created");
    eventually("a ready DaemonSet", async || {
        let status = everywhere.get("e").await.expect("there").status?;
        (status.desired_number_scheduled == 1
            && status.number_ready == 1
            && status.observed_generation == Some(1))
        .then_some(())
    })
    .await;
}

async fn a_job_completes(context: Context) {
    let api: Api<Job> = Api::namespaced(context.client.clone(), &context.namespace);
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/job:1"}]}});
    let body = typed(json!({"metadata": {"name": "j"}, "spec": {"template": template}}));
    api.create(&PostParams::default(), &body)
        .await
        .expect("created");
    eventually("a completed Job", async || {
        let status = api.get("j").await.expect("there").status?;
        let complete = status
            .conditions
            .unwrap_or_default()
            .iter()
            .any(|one| one.type_ == "Complete" && one.status == "True");
        (complete && status.succeeded == Some(1) && status.completion_time.is_some()).then_some(())
    })
    .await;
}

async fn a_scale_changes_the_replicas(context: Context) {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &context.namespace);
    let made = api
        .create(
            &PostParams::default(),
            &typed(crate::objects::deployment("d", 0)),
        )
        .await
        .expect("created");
    let scale = api.get_scale("d").await.expect("a scale");
    assert_eq!(scale.spec.and_then(|spec| spec.replicas).unwrap_or(0), 0);
    assert_eq!(scale.metadata.uid, made.metadata.uid);
    let patch = Patch::Merge(json!({"spec": {"replicas": 1}}));
    let scaled = api
        .patch_scale("d", &PatchParams::default(), &patch)
        .await
        .expect("scaled");
    assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(1));
    let deployment = api.get("d").await.expect("there");
    assert_eq!(deployment.spec.and_then(|spec| spec.replicas), Some(1));
    assert_eq!(deployment.metadata.generation, Some(2));
    available(&api, "d", 2, 1).await;
}
