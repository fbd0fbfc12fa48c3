//! What a placement looks at of a cluster, prepared once for all placements.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use skein_schema::kind::managed_cluster::{ManagedCluster, ManagedClusterStatus, Taint};
use skein_schema::name::{ClusterName, NameError};

use super::cel_selector::CelCluster;

/// A cluster as placements see it.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    name: ClusterName,
    object: ManagedCluster,
    claims: BTreeMap<String, String>,
    cpu: Option<f64>,
    memory: Option<f64>,
    /// Made when the first expression looks at the cluster.
    cel: OnceLock<CelCluster>,
}

impl ClusterFacts {
    /// The facts of a cluster, status included.
    ///
    /// # Errors
    /// When the object has no cluster's name.
    pub fn new(object: ManagedCluster) -> Result<Self, NameError> {
        let name = ClusterName::new(object.metadata.name.as_deref().unwrap_or_default())?;
        let status = object.status.as_ref();
        // Of several claims of one name the last counts, as in OCM.
        let claims = status
            .into_iter()
            .flat_map(|status| &status.cluster_claims)
            .map(|claim| (claim.name.clone(), claim.value.clone()))
            .collect();
        let (cpu, memory) = (allocatable(status, "cpu"), allocatable(status, "memory"));
        Ok(Self {
            name,
            object,
            claims,
            cpu,
            memory,
            cel: OnceLock::new(),
        })
    }

    /// Whether nothing but an expression can tell the two apart.
    #[must_use]
    pub fn looks_like(&self, other: &Self) -> bool {
        self.labels() == other.labels()
            && self.claims == other.claims
            && self.taints() == other.taints()
            && self.cpu == other.cpu
            && self.memory == other.memory
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// The whole object.
    #[must_use]
    pub fn object(&self) -> &ManagedCluster {
        &self.object
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.object.metadata.labels.as_ref().unwrap_or(&NONE)
    }

    /// Its claims by name.
    #[must_use]
    pub fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }

    /// Its taints.
    #[must_use]
    pub fn taints(&self) -> &[Taint] {
        &self.object.spec.taints
    }

    /// The cluster as expressions see it.
    #[must_use]
    pub fn cel(&self) -> &CelCluster {
        self.cel.get_or_init(|| CelCluster::new(&self.object))
    }

    /// Cores that can be scheduled to, if the cluster reports its capacity of them, too.
    #[must_use]
    pub fn allocatable_cpu(&self) -> Option<f64> {
        self.cpu
    }

    /// Bytes of memory that can be scheduled to, if the cluster reports its capacity of them, too.
    #[must_use]
    pub fn allocatable_memory(&self) -> Option<f64> {
        self.memory
    }
}

/// OCM ignores an allocatable amount without a capacity.
fn allocatable(status: Option<&ManagedClusterStatus>, resource: &str) -> Option<f64> {
    let status = status?;
    let amount = |Quantity(text): &Quantity| skein_cel::Quantity::parse(text);
    amount(status.capacity.get(resource)?)?;
    Some(amount(status.allocatable.get(resource)?)?.approximately())
}
