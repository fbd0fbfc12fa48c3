//! Driving one convergence: looking kinds up, sending manifests, waiting between waves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::ApiResource;
use serde_json::{Map, Value};
use skein_agent_core::converge::{ApplyStep, Convergence, Gate, Lookup, Mapping, Next, Strategy};
use skein_agent_core::drift::Fingerprint;
use skein_agent_core::outcome::ApplyError;
use skein_agent_core::{ownership, readiness};
use skein_schema::kind::manifest_work::ManifestResourceMeta;
use tokio::time::Instant;

use super::{CONCURRENCY, GATE_PATIENCE, RACES};
use crate::cause;
use crate::cluster::{ApiError, Cluster, ResolveError};

/// Field manager of small changes beside server-side apply.
pub(super) const MANAGER: &str = "work-agent";

/// An object of a work, as it was sent and as it came back.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Where it is.
    pub resource: ManifestResourceMeta,
    /// What was sent; absent for what is only read.
    pub body: Option<Arc<Map<String, Value>>>,
    /// What it looked like right after; absent for what is only read, or never changed again.
    pub fingerprint: Option<Fingerprint>,
    /// What came back, without managed fields.
    pub live: Map<String, Value>,
}

/// Runs a convergence to its end.
pub(super) async fn run(
    cluster: &Cluster,
    convergence: &mut Convergence,
) -> BTreeMap<usize, Applied> {
    let mut applied = BTreeMap::new();
    loop {
        match convergence.next() {
            Next::Resolve(lookups) => {
                for lookup in lookups {
                    resolve(cluster, convergence, &lookup).await;
                }
            }
            Next::Apply(steps) => {
                let mut results = futures::stream::iter(steps)
                    .map(|step| async move {
                        let result = apply(cluster, &step).await;
                        (step, result)
                    })
                    .buffer_unordered(CONCURRENCY);
                while let Some((step, result)) = results.next().await {
                    match result {
                        Ok(live) => {
                            convergence.applied(step.index, Ok(&live));
                            applied.insert(step.index, remember(&step, live));
                        }
                        Err(error) => convergence.applied(step.index, Err(error)),
                    }
                }
            }
            Next::Await(gates) => wait(cluster, convergence, gates).await,
            Next::Done => return applied,
        }
    }
}

async fn resolve(cluster: &Cluster, convergence: &mut Convergence, lookup: &Lookup) {
    let api_version = api_version(&lookup.group, &lookup.version);
    match cluster.resolve(&api_version, &lookup.kind).await {
        Ok(found) => {
            let mapping = Mapping {
                resource: found.resource.plural.clone(),
                namespaced: found.namespaced,
            };
            convergence.resolved(lookup.index, Some(mapping));
        }
        Err(ResolveError::UnknownKind { .. }) => convergence.resolved(lookup.index, None),
        Err(error @ ResolveError::Discovery { .. }) => {
            convergence.applied(lookup.index, Err(ApplyError::Failed(cause::chain(&error))));
        }
    }
}

fn remember(step: &ApplyStep, mut live: Map<String, Value>) -> Applied {
    let sent = matches!(step.strategy, Strategy::ServerSideApply { .. });
    let fingerprint = sent.then(|| Fingerprint::of(&step.body, &live));
    strip(&mut live);
    Applied {
        resource: step.resource.clone(),
        body: sent.then(|| Arc::new(step.body.clone())),
        fingerprint,
        live,
    }
}

/// Drops what nothing here reads: managed fields are often most of an object.
pub(crate) fn strip(live: &mut Map<String, Value>) {
    if let Some(Value::Object(metadata)) = live.get_mut("metadata") {
        metadata.remove("managedFields");
    }
}

async fn apply(cluster: &Cluster, step: &ApplyStep) -> Result<Map<String, Value>, ApplyError> {
    let api = api_resource(&step.resource);
    let namespace =
        Some(step.resource.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let live = match &step.strategy {
        Strategy::Unsupported(what) => return Err(ApplyError::Unsupported(what.clone())),
        Strategy::ReadOnly => read(cluster, step, &api, namespace).await,
        Strategy::CreateOnly => create_only(cluster, step, &api, namespace).await,
        Strategy::ServerSideApply {
            field_manager,
            force,
        } => server_side_apply(cluster, step, &api, namespace, field_manager, *force).await,
    };
    live.map_err(|error| to_apply_error(cluster, step, &error))
}

async fn read(
    cluster: &Cluster,
    step: &ApplyStep,
    api: &ApiResource,
    namespace: Option<&str>,
) -> Result<Map<String, Value>, ApiError> {
    let name = &step.resource.name;
    let live = cluster.get(api, namespace, name).await?.and_then(into_map);
    live.ok_or_else(|| ApiError::NotFound {
        message: format!("{} {name:?}", api.plural),
    })
}

async fn server_side_apply(
    cluster: &Cluster,
    step: &ApplyStep,
    api: &ApiResource,
    namespace: Option<&str>,
    field_manager: &str,
    force: bool,
) -> Result<Map<String, Value>, ApiError> {
    let name = &step.resource.name;
    let body = Value::Object(step.body.clone());
    let mut live = object(
        cluster
            .apply(api, namespace, name, &body, field_manager, force)
            .await?,
    )?;
    for _ in 0..RACES {
        let Some(patch) = step.cleanup_patch(&live) else {
            break;
        };
        live = match cluster
            .merge(api, namespace, name, &patch, field_manager)
            .await
        {
            Ok(merged) => object(merged)?,
            Err(ApiError::Changed { .. }) => read(cluster, step, api, namespace).await?,
            Err(error) => return Err(error),
        };
    }
    Ok(live)
}

async fn create_only(
    cluster: &Cluster,
    step: &ApplyStep,
    api: &ApiResource,
    namespace: Option<&str>,
) -> Result<Map<String, Value>, ApiError> {
    let name = &step.resource.name;
    let mut last = None;
    for _ in 0..RACES {
        let Some(live) = cluster.get(api, namespace, name).await?.and_then(into_map) else {
            match cluster
                .create(api, namespace, &Value::Object(step.body.clone()), MANAGER)
                .await
            {
                Ok(created) => return object(created),
                // Somebody was faster: theirs stays as it is.
                Err(ApiError::AlreadyExists { .. }) => continue,
                Err(error) => return Err(error),
            }
        };
        let patch = step
            .owned
            .then(|| ownership::own_patch(&live, &step.owner))
            .flatten();
        let Some(patch) = patch else { return Ok(live) };
        match cluster.merge(api, namespace, name, &patch, MANAGER).await {
            Ok(owned) => return object(owned),
            Err(error @ ApiError::Changed { .. }) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(ApiError::Changed {
        message: format!("{name} comes and goes"),
    }))
}

fn to_apply_error(cluster: &Cluster, step: &ApplyStep, error: &ApiError) -> ApplyError {
    let message = cause::chain(error);
    match error {
        ApiError::FieldConflict { .. } => ApplyError::Conflict(message),
        // Whatever refuses an executor may refuse it the object. The agent itself is refused by
        // webhooks, quotas and namespaces that end: that is about this write alone.
        ApiError::Forbidden { .. } if cluster.acts_for_another() => ApplyError::Denied(message),
        ApiError::NotFound { .. } => {
            // Its namespace is missing, or its definition has gone.
            cluster.forget(
                &api_version(&step.resource.group, &step.resource.version),
                &step.resource.kind,
            );
            ApplyError::Failed(message)
        }
        ApiError::Forbidden { .. }
        | ApiError::Invalid { .. }
        | ApiError::AlreadyExists { .. }
        | ApiError::Changed { .. }
        | ApiError::Server { .. }
        | ApiError::TimedOut { .. }
        | ApiError::Unreachable(_)
        | ApiError::Request(_) => ApplyError::Failed(message),
    }
}

/// Waits for what the next wave stands on, but not for ever: a wave that was not waited for fails
/// where it must and is tried again.
async fn wait(cluster: &Cluster, convergence: &mut Convergence, gates: Vec<Gate>) {
    let mut closed = gates;
    let mut pause = Duration::from_millis(20);
    let opened = async {
        while !closed.is_empty() {
            let mut still = Vec::new();
            for gate in closed.drain(..) {
                if is_open(cluster, &gate).await {
                    convergence.opened(gate.index);
                } else {
                    still.push(gate);
                }
            }
            closed = still;
            if !closed.is_empty() {
                tokio::time::sleep_until(Instant::now() + pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    };
    if tokio::time::timeout(GATE_PATIENCE, opened).await.is_err() {
        convergence.give_up();
    }
}

async fn is_open(cluster: &Cluster, gate: &Gate) -> bool {
    let api = api_resource(&gate.resource);
    match cluster.get(&api, None, &gate.resource.name).await {
        Ok(live) => live
            .and_then(into_map)
            .is_some_and(|live| readiness::gate_open(&live)),
        Err(error) => {
            tracing::debug!(name = %gate.resource.name, error = &error as &dyn std::error::Error, "not readable yet");
            false
        }
    }
}

pub(crate) fn api_resource(resource: &ManifestResourceMeta) -> ApiResource {
    ApiResource {
        group: resource.group.clone(),
        version: resource.version.clone(),
        api_version: api_version(&resource.group, &resource.version),
        kind: resource.kind.clone(),
        plural: resource.resource.clone(),
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

fn object(value: Value) -> Result<Map<String, Value>, ApiError> {
    into_map(value).ok_or_else(|| ApiError::Invalid {
        message: "the answer is not an object".to_owned(),
    })
}

fn into_map(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}
