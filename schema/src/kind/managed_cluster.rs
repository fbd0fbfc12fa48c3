//! `ManagedCluster` of `cluster.open-cluster-management.io/v1`: a cluster of the fleet.

pub mod admission;

use crate::decode::shape::{Field, Format, Shape};
use crate::kind::condition::CONDITIONS;
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::KindName;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Label that names the exclusive set of a cluster.
pub const CLUSTER_SET_LABEL: &str = "cluster.open-cluster-management.io/clusterset";
/// The set of a cluster that names none.
pub const DEFAULT_CLUSTER_SET: &str = "default";
/// Seconds between heartbeats where the cluster does not say.
pub const DEFAULT_LEASE_DURATION_SECONDS: i32 = 60;
/// Largest accepted lease duration: a day. Five of them must fit any clock arithmetic.
pub const MAX_LEASE_DURATION_SECONDS: i32 = 86_400;

/// Condition: the hub's side of the double opt-in was given.
pub const CONDITION_HUB_ACCEPTED: &str = "HubAcceptedManagedCluster";
/// Condition: the agent has taken up its credential.
pub const CONDITION_JOINED: &str = "ManagedClusterJoined";
/// Condition: the cluster beats and its API server answers.
pub const CONDITION_AVAILABLE: &str = "ManagedClusterConditionAvailable";
/// Condition: the cluster's clock agrees with the hub's.
pub const CONDITION_CLOCK_SYNCED: &str = "ManagedClusterConditionClockSynced";

/// Taint the hub sets while the cluster does not beat.
pub const TAINT_UNREACHABLE: &str = "cluster.open-cluster-management.io/unreachable";
/// Taint the hub sets while the cluster's API server does not answer.
pub const TAINT_UNAVAILABLE: &str = "cluster.open-cluster-management.io/unavailable";

/// A cluster of the fleet. Its name is also the name of the namespace that holds its works.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagedCluster {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted of the cluster.
    #[serde(default)]
    pub spec: ManagedClusterSpec,
    /// What the agent and the hub observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManagedClusterStatus>,
}

/// What is wanted of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterSpec {
    /// Addresses of the cluster's API server; https only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_cluster_client_configs: Vec<ClientConfig>,
    /// Whether the hub accepts the cluster. Always written, as OCM does.
    #[serde(default)]
    pub hub_accepts_client: bool,
    /// Seconds between heartbeats; none or 0 means [`DEFAULT_LEASE_DURATION_SECONDS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_duration_seconds: Option<i32>,
    /// What repels placements from the cluster. The key identifies a taint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}

impl ManagedClusterSpec {
    /// Seconds between heartbeats with the default filled in.
    #[must_use]
    pub fn effective_lease_duration_seconds(&self) -> i32 {
        match self.lease_duration_seconds {
            None | Some(0) => DEFAULT_LEASE_DURATION_SECONDS,
            Some(seconds) => seconds,
        }
    }
}

/// How to reach a cluster's API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientConfig {
    /// Address of the API server.
    pub url: String,
    /// Certificate authorities to trust, in PEM; the system's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<ByteString>,
}

/// Repels placements that do not tolerate it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Identity of the taint on its cluster: a qualified name.
    pub key: String,
    /// Free text that tolerations may compare; empty is absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the taint does to placements.
    pub effect: TaintEffect,
    /// When the taint got its value and effect. The hub sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_added: Option<Time>,
}

/// What a taint does to placements that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaintEffect {
    /// The cluster is not selected, and deselected if it was.
    NoSelect,
    /// The cluster is selected only if nothing better is there.
    PreferNoSelect,
    /// The cluster is not newly selected; a standing decision stays.
    NoSelectIfNew,
}

/// What the agent and the hub observed of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterStatus {
    /// Accepted, joined, available, clock and other conditions, one per type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Sum over all nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, Quantity>,
    /// Sum over the nodes that can be scheduled to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// Version of the cluster.
    #[serde(default)]
    pub version: ManagedClusterVersion,
    /// Facts the cluster states of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_claims: Vec<ManagedClusterClaim>,
    /// Namespaces that the cluster's sets manage on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_namespaces: Vec<ClusterSetManagedNamespace>,
}

/// Version of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedClusterVersion {
    /// Version its API server reports; empty is absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kubernetes: String,
}

/// A fact that a cluster states of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedClusterClaim {
    /// Name, for example `id.k8s.io`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Value, free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A namespace that a set manages on the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSetManagedNamespace {
    /// The set that asks for it.
    pub cluster_set: String,
    /// Name of the namespace.
    pub name: String,
    /// Whether the agent could make it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl_kind!(
    ManagedCluster,
    KindInfo {
        name: KindName::ManagedCluster,
        group: "cluster.open-cluster-management.io",
        version: "v1",
        retired: &[],
        kind: "ManagedCluster",
        plural: "managedclusters",
        singular: "managedcluster",
        short_names: &["mcl", "mcls"],
        scope: Scope::Cluster,
        name_rule: NameRule::Label,
        fields: &[
            // Filled in, so that an object without a spec is read back as it was stored.
            Field::new("spec", Shape::Object(SPEC)).default_object(),
            Field::new("status", Shape::Object(STATUS))
        ],
    }
);

/// Longest taint key: a 253-character prefix, a slash, and 62 more characters, as OCM has it.
const TAINT_KEY: Shape = Shape::text(0, 316, Format::QualifiedName);

const SPEC: &[Field] = &[
    Field::new("hubAcceptsClient", Shape::Boolean),
    Field::new(
        "leaseDurationSeconds",
        Shape::Integer {
            min: 0,
            max: MAX_LEASE_DURATION_SECONDS as i64,
        },
    )
    .default_integer(DEFAULT_LEASE_DURATION_SECONDS as i64),
    Field::new(
        "managedClusterClientConfigs",
        Shape::list(&Shape::Object(&[
            Field::new("url", Shape::ANY_TEXT).required(),
            Field::new("caBundle", Shape::Bytes),
        ])),
    ),
    Field::new(
        "taints",
        Shape::set(
            &Shape::Object(&[
                Field::new("key", TAINT_KEY).required(),
                Field::new("value", Shape::text(0, 1024, Format::Any)),
                Field::new(
                    "effect",
                    Shape::one_of(&["NoSelect", "PreferNoSelect", "NoSelectIfNew"]),
                )
                .required(),
                Field::new("timeAdded", Shape::Time),
            ]),
            &["key"],
        ),
    ),
];

const STATUS: &[Field] = &[
    Field::new("conditions", CONDITIONS),
    Field::new("capacity", QUANTITIES),
    Field::new("allocatable", QUANTITIES),
    Field::new(
        "version",
        Shape::Object(&[Field::new("kubernetes", Shape::ANY_TEXT)]),
    ),
    Field::new(
        "clusterClaims",
        Shape::list(&Shape::Object(&[
            Field::new("name", Shape::text(1, 253, Format::Any)),
            Field::new("value", Shape::text(1, 1024, Format::Any)),
        ])),
    ),
    Field::new(
        "managedNamespaces",
        Shape::set(
            &Shape::Object(&[
                Field::new("clusterSet", Shape::ANY_TEXT).required(),
                Field::new("name", Shape::text(0, 63, Format::Label)).required(),
                Field::new("conditions", CONDITIONS),
            ]),
            &["clusterSet", "name"],
        ),
    ),
];

const QUANTITIES: Shape = Shape::Map {
    keys: Format::Any,
    values: &Shape::Quantity,
};
