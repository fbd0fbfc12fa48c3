//! What the cluster is like: version, capacity, claims, health, and the namespaces that its sets
//! want on it.

mod findings;
mod namespaces;
mod quantity;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ApiResource;
use skein_schema::kind::managed_cluster::{ClusterSetManagedNamespace, ManagedClusterClaim};
use skein_schema::name::SetName;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::cause;
use crate::cluster::{ApiError, Cluster};
use crate::environment::{SharedEnvironment, jittered};
use crate::metrics::Metrics;

pub(crate) use findings::Findings;

/// Claim: an id of the cluster that stays (SIG-Multicluster's well-known property).
const CLAIM_ID: &str = "id.k8s.io";
/// Claim: the API server's version.
const CLAIM_VERSION: &str = "kubeversion.open-cluster-management.io";
/// Claims that are always shown, before all others (OCM).
const RESERVED_CLAIMS: [&str; 4] = [
    CLAIM_ID,
    CLAIM_VERSION,
    "platform.open-cluster-management.io",
    "product.open-cluster-management.io",
];
/// Label of claims that stay on the cluster (OCM).
const SPOKE_ONLY: &str = "open-cluster-management.io/spoke-only";
/// Most other claims that are shown (OCM).
const MAX_CUSTOM_CLAIMS: usize = 20;
/// Longest value of a claim, in bytes (OCM).
const MAX_CLAIM_VALUE: usize = 1024;

/// Whether the API server answers its liveness probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeHealth {
    /// It does.
    Healthy,
    /// It does not; what it said or why nothing came.
    Unhealthy(String),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// The API server's git version.
    pub kubernetes_version: Option<String>,
    /// Sum over all nodes.
    pub capacity: BTreeMap<String, Quantity>,
    /// Sum over nodes that can be scheduled on.
    pub allocatable: BTreeMap<String, Quantity>,
    /// Claims, the reserved ones first, then by name.
    pub claims: Vec<ManagedClusterClaim>,
    /// Namespaces that the sets want.
    pub managed_namespaces: Vec<ClusterSetManagedNamespace>,
}

/// How often it is looked.
#[derive(Debug, Clone, Copy)]
pub struct InventoryTimes {
    /// Between two looks at nodes and claims.
    pub interval: Duration,
    /// Between two probes while the API server is healthy.
    pub probe: Duration,
    /// Between two probes while it is not.
    pub retry: Duration,
    /// How long it has to fail before it counts as unhealthy.
    pub grace: Duration,
}

impl Default for InventoryTimes {
    /// OCM's times.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            probe: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            grace: Duration::from_secs(20),
        }
    }
}

/// Looks at a cluster again and again.
pub struct Surveyor {
    /// The cluster.
    pub cluster: Cluster,
    /// Names the hub in the labels of managed namespaces.
    pub hub_id: String,
    /// Clock and dice.
    pub environment: SharedEnvironment,
    /// Namespaces that the cluster's sets want, by name.
    pub namespaces: watch::Receiver<BTreeMap<String, SetName>>,
    /// Where findings go.
    pub found: mpsc::Sender<Inventory>,
    /// Times.
    pub times: InventoryTimes,
}

impl Surveyor {
    /// Looks until the agent stops.
    pub async fn run(mut self) {
        let mut findings = Findings::default();
        let mut managed_namespaces = Vec::new();
        loop {
            findings.look(&self.cluster).await;
            // Of a cluster that has never answered there is nothing to tell.
            if !findings.is_empty() {
                managed_namespaces = self.managed_namespaces(&managed_namespaces).await;
                let inventory = Inventory {
                    kubernetes_version: findings.version(),
                    capacity: findings.capacity(),
                    allocatable: findings.allocatable(),
                    claims: findings.claims(),
                    managed_namespaces: managed_namespaces.clone(),
                };
                if self.found.send(inventory).await.is_err() {
                    return;
                }
            }
            let pause = jittered(&*self.environment, self.times.interval, 0.25);
            tokio::select! {
                () = tokio::time::sleep_until(Instant::now() + pause) => {}
                changed = self.namespaces.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn managed_namespaces(
        &self,
        before: &[ClusterSetManagedNamespace],
    ) -> Vec<ClusterSetManagedNamespace> {
        let wanted = self.namespaces.borrow().clone();
        let now = self.environment.now();
        namespaces::ensure(&self.cluster, &self.hub_id, &wanted, before, now).await
    }
}

/// Probes the API server's liveness until nobody cares any more.
pub async fn probe(
    cluster: Cluster,
    environment: SharedEnvironment,
    health: watch::Sender<KubeHealth>,
    times: InventoryTimes,
    metrics: Arc<Metrics>,
) {
    let mut failing_since: Option<Instant> = None;
    loop {
        let pause = match livez(&cluster).await {
            Ok(()) => {
                failing_since = None;
                metrics.kube_api_healthy.set(1);
                change(&health, KubeHealth::Healthy);
                times.probe
            }
            Err(message) => {
                let since = *failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= times.grace {
                    metrics.kube_api_healthy.set(0);
                    change(&health, KubeHealth::Unhealthy(message));
                }
                times.retry
            }
        };
        let next = Instant::now() + jittered(&*environment, pause, 0.25);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = health.closed() => return,
        }
    }
}

/// A change of the words alone is none: it would only make an extra heartbeat.
fn change(health: &watch::Sender<KubeHealth>, now: KubeHealth) {
    health.send_if_modified(|before| {
        let changed = std::mem::discriminant(before) != std::mem::discriminant(&now);
        *before = now;
        changed
    });
}

/// `/livez`, or `/healthz` on a server that does not have or show it (OCM).
async fn livez(cluster: &Cluster) -> Result<(), String> {
    let get = |path: &str| {
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(|error| error.to_string());
        async {
            let answer = cluster.client().request_text(request?).await;
            answer
                .map(drop)
                .map_err(ApiError::from)
                .map_err(Failed::Api)
        }
    };
    match get("/livez").await {
        Err(Failed::Api(ApiError::NotFound { .. } | ApiError::Forbidden { .. })) => {
            get("/healthz").await
        }
        other => other,
    }
    .map_err(|error| match error {
        Failed::Api(error) => cause::chain(&error),
        Failed::Request(message) => message,
    })
}

enum Failed {
    Api(ApiError),
    Request(String),
}

impl From<String> for Failed {
    fn from(message: String) -> Self {
        Self::Request(message)
    }
}

/// Reserved claims first, then the others by name up to the limit.
fn shown(mut values: BTreeMap<String, String>) -> Vec<ManagedClusterClaim> {
    values.retain(|name, value| {
        let fits = !value.is_empty() && value.len() <= MAX_CLAIM_VALUE;
        if !fits {
            tracing::warn!(claim = %name, bytes = value.len(), "a claim is empty or too long and is not shown");
        }
        fits
    });
    let claim = |(name, value)| ManagedClusterClaim { name, value };
    let reserved: Vec<_> = RESERVED_CLAIMS
        .iter()
        .filter_map(|name| values.remove_entry(*name))
        .map(claim)
        .collect();
    if values.len() > MAX_CUSTOM_CLAIMS {
        let left_out: BTreeSet<_> = values.keys().skip(MAX_CUSTOM_CLAIMS).collect();
        tracing::warn!(?left_out, "more claims than are shown");
    }
    reserved
        .into_iter()
        .chain(values.into_iter().take(MAX_CUSTOM_CLAIMS).map(claim))
        .collect()
}

fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_claims_come_first_and_the_others_are_limited() {
        let mut values: BTreeMap<String, String> = (0..25)
            .map(|n| (format!("custom{n:02}"), "x".to_owned()))
            .collect();
        values.insert("product.open-cluster-management.io".into(), "p".into());
        values.insert(CLAIM_ID.into(), "i".into());
        values.insert("empty".into(), String::new());
        let names: Vec<_> = shown(values).into_iter().map(|claim| claim.name).collect();
        assert_eq!(
            names[..3],
            [CLAIM_ID, "product.open-cluster-management.io", "custom00"]
        );
        assert_eq!(names.len(), 2 + MAX_CUSTOM_CLAIMS);
        assert_eq!(names.last().map(String::as_str), Some("custom19"));
    }
}
