//! What a check gets: a client, a namespace of its own, and ways to wait.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use skein_tests::sim_cluster::SimCluster;

/// One check.
pub(crate) type Check = (
    &'static str,
    fn(Context) -> Pin<Box<dyn Future<Output = ()> + Send>>,
);

/// Names checks by their function: `checks![module: one, two]`.
macro_rules! checks {
    ($module:literal: $($name:ident),* $(,)?) => {
        vec![$((concat!($module, "::", stringify!($name)), |context| Box::pin($name(context)))),*]
    };
}
pub(crate) use checks;

/// An API server to ask.
#[derive(Clone)]
pub(crate) struct Target {
    /// A client of it.
    pub(crate) client: Client,
    /// The simulated cluster behind it, if it is one.
    pub(crate) simulated: Option<SimCluster>,
}

/// What a check works with.
#[derive(Clone)]
pub(crate) struct Context {
    /// The API server that is asked.
    pub(crate) client: Client,
    /// A namespace of this check alone.
    pub(crate) namespace: String,
    simulated: Option<SimCluster>,
}

impl Context {
    /// Makes the check's namespace.
    pub(crate) async fn new(target: Target, namespace: String) -> Context {
        let namespaces: Api<Namespace> = Api::all(target.client.clone());
        let body =
            serde_json::from_value(json!({"metadata": {"name": namespace}})).expect("a namespace");
        namespaces
            .create(&PostParams::default(), &body)
            .await
            .expect("the check's namespace");
        Context {
            client: target.client,
            namespace,
            simulated: target.simulated,
        }
    }

    /// Makes sure that version 1 of a new kind is too far back. A real server never saw it; a simulated one is told to
    /// forget.
    pub(crate) fn forget_history(&self) {
        if let Some(simulated) = &self.simulated {
            simulated.expire_history();
        }
    }

    /// The config maps of the check's namespace.
    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of any kind in the check's namespace.
    pub(crate) fn dynamic(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Objects of any kind in the cluster.
    pub(crate) fn cluster_wide(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::all_with(self.client.clone(), &resource)
    }

    /// Makes a config map with one entry.
    pub(crate) async fn config_map(&self, name: &str, value: &str) -> ConfigMap {
        let body =
            serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": value}}));
        let made = self
            .config_maps()
            .create(&PostParams::default(), &body.expect("a config map"))
            .await;
        made.expect("created")
    }
}

/// Applies `config` as `manager`.
pub(crate) async fn apply(
    api: &Api<DynamicObject>,
    manager: &str,
    config: &Value,
) -> kube::Result<Value> {
    let name = config["metadata"]["name"].as_str().expect("a name");
    let applied = api
        .patch(name, &PatchParams::apply(manager), &Patch::Apply(config))
        .await?;
    Ok(serde_json::to_value(applied).expect("JSON"))
}

/// The `Status` of a refused request, as JSON.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Value {
    match result {
        Err(kube::Error::Api(status)) => serde_json::to_value(*status).expect("JSON"),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Asks again until the answer is there; gives up after 30 seconds.
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let patience = tokio::time::timeout(Duration::from_secs(30), async {
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        loop {
            interval.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    });
    patience
        .await
        .unwrap_or_else(|_| panic!("waited 30 s for: {what}"))
}
