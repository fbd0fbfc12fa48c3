//! `ManagedClusterSetBinding` of `cluster.open-cluster-management.io/v1beta2`: gives a namespace
//! the use of a set.

use crate::decode::shape::{Field, Format, Shape};
use crate::decode::{FieldError, Problem, excerpt};
use crate::kind::admission::{Admitted, Review};
use crate::kind::condition::CONDITIONS;
use crate::kind::{KindInfo, NameRule, RetiredVersion, Scope, impl_kind};
use crate::resource::{KindName, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde::{Deserialize, Serialize};

/// Condition: the set exists.
pub const CONDITION_BOUND: &str = "Bound";

/// Gives a namespace, its workspace, the use of a set. Its name is the set's name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagedClusterSetBinding {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Which set.
    #[serde(default)]
    pub spec: ManagedClusterSetBindingSpec,
    /// What the hub observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManagedClusterSetBindingStatus>,
}

/// Which set is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterSetBindingSpec {
    /// Name of the set; equals `metadata.name` and never changes.
    #[serde(default)]
    pub cluster_set: String,
}

/// What the hub observed of a binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagedClusterSetBindingStatus {
    /// One per type; [`CONDITION_BOUND`] tells whether the set exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

const USE_V1BETA2: &[RetiredVersion] = &[
    RetiredVersion {
        version: "v1beta1",
        hint: "write apiVersion cluster.open-cluster-management.io/v1beta2, the fields are the same",
    },
    RetiredVersion {
        version: "v1alpha1",
        hint: "write apiVersion cluster.open-cluster-management.io/v1beta2, the fields are the same",
    },
];

impl_kind!(
    ManagedClusterSetBinding,
    KindInfo {
        name: KindName::ManagedClusterSetBinding,
        group: "cluster.open-cluster-management.io",
        version: "v1beta2",
        retired: USE_V1BETA2,
        kind: "ManagedClusterSetBinding",
        plural: "managedclustersetbindings",
        singular: "managedclustersetbinding",
        short_names: &["mclsetbinding", "mclsetbindings"],
        scope: Scope::Namespaced,
        name_rule: NameRule::Subdomain { max: 253 },
        fields: &[
            Field::new(
                "spec",
                Shape::Object(&[
                    Field::new("clusterSet", Shape::text(1, usize::MAX, Format::Any)).required()
                ]),
            )
            .required(),
            Field::new(
                "status",
                Shape::Object(&[Field::new("conditions", CONDITIONS)])
            ),
        ],
    }
);

/// Checks a new or changed binding. Binding needs permission; keeping a binding does not.
pub(crate) fn admit(
    binding: ManagedClusterSetBinding,
    old: Option<&ManagedClusterSetBinding>,
) -> Result<Admitted, Vec<FieldError>> {
    let set = &binding.spec.cluster_set;
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    if set != name {
        let expected = format!("metadata.name, {:?}", excerpt(name));
        let problem = Problem::Mismatch {
            value: excerpt(set),
            expected,
        };
        return Err(vec![FieldError::new("spec.clusterSet", problem)]);
    }
    let review = Review {
        group: "cluster.open-cluster-management.io".to_owned(),
        resource: "managedclustersets".to_owned(),
        subresource: "bind".to_owned(),
        verb: "create".to_owned(),
        namespace: String::new(),
        name: set.clone(),
    };
    let reviews = if old.is_none() {
        vec![review]
    } else {
        Vec::new()
    };
    Ok(Admitted {
        resource: Resource::from(binding),
        live_namespace: None,
        reviews,
    })
}
