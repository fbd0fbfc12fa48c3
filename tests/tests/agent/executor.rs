//! Who may know what: rights of executors, and refusals that are not about rights.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::{FieldValue, ManifestCondition};
use skein_schema::status::WorkReport;

use super::hub::State;
use super::scene::{Scene, change, config_map, data, guarded, is, with_spec};

/// A spec with one ConfigMap, its feedback and, if asked for, an executor.
fn spec(name: &str, value: &str, strategy: &Value, executor: bool) -> Value {
    let mut spec = json!({
        "workload": {"manifests": [config_map(name, value)]},
        "manifestConfigs": [{
            "resourceIdentifier": {"group": "", "resource": "configmaps", "namespace": "default", "name": name},
            "updateStrategy": strategy,
            "feedbackRules": [{"type": "JSONPaths", "jsonPaths": [{"name": "key", "path": ".data.key"}]}],
        }],
    });
    if executor {
        spec["executor"] = json!({"subject": {
            "type": "ServiceAccount", "serviceAccount": {"namespace": "default", "name": "deployer"},
        }});
    }
    spec
}

fn plain() -> Value {
    json!({"type": "Update"})
}

fn manifest(report: &WorkReport) -> &ManifestCondition {
    &report.status.resource_status.manifests[0]
}

/// Whether the report says no more of the object than that nothing is known.
fn tells_nothing(report: &WorkReport) -> bool {
    let entry = manifest(report);
    let available = condition::find(&entry.conditions, "Available");
    entry.status_feedback.values.is_empty()
        && condition::find(&entry.conditions, "StatusFeedbackSynced").is_none()
        && available.is_some_and(|available| {
            available.status == "Unknown" && available.reason == "FetchingResourceFailed"
        })
}

fn tells(report: &WorkReport, text: &str) -> bool {
    let values = &manifest(report).status_feedback.values;
    values
        .iter()
        .any(|value| value.field_value == FieldValue::String(text.into()))
}

fn refusal(report: &WorkReport) -> String {
    let applied = condition::find(&manifest(report).conditions, "Applied");
    applied.unwrap().message.clone()
}

/// A scene whose API server refuses writes to the ConfigMap `a` while the flag is up.
async fn guarded_scene() -> (Scene, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&up);
    let scene = Scene::start_with(|sim, options| {
        options.kube = guarded(sim, move |request| {
            flag.load(Ordering::SeqCst)
                && request.method() == Method::PATCH
                && request.uri().path().ends_with("/configmaps/a")
        });
    })
    .await;
    (scene, up)
}

#[tokio::test]
async fn naming_an_object_in_a_work_with_an_executor_is_no_right_to_read_it() {
    let scene = Scene::start().await;
    let theirs = Patch::Apply(config_map("theirs", "secret"));
    let params = PatchParams::apply("somebody");
    let api = scene.api("v1", "ConfigMap", "configmaps");
    api.patch("theirs", &params, &theirs).await.unwrap();
    // The agent finds out that it cannot do this before anybody has asked for a right.
    let strategy = json!({"type": "ServerSideApply", "serverSideApply": {
        "ignoreFields": [{"condition": "OnSpokePresent", "jsonPaths": [".data"]}],
    }});
    let spec = spec("theirs", "x", &strategy, true);
    scene.hub.publish(vec![with_spec("spy", 1, spec)]);
    let report = scene
        .hub
        .work("spy", "refused", |report| is(report, "Applied", "False", 1))
        .await;
    assert!(tells_nothing(&report), "{report:#?}");
    assert!(is(&report, "Available", "Unknown", 1), "{report:#?}");

    // What becomes of the object later is not told either.
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
        .publish(vec![change("other", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("other", "applied", |report| {
            is(report, "Applied", "True", 1)
        })
        .await;
    assert_eq!(scene.agent.metrics().watches.get(), 1);
    assert!(tells_nothing(&scene.hub.state().work("spy").unwrap()));
    let said = scene
        .hub
        .state()
        .statuses
        .iter()
        .map(|(_, message)| serde_json::to_string(message).unwrap())
        .collect::<String>();
    assert!(!said.contains("secret"), "{said}");
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_denied_to_an_executor_takes_back_what_was_told_before() {
    let (scene, up) = guarded_scene().await;
    let publish = |generation: i64, value: &str| {
        let spec = spec("a", value, &plain(), true);
        scene.hub.publish(vec![with_spec("web", generation, spec)]);
    };
    publish(1, "1");
    scene
        .hub
        .work("web", "applied and followed", |report| {
            is(report, "Available", "True", 1) && tells(report, "1")
        })
        .await;

    up.store(true, Ordering::SeqCst);
    publish(2, "2");
    let report = scene
        .hub
        .work("web", "denied", |report| is(report, "Applied", "False", 2))
        .await;
    assert!(tells_nothing(&report), "{report:#?}");
    assert!(is(&report, "Available", "Unknown", 2), "{report:#?}");
    assert!(
        refusal(&report).contains("will try again in 1m0s"),
        "{}",
        refusal(&report)
    );
    super::scene::eventually("the end of the watch", || async {
        scene.agent.metrics().watches.get() == 0
    })
    .await;

    up.store(false, Ordering::SeqCst);
    publish(3, "3");
    scene
        .hub
        .work("web", "granted again", |report| {
            is(report, "Available", "True", 3) && tells(report, "3")
        })
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_write_that_a_webhook_or_quota_refuses_is_a_failure_and_the_object_is_followed() {
    let (scene, up) = guarded_scene().await;
    let publish = |generation: i64, value: &str| {
        let spec = spec("a", value, &plain(), false);
        scene.hub.publish(vec![with_spec("web", generation, spec)]);
    };
    publish(1, "1");
    scene
        .hub
        .work("web", "applied", |report| {
            is(report, "Available", "True", 1) && tells(report, "1")
        })
        .await;

    up.store(true, Ordering::SeqCst);
    publish(2, "2");
    let report = scene
        .hub
        .work("web", "refused", |report| is(report, "Applied", "False", 2))
        .await;
    let message = refusal(&report);
    assert!(
        message.contains("the guard says no") && !message.contains("1m0s"),
        "{message}"
    );
    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "a",
            json!({"data": {"key": "theirs"}}),
        )
        .await;
    scene
        .hub
        .work("web", "followed", |report| tells(report, "theirs"))
        .await;

    up.store(false, Ordering::SeqCst);
    scene
        .until_config_map("a", "applied in the end", |found| data(found) == Some("2"))
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_agent_may_not_list_is_left_out_of_the_inventory() {
    let scene = Scene::start_with(|sim, options| {
        options.kube = guarded(sim, |request| {
            let path = request.uri().path();
            path == "/api/v1/nodes" || path.contains("/cluster.open-cluster-management.io/")
        });
    })
    .await;
    let report = scene.hub.until("the inventory", State::cluster).await;
    assert_eq!(report.kubernetes_version.as_deref(), Some("v1.36.3"));
    assert!(report.capacity.is_empty() && report.allocatable.is_empty());
    let claims = report.claims.iter().map(|claim| claim.name.as_str());
    assert_eq!(
        claims.collect::<Vec<_>>(),
        ["id.k8s.io", "kubeversion.open-cluster-management.io"]
    );
    // It joined with what it could read, too.
    assert_eq!(scene.hub.state().joins[0].claims.len(), 2);
    scene.agent.stop().await.unwrap();
}
