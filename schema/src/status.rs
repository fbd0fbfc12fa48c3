//! What an agent tells the hub: transitions on `status.<set>.<cluster>`, heartbeats on
//! `beat.<set>.<cluster>`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::kind::managed_cluster::{ClusterSetManagedNamespace, ManagedClusterClaim};
use crate::kind::manifest_work::ManifestWorkStatus;
use crate::name::ObjectName;

/// The body of a message on `status.<set>.<cluster>`. Which cluster it is from is the subject's to
/// say, never the body's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusMessage {
    /// The agent's run; a restarted agent has another one.
    pub session: Uuid,
    /// Rises by one with each message of a session; the hub drops what is not newer.
    pub number: u64,
    /// The desired revision that the agent had applied when it wrote this.
    pub rev: u64,
    /// When it was seen, by the agent's clock.
    pub time: Timestamp,
    /// W3C trace context of the command whose effect this is, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What changed, in order.
    pub updates: Vec<StatusUpdate>,
}

/// One thing that changed on a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum StatusUpdate {
    /// The cluster itself.
    Cluster(Box<ClusterReport>),
    /// A work.
    Work(Box<WorkReport>),
    /// A work and what it owned are gone.
    WorkRemoved {
        /// The work's name.
        name: ObjectName,
        /// Its uid.
        uid: Uuid,
    },
}

/// The cluster's inventory and the conditions that its agent owns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// The API server's git version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Sum over all nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, Quantity>,
    /// Sum over nodes that can be scheduled on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// Claims, the reserved ones first, then by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ManagedClusterClaim>,
    /// Namespaces that the cluster's sets want on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_namespaces: Vec<ClusterSetManagedNamespace>,
    /// Conditions that the agent owns, e.g. `ManagedClusterJoined`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Version of the agent.
    pub agent_version: String,
}

/// A work's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkReport {
    /// The work's name.
    pub name: ObjectName,
    /// Its uid.
    pub uid: Uuid,
    /// The generation that the status is about.
    pub generation: i64,
    /// The status.
    pub status: ManifestWorkStatus,
}

/// The body of a message on `beat.<set>.<cluster>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// The agent's run.
    pub session: Uuid,
    /// When it was sent, by the agent's clock; shows how far that clock is off.
    pub time: Timestamp,
    /// The desired revision that the agent has.
    pub rev: u64,
    /// Whether the cluster's API server answers its liveness probe.
    pub kube_api_healthy: bool,
    /// What the probe said, when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
