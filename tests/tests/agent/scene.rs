//! An agent, its cluster and its hub on one stage, and the works that the tests send there.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use skein_agent::{Agent, AgentHandle, AgentOptions, AgentState};
use skein_schema::desired::{DesiredChange, DesiredWork};
use skein_schema::kind::condition;
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

/// A client of the cluster for an agent; requests that `refuses` picks are answered with 403.
pub(crate) fn guarded(
    sim: &SimCluster,
    refuses: impl Fn(&http::Request<kube::client::Body>) -> bool + Send + Sync + 'static,
) -> kube::Client {
    let refusal = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "the guard says no",
    })
    .to_string();
    let sim = sim.clone();
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let refusal = refuses(&request).then(|| refusal.clone());
        let mut service = sim.service();
        async move {
            let Some(refusal) = refusal else {
                return tower::Service::call(&mut service, request).await;
            };
            let answer = http::Response::builder().status(403);
            let answer = answer.header("content-type", "application/json");
            Ok(answer.body(axum::body::Body::from(refusal)).unwrap())
        }
    });
    kube::Client::new(service, "default")
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, _| ()).await
    }

    /// As [`Self::start`], with other options.
    pub(crate) async fn start_with(change: impl FnOnce(&SimCluster, &mut AgentOptions)) -> Self {
        let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
        let state_dir = tempfile::tempdir().unwrap();
        let mut options = options(&hub, &sim, state_dir.path());
        change(&sim, &mut options);
        let agent = Agent::start(options).await.unwrap();
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
        self.restart_with(|_| ()).await
    }

    /// As [`Self::restart`], with other options.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut AgentOptions)) -> Self {
        let Self {
            hub,
            sim,
            agent,
            state_dir,
        } = self;
        agent.stop().await.unwrap();
        let mut options = options(&hub, &sim, state_dir.path());
        change(&mut options);
        let agent = Agent::start(options).await.unwrap();
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
        skein_tests::stage::pause().await;
    }
}

/// A work of this generation.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a caller hands over what it has just made"
)]
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

#[expect(
    clippy::needless_pass_by_value,
    reason = "a caller hands over what it has just made"
)]
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
