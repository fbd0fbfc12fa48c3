//! Applying, updating, reporting, healing.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use skein_schema::desired::DesiredChange;
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::FieldValue;
use skein_schema::status::WorkReport;

use super::scene::{Scene, change, config_map, data, deployment, is, uid_of, with_spec};

#[tokio::test]
async fn a_work_is_applied_updated_and_reported_with_its_trace() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![change(
        "web",
        1,
        json!([config_map("a", "1"), config_map("b", "1")]),
    )]);
    let report = scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    assert!(is(&report, "Available", "True", 1), "{report:#?}");
    assert_eq!(report.status.resource_status.manifests.len(), 2);
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("1"));
    let traced = scene.hub.state().statuses.iter().any(|(_, message)| {
        message.traceparent.as_deref()
            == Some("00-00000000000000000000000000000001-00000000000000aa-01")
    });
    assert!(
        traced,
        "the trace of the desired message comes back with the status"
    );

    // b is no longer listed, a is changed, c is new.
    scene.hub.publish(vec![change(
        "web",
        2,
        json!([config_map("a", "2"), config_map("c", "1")]),
    )]);
    scene
        .hub
        .work("web", "applied again", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("2"));
    assert!(scene.config_map("c").await.is_some());
    scene
        .until_config_map("b", "pruned", |found| found.is_none())
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn kinds_are_applied_in_waves_and_a_definition_is_waited_for() {
    let scene = Scene::start().await;
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let widget = json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}, "size": 3,
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    // The worst order on purpose.
    scene
        .hub
        .publish(vec![change("all", 1, json!([widget, crd, namespace]))]);
    let report = scene
        .hub
        .work("all", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let resources: Vec<_> = report
        .status
        .resource_status
        .manifests
        .iter()
        .map(|m| m.resource_meta.resource.as_str())
        .collect();
    assert!(resources.contains(&"widgets"), "{resources:?}");
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn feedback_and_readiness_follow_the_object_without_polling() {
    let scene = Scene::start().await;
    let spec = json!({
        "workload": {"manifests": [deployment("web", 2)]},
        "manifestConfigs": [{
            "resourceIdentifier": {"group": "apps", "resource": "deployments", "namespace": "default", "name": "web"},
            "feedbackRules": [
                {"type": "WellKnownStatus"},
                {"type": "JSONPaths", "jsonPaths": [{"name": "wanted", "path": ".spec.replicas"}]},
            ],
        }],
    });
    scene.hub.publish(vec![with_spec("web", 1, spec)]);
    let ready = |report: &WorkReport, replicas: i64| {
        let manifest = &report.status.resource_status.manifests[0];
        manifest.status_feedback.values.iter().any(|value| {
            value.name == "ReadyReplicas" && value.field_value == FieldValue::Integer(replicas)
        })
    };
    let report = scene
        .hub
        .work("web", "ready", |report| ready(report, 2))
        .await;
    let values = &report.status.resource_status.manifests[0]
        .status_feedback
        .values;
    assert!(
        values
            .iter()
            .any(|v| v.name == "wanted" && v.field_value == FieldValue::Integer(2)),
        "{values:?}"
    );
    scene
        .hub
        .work("web", "no longer on its way", |report| {
            is(report, "Progressing", "False", 1)
        })
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn drift_is_healed_and_others_fields_are_left_alone() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![change(
        "web",
        1,
        json!([config_map("a", "1"), config_map("b", "1")]),
    )]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;

    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "a",
            json!({"data": {"key": "drift", "more": "x"}}),
        )
        .await;
    scene
        .until_config_map("a", "healed", |found| data(found) == Some("1"))
        .await;
    let healed = scene.config_map("a").await.unwrap();
    assert_eq!(
        healed["data"]["more"], "x",
        "a field that the work does not have is nobody's drift"
    );

    scene
        .api("v1", "ConfigMap", "configmaps")
        .delete("b", &DeleteParams::default())
        .await
        .unwrap();
    scene
        .until_config_map("b", "made again", |found| data(found) == Some("1"))
        .await;
    // Two drifts of one work soon after each other: the second waits a little, and is healed, too.
    scene
        .hub
        .work("web", "whole", |report| is(report, "Available", "True", 1))
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_manifest_is_told_with_its_reason_and_does_not_stop_the_others() {
    let scene = Scene::start().await;
    let unknown = json!({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g", "namespace": "default"}});
    let nowhere = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "nowhere"}});
    scene.hub.publish(vec![change(
        "mixed",
        1,
        json!([unknown, nowhere, config_map("a", "1")]),
    )]);
    let report = scene
        .hub
        .work("mixed", "failed", |report| {
            is(report, "Applied", "False", 1)
        })
        .await;
    let message = |ordinal: usize| {
        let manifest = &report.status.resource_status.manifests[ordinal];
        condition::find(&manifest.conditions, "Applied")
            .map(|c| (c.status.clone(), c.message.clone()))
            .unwrap()
    };
    assert_eq!(message(0).0, "False");
    assert!(message(0).1.contains("Gadget"), "{}", message(0).1);
    assert!(message(1).1.contains("nowhere"), "{}", message(1).1);
    assert_eq!(message(2).0, "True");
    assert!(scene.config_map("a").await.is_some());
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_conflict_is_told_and_tried_again_when_the_object_changes() {
    let scene = Scene::start().await;
    // Somebody else owns the field.
    let params = PatchParams::apply("somebody");
    scene
        .api("v1", "ConfigMap", "configmaps")
        .patch("a", &params, &Patch::Apply(config_map("a", "theirs")))
        .await
        .unwrap();
    let spec = json!({
        "workload": {"manifests": [config_map("a", "ours")]},
        "manifestConfigs": [{
            "resourceIdentifier": {"group": "", "resource": "configmaps", "namespace": "default", "name": "a"},
            "updateStrategy": {"type": "ServerSideApply"},
        }],
    });
    scene.hub.publish(vec![with_spec("web", 1, spec)]);
    let report = scene
        .hub
        .work("web", "refused", |report| is(report, "Applied", "False", 1))
        .await;
    let applied = condition::find(
        &report.status.resource_status.manifests[0].conditions,
        "Applied",
    )
    .unwrap();
    assert!(applied.message.contains("somebody"), "{}", applied.message);
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("theirs"));

    // They give the field up.
    scene
        .api("v1", "ConfigMap", "configmaps")
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    scene
        .api("v1", "ConfigMap", "configmaps")
        .patch(
            "a",
            &params,
            &Patch::Apply(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}),
            ),
        )
        .await
        .unwrap();
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("ours"));
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn create_only_is_made_once_and_read_only_is_only_looked_at() {
    let scene = Scene::start().await;
    let params = PatchParams::apply("somebody");
    scene
        .api("v1", "ConfigMap", "configmaps")
        .patch("theirs", &params, &Patch::Apply(config_map("theirs", "t")))
        .await
        .unwrap();
    let strategy = |name: &str, strategy: &str| {
        json!({
            "resourceIdentifier": {"group": "", "resource": "configmaps", "namespace": "default", "name": name},
            "updateStrategy": {"type": strategy},
            "feedbackRules": [{"type": "JSONPaths", "jsonPaths": [{"name": "key", "path": ".data.key"}]}],
        })
    };
    let spec = |value: &str| {
        json!({
            "workload": {"manifests": [config_map("once", value), config_map("theirs", value)]},
            "manifestConfigs": [strategy("once", "CreateOnly"), strategy("theirs", "ReadOnly")],
        })
    };
    scene.hub.publish(vec![with_spec("web", 1, spec("1"))]);
    let report = scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    assert_eq!(
        report.status.resource_status.manifests[1]
            .status_feedback
            .values[0]
            .field_value,
        FieldValue::String("t".into())
    );

    scene.hub.publish(vec![with_spec("web", 2, spec("2"))]);
    scene
        .hub
        .work("web", "applied again", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    assert_eq!(data(scene.config_map("once").await.as_ref()), Some("1"));
    assert_eq!(data(scene.config_map("theirs").await.as_ref()), Some("t"));

    // What is only read is still followed, and stays when the work goes.
    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "theirs",
            json!({"data": {"key": "new"}}),
        )
        .await;
    scene
        .hub
        .work("web", "followed", |report| {
            report.status.resource_status.manifests[1]
                .status_feedback
                .values[0]
                .field_value
                == FieldValue::String("new".into())
        })
        .await;
    scene.hub.publish(vec![DesiredChange::RemoveWork {
        name: "web".parse().unwrap(),
        uid: uid_of("web"),
    }]);
    scene
        .hub
        .until("web removed", |state| state.removed("web"))
        .await;
    assert_eq!(scene.config_map("once").await, None);
    assert!(scene.config_map("theirs").await.is_some());
    scene.agent.stop().await.unwrap();
}
