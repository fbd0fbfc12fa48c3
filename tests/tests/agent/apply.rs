//! Applying, updating, reporting, healing.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use skein_agent::{Agent, AgentHandle, AgentOptions, AgentState};
use skein_schema::desired::{DesiredChange, DesiredWork};
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::FieldValue;
use skein_schema::status::WorkReport;
use skein_tests::sim_cluster::{SimCluster, SimOptions};
use tokio::time::Instant;
use uuid::Uuid;

use super::hub::{MemoryHub, cluster, token};

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An agent, its cluster and its hub.
pub(crate) struct Scene {
    pub hub: MemoryHub,
    pub sim: SimCluster,
    pub agent: AgentHandle,
    pub state_dir: tempfile::TempDir,
}

/// Options with short times, for a hub and a cluster.
pub(crate) fn options(hub: &MemoryHub, sim: &SimCluster, state_dir: &Path) -> AgentOptions {
    let mut options = AgentOptions::new(sim.client(), state_dir);
    options.bus = Arc::new(hub.clone());
    options.token = Some(token());
    options.cluster_name = Some(cluster());
    options.times.join = (Duration::from_millis(10), Duration::from_millis(50));
    options.times.uplink.heartbeat = Duration::from_millis(200);
    options.times.uplink.refusal_grace = Duration::from_millis(100);
    options.times.driver.journal = Duration::from_millis(5);
    options.times.driver.resend = Duration::from_millis(50);
    options
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
        let state_dir = tempfile::tempdir().unwrap();
        let agent = Agent::start(options(&hub, &sim, state_dir.path()))
            .await
            .unwrap();
        let scene = Self {
            hub,
            sim,
            agent,
            state_dir,
        };
        scene
            .until_state(|state| matches!(state, AgentState::Running { current: true, .. }))
            .await;
        scene
    }

    pub(crate) async fn until_state(&self, fits: impl Fn(&AgentState) -> bool) {
        let mut state = self.agent.state();
        let waited = tokio::time::timeout(PATIENCE, state.wait_for(|state| fits(state))).await;
        assert!(
            waited.is_ok(),
            "the agent is {}",
            *self.agent.state().borrow()
        );
    }

    pub(crate) async fn get(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
        name: &str,
    ) -> Option<Value> {
        let found = self
            .api(api_version, kind, plural)
            .get_opt(name)
            .await
            .unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub(crate) async fn config_map(&self, name: &str) -> Option<Value> {
        self.get("v1", "ConfigMap", "configmaps", name).await
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: api_version.into(),
            kind: kind.into(),
            plural: plural.into(),
        };
        if plural == "appliedmanifestworks" {
            return Api::all_with(self.sim.client(), &resource);
        }
        Api::namespaced_with(self.sim.client(), "default", &resource)
    }

    /// Waits until a ConfigMap fits.
    pub(crate) async fn until_config_map(
        &self,
        name: &str,
        what: &str,
        fits: impl Fn(Option<&Value>) -> bool,
    ) {
        eventually(&format!("ConfigMap {name}: {what}"), || async {
            fits(self.config_map(name).await.as_ref())
        })
        .await;
    }

    pub(crate) async fn patch(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
        name: &str,
        patch: Value,
    ) {
        let params = PatchParams {
            field_manager: Some("somebody".into()),
            ..PatchParams::default()
        };
        self.api(api_version, kind, plural)
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Another agent of the same cluster on the same folder, after this one has stopped.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            hub,
            sim,
            agent,
            state_dir,
        } = self;
        agent.stop().await.unwrap();
        let agent = Agent::start(options(&hub, &sim, state_dir.path()))
            .await
            .unwrap();
        Self {
            hub,
            sim,
            agent,
            state_dir,
        }
    }
}

/// Polls until something holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(5)).await;
    }
}

/// A work of this generation.
pub(crate) fn work(name: &str, generation: i64, spec: Value) -> DesiredWork {
    serde_json::from_value(json!({
        "name": name,
        "uid": uid_of(name),
        "generation": generation,
        "resourceVersion": 1,
        "spec": spec,
    }))
    .unwrap()
}

pub(crate) fn uid_of(name: &str) -> Uuid {
    Uuid::from_u128(
        name.bytes()
            .fold(1, |sum, byte| sum * 257 + u128::from(byte)),
    )
}

pub(crate) fn change(name: &str, generation: i64, manifests: Value) -> DesiredChange {
    DesiredChange::Work(Box::new(work(
        name,
        generation,
        json!({"workload": {"manifests": manifests}}),
    )))
}

pub(crate) fn with_spec(name: &str, generation: i64, spec: Value) -> DesiredChange {
    DesiredChange::Work(Box::new(work(name, generation, spec)))
}

pub(crate) fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"key": value},
    })
}

pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "registry.example.com/app:1"}]},
            },
        },
    })
}

/// Whether a condition of the work has the status, about this generation.
pub(crate) fn is(report: &WorkReport, kind: &str, status: &str, generation: i64) -> bool {
    condition::find(&report.status.conditions, kind).is_some_and(|found| {
        found.status == status && found.observed_generation == Some(generation)
    })
}

pub(crate) fn data(object: Option<&Value>) -> Option<&str> {
    object?.pointer("/data/key")?.as_str()
}

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
