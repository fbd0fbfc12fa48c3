//! Admission: what OCM's webhooks check and change, as one pure function per kind.
//!
//! [`admit`] knows the rules but not who may do what: it returns the access reviews that are
//! needed, in the order OCM asks them, and the caller asks its access rules.

use crate::decode::{FieldError, Problem};
use crate::kind::manifest_work::admission as manifest_work;
use crate::kind::{
    add_on_placement_score, cluster_role, cluster_role_binding, managed_cluster,
    managed_cluster_set, managed_cluster_set_binding, placement_decision, role, role_binding,
};
use crate::resource::Resource;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Largest total of a work's manifests in bytes, where the hub is not told otherwise.
pub const DEFAULT_MANIFEST_LIMIT: u64 = 512_000;

/// What admission depends on beside the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionRules {
    /// The hub's clock.
    pub now: Timestamp,
    /// A cluster without a set is put into `default`.
    pub default_cluster_set: bool,
    /// A work without an executor needs permission to use the agent's own identity.
    pub nil_executor_validating: bool,
    /// Largest total of a work's manifests, in bytes of compact JSON.
    pub manifest_limit: u64,
}

impl AdmissionRules {
    /// OCM's defaults: every cluster has a set, no review for a missing executor, 512,000 bytes.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            default_cluster_set: true,
            nil_executor_validating: false,
            manifest_limit: DEFAULT_MANIFEST_LIMIT,
        }
    }
}

/// An object that passed, provided that the access rules say yes.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// The object with what admission sets in it.
    pub resource: Resource,
    /// A namespace that must not be terminating; ask before the reviews.
    pub live_namespace: Option<String>,
    /// Permissions the requester needs, in OCM's order; the first refusal ends it.
    pub reviews: Vec<Review>,
}

impl Admitted {
    pub(crate) fn without_reviews(resource: Resource) -> Self {
        Self {
            resource,
            live_namespace: None,
            reviews: Vec::new(),
        }
    }
}

/// A permission in Kubernetes' words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Review {
    /// API group.
    pub group: String,
    /// Resource (plural) name.
    pub resource: String,
    /// Subresource, empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Verb.
    pub verb: String,
    /// Namespace, empty for cluster-scoped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// Checks a new or changed object and fills in what the hub sets.
///
/// `old` is the stored object of an update. The object is expected to come from
/// [`crate::decode::decode`].
///
/// # Errors
/// Every rule that the object breaks; never an empty list.
pub fn admit(
    new: Resource,
    old: Option<&Resource>,
    rules: &AdmissionRules,
) -> Result<Admitted, Vec<FieldError>> {
    match (new, old) {
        (Resource::ManagedCluster(new), None) => {
            managed_cluster::admission::admit(*new, None, rules)
        }
        (Resource::ManagedCluster(new), Some(Resource::ManagedCluster(old))) => {
            managed_cluster::admission::admit(*new, Some(old), rules)
        }
        (Resource::ManifestWork(new), None) => manifest_work::admit(*new, None, rules),
        (Resource::ManifestWork(new), Some(Resource::ManifestWork(old))) => {
            manifest_work::admit(*new, Some(old), rules)
        }
        (Resource::ManagedClusterSet(new), None | Some(Resource::ManagedClusterSet(_))) => {
            managed_cluster_set::admit(*new)
        }
        (Resource::ManagedClusterSetBinding(new), None) => {
            managed_cluster_set_binding::admit(*new, None)
        }
        (
            Resource::ManagedClusterSetBinding(new),
            Some(Resource::ManagedClusterSetBinding(old)),
        ) => managed_cluster_set_binding::admit(*new, Some(old)),
        (Resource::Namespace(new), None | Some(Resource::Namespace(_))) => {
            Ok(Admitted::without_reviews(Resource::Namespace(new)))
        }
        (Resource::AddOnPlacementScore(new), None | Some(Resource::AddOnPlacementScore(_))) => {
            add_on_placement_score::admit(*new)
        }
        (Resource::Placement(new), None | Some(Resource::Placement(_))) => {
            Ok(Admitted::without_reviews(Resource::Placement(new)))
        }
        (Resource::PlacementDecision(_), None | Some(Resource::PlacementDecision(_))) => {
            placement_decision::admit()
        }
        (Resource::ClusterRole(new), None | Some(Resource::ClusterRole(_))) => {
            cluster_role::admit(*new)
        }
        (Resource::Role(new), None | Some(Resource::Role(_))) => role::admit(*new),
        (Resource::ClusterRoleBinding(new), None) => cluster_role_binding::admit(*new, None),
        (Resource::ClusterRoleBinding(new), Some(Resource::ClusterRoleBinding(old))) => {
            cluster_role_binding::admit(*new, Some(old))
        }
        (Resource::RoleBinding(new), None) => role_binding::admit(*new, None),
        (Resource::RoleBinding(new), Some(Resource::RoleBinding(old))) => {
            role_binding::admit(*new, Some(old))
        }
        (new, Some(old)) => {
            let problem = Problem::Mismatch {
                value: new.kind().kind.to_owned(),
                expected: format!("the kind of the stored object, {}", old.kind().kind),
            };
            Err(vec![FieldError::new("kind", problem)])
        }
    }
}

/// `Ok` if there is no error.
pub(crate) fn none_or(errors: Vec<FieldError>) -> Result<(), Vec<FieldError>> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}
