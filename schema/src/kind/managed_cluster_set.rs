//! `ManagedClusterSet` of `cluster.open-cluster-management.io/v1beta2`: a group of clusters.

use crate::decode::shape::{Field, Format, Shape};
use crate::decode::{FieldError, Problem};
use crate::kind::admission::{Admitted, none_or};
use crate::kind::condition::CONDITIONS;
use crate::kind::label_selector::Selector;
use crate::kind::object_meta::LABEL_SELECTOR;
use crate::kind::{KindInfo, NameRule, RetiredVersion, Scope, impl_kind};
use crate::resource::{KindName, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta};
use serde::{Deserialize, Serialize};

/// Condition: no cluster is in the set.
pub const CONDITION_EMPTY: &str = "ClusterSetEmpty";
/// Set of all clusters; made by the hub.
pub const GLOBAL_CLUSTER_SET: &str = "global";

/// A group of clusters, chosen by their set label or by any labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagedClusterSet {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Which clusters belong to the set.
    #[serde(default)]
    pub spec: ManagedClusterSetSpec,
    /// What the hub observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManagedClusterSetStatus>,
}

/// Which clusters belong to a set, and what they get.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterSetSpec {
    /// Which clusters belong to the set.
    #[serde(default)]
    pub cluster_selector: ManagedClusterSelector,
    /// Namespaces that agents make on every cluster of the set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_namespaces: Vec<ManagedNamespaceConfig>,
}

/// Chooses clusters for a set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterSelector {
    /// How clusters are chosen.
    #[serde(default)]
    pub selector_type: SelectorType,
    /// Used with [`SelectorType::LabelSelector`]: absent chooses nothing, empty chooses all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
}

/// How a set chooses clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SelectorType {
    /// A cluster belongs to the one set that its set label names.
    #[default]
    ExclusiveClusterSetLabel,
    /// Clusters whose labels match; a cluster may be in any number of such sets.
    LabelSelector,
}

/// A namespace that agents make on every cluster of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedNamespaceConfig {
    /// Name of the namespace.
    pub name: String,
}

/// What the hub observed of a set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagedClusterSetStatus {
    /// One per type; [`CONDITION_EMPTY`] tells whether the set has clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

const USE_V1BETA2: &[RetiredVersion] = &[
    RetiredVersion {
        version: "v1beta1",
        hint: "write apiVersion cluster.open-cluster-management.io/v1beta2; selectorType \
               LegacyClusterSetLabel is called ExclusiveClusterSetLabel there",
    },
    RetiredVersion {
        version: "v1alpha1",
        hint: "write apiVersion cluster.open-cluster-management.io/v1beta2",
    },
];

impl_kind!(
    ManagedClusterSet,
    KindInfo {
        name: KindName::ManagedClusterSet,
        group: "cluster.open-cluster-management.io",
        version: "v1beta2",
        retired: USE_V1BETA2,
        kind: "ManagedClusterSet",
        plural: "managedclustersets",
        singular: "managedclusterset",
        short_names: &["mclset", "mclsets"],
        scope: Scope::Cluster,
        name_rule: NameRule::Subdomain { max: 253 },
        fields: &[
            Field::new("spec", Shape::Object(SPEC)).default_object(),
            Field::new(
                "status",
                Shape::Object(&[Field::new("conditions", CONDITIONS)])
            ),
        ],
    }
);

const SPEC: &[Field] = &[
    Field::new(
        "clusterSelector",
        Shape::Object(&[
            Field::new(
                "selectorType",
                Shape::one_of(&["ExclusiveClusterSetLabel", "LabelSelector"]),
            )
            .default_text("ExclusiveClusterSetLabel"),
            Field::new("labelSelector", LABEL_SELECTOR),
        ]),
    )
    .default_object(),
    Field::new(
        "managedNamespaces",
        Shape::set(
            &Shape::Object(&[Field::new("name", Shape::text(0, 63, Format::Label)).required()]),
            &["name"],
        ),
    ),
];

/// Longest name of a set whose clusters carry it as a label value.
const MAX_EXCLUSIVE_NAME: usize = 63;

/// Checks a new or changed set.
pub(crate) fn admit(set: ManagedClusterSet) -> Result<Admitted, Vec<FieldError>> {
    let mut errors = Vec::new();
    let selector = &set.spec.cluster_selector;
    let labels = selector.label_selector.as_ref();
    if let Some(Err(found)) =
        labels.map(|labels| Selector::new("spec.clusterSelector.labelSelector", labels))
    {
        errors.extend(found);
    }
    let length = set.metadata.name.as_deref().unwrap_or_default().len();
    if selector.selector_type == SelectorType::ExclusiveClusterSetLabel
        && length > MAX_EXCLUSIVE_NAME
    {
        let problem = Problem::TooLong {
            max: MAX_EXCLUSIVE_NAME as u64,
            found: length as u64,
        };
        let hint = "clusters name their exclusive set in a label, whose value ends at 63";
        errors.push(FieldError::new("metadata.name", problem).with_hint(hint));
    }
    none_or(errors)?;
    Ok(Admitted {
        resource: Resource::from(set),
        live_namespace: None,
        reviews: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
