//! What was last found on a cluster, each part on its own: one that the agent may not read is left
//! out and takes nothing from the others.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;
use skein_schema::kind::managed_cluster::ManagedClusterClaim;

use super::{CLAIM_ID, CLAIM_VERSION, SPOKE_ONLY, core, quantity, shown};
use crate::cluster::{ApiError, Cluster, ResolveError};

/// What is known of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    version: Option<String>,
    nodes: Option<Nodes>,
    id: Option<String>,
    claims: Option<BTreeMap<String, String>>,
    /// Parts that could not be read when it was last tried: their trouble is told once.
    troubled: BTreeSet<&'static str>,
}

#[derive(Debug)]
struct Nodes {
    capacity: BTreeMap<String, Quantity>,
    allocatable: BTreeMap<String, Quantity>,
}

impl Findings {
    /// Reads everything.
    pub(super) async fn look(&mut self, cluster: &Cluster) {
        self.look_at_claims(cluster).await;
        let nodes = nodes(cluster).await;
        keep(&mut self.nodes, &mut self.troubled, "nodes", nodes);
    }

    /// Reads what claims are made of.
    pub(crate) async fn look_at_claims(&mut self, cluster: &Cluster) {
        let troubled = &mut self.troubled;
        let version = cluster.version().await;
        keep(&mut self.version, troubled, "version", version);
        keep(&mut self.id, troubled, "kube-system", id(cluster).await);
        let claims = custom_claims(cluster).await;
        keep(&mut self.claims, troubled, "clusterclaims", claims);
    }

    /// Whether nothing at all is known.
    pub(super) fn is_empty(&self) -> bool {
        self.version.is_none() && self.nodes.is_none() && self.id.is_none() && self.claims.is_none()
    }

    pub(super) fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// Sum over all nodes.
    pub(super) fn capacity(&self) -> BTreeMap<String, Quantity> {
        let nodes = self.nodes.as_ref();
        nodes
            .map(|nodes| nodes.capacity.clone())
            .unwrap_or_default()
    }

    /// Sum over nodes that can be scheduled on.
    pub(super) fn allocatable(&self) -> BTreeMap<String, Quantity> {
        let nodes = self.nodes.as_ref();
        nodes
            .map(|nodes| nodes.allocatable.clone())
            .unwrap_or_default()
    }

    /// Claims of the cluster's owner, and those that every cluster has.
    pub(crate) fn claims(&self) -> Vec<ManagedClusterClaim> {
        let made = [(CLAIM_VERSION, &self.version), (CLAIM_ID, &self.id)];
        let made = made
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        let mut values: BTreeMap<String, String> = made.collect();
        values.extend(self.claims.clone().unwrap_or_default());
        shown(values)
    }
}

/// Takes a part in. What may not be read is left out; what only cannot be read for the moment stays
/// as it was.
fn keep<T>(
    known: &mut Option<T>,
    troubled: &mut BTreeSet<&'static str>,
    part: &'static str,
    found: Result<T, ApiError>,
) {
    match found {
        Ok(found) => {
            *known = Some(found);
            if troubled.remove(part) {
                tracing::info!(part, "a part of the cluster's inventory can be read again");
            }
        }
        Err(error) => {
            if matches!(error, ApiError::Forbidden { .. }) {
                *known = None;
            }
            if troubled.insert(part) {
                tracing::warn!(
                    part,
                    error = &error as &dyn std::error::Error,
                    "a part of the cluster's inventory cannot be read"
                );
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Node {
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
struct NodeSpec {
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Debug, Default, Deserialize)]
struct NodeStatus {
    #[serde(default)]
    capacity: BTreeMap<String, Quantity>,
    #[serde(default)]
    allocatable: BTreeMap<String, Quantity>,
}

async fn nodes(cluster: &Cluster) -> Result<Nodes, ApiError> {
    let nodes: Vec<Node> = cluster.list(&core("Node", "nodes"), None, None).await?;
    let schedulable = nodes.iter().filter(|node| !node.spec.unschedulable);
    Ok(Nodes {
        capacity: quantity::sum(nodes.iter().map(|node| &node.status.capacity)),
        allocatable: quantity::sum(schedulable.map(|node| &node.status.allocatable)),
    })
}

/// The system namespace lives as long as the cluster, so its uid is the cluster's id.
async fn id(cluster: &Cluster) -> Result<String, ApiError> {
    let system = cluster
        .get(&core("Namespace", "namespaces"), None, "kube-system")
        .await?;
    let uid = system
        .as_ref()
        .and_then(|namespace| namespace.pointer("/metadata/uid")?.as_str());
    uid.map(str::to_owned).ok_or_else(|| ApiError::NotFound {
        message: "the namespace kube-system".to_owned(),
    })
}

#[derive(Debug, Deserialize)]
struct ClusterClaim {
    metadata: kube::core::ObjectMeta,
    #[serde(default)]
    spec: ClusterClaimSpec,
}

#[derive(Debug, Default, Deserialize)]
struct ClusterClaimSpec {
    #[serde(default)]
    value: String,
}

/// Claims of the cluster's owner that are to be shown.
async fn custom_claims(cluster: &Cluster) -> Result<BTreeMap<String, String>, ApiError> {
    let kind = cluster
        .resolve(
            "cluster.open-cluster-management.io/v1alpha1",
            "ClusterClaim",
        )
        .await;
    let claims: Vec<ClusterClaim> = match kind {
        Ok(kind) => cluster.list(&kind.resource, None, None).await?,
        // Nobody has to have claims.
        Err(ResolveError::UnknownKind { .. }) => Vec::new(),
        Err(ResolveError::Discovery { source, .. }) => return Err(source),
    };
    let is_hidden = |claim: &ClusterClaim| {
        let labels = claim.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(SPOKE_ONLY))
    };
    let shown = claims.into_iter().filter(|claim| !is_hidden(claim));
    Ok(shown
        .filter_map(|claim| Some((claim.metadata.name?, claim.spec.value)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_left_out_and_a_passing_trouble_is_waited_out() {
        let forbidden = || ApiError::Forbidden {
            message: "no".to_owned(),
        };
        let late = || ApiError::TimedOut { seconds: 30 };
        let (mut known, mut troubled) = (None, BTreeSet::new());
        let mut look = |found: Result<u8, ApiError>| {
            keep(&mut known, &mut troubled, "nodes", found);
            (known, troubled.len())
        };
        assert_eq!(look(Err(late())), (None, 1));
        assert_eq!(look(Ok(1)), (Some(1), 0));
        assert_eq!(look(Err(late())), (Some(1), 1));
        assert_eq!(look(Err(forbidden())), (None, 1));
        assert_eq!(look(Ok(2)), (Some(2), 0));
    }
}
