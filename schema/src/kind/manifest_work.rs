//! `ManifestWork` of `work.open-cluster-management.io/v1`: manifests for one cluster.

pub mod admission;
pub mod config;
pub mod status;

mod shape;

pub use config::{
    ConditionRule, ConditionRuleType, FeedbackRule, FeedbackScrapeType, FeedbackType, IgnoreFields,
    IgnoreFieldsCondition, JsonPath, ManifestConfigOption, ResourceIdentifier,
    ServerSideApplyConfig, UpdateStrategy, UpdateStrategyType,
};
pub use status::{
    FeedbackValue, FieldValue, ManifestCondition, ManifestResourceMeta, ManifestResourceStatus,
    ManifestWorkStatus, StatusFeedbackResult,
};

use crate::kind::manifest::Manifest;
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::KindName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// Condition: every manifest was applied.
pub const CONDITION_APPLIED: &str = "Applied";
/// Condition: every manifest's object exists on the cluster.
pub const CONDITION_AVAILABLE: &str = "Available";
/// Condition: some object is still rolling out.
pub const CONDITION_PROGRESSING: &str = "Progressing";
/// Condition: some object stays behind what is wanted of it.
pub const CONDITION_DEGRADED: &str = "Degraded";
/// Condition: the work has run to its end and is frozen.
pub const CONDITION_COMPLETE: &str = "Complete";
/// Condition of one manifest: its feedback was read.
pub const CONDITION_STATUS_FEEDBACK_SYNCED: &str = "StatusFeedbackSynced";

/// Longest name of a work: the cluster-side owner is called `<64 hexadecimal digits>-<name>`, and
/// Kubernetes allows 253 characters.
pub const MAX_NAME: usize = 253 - 65;

/// Manifests for one cluster, in the namespace that is named like the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifestWork {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to be on the cluster.
    #[serde(default)]
    pub spec: ManifestWorkSpec,
    /// What the agent reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManifestWorkStatus>,
}

/// What is to be on the cluster, and how it gets there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestWorkSpec {
    /// The manifests.
    #[serde(default)]
    pub workload: ManifestsTemplate,
    /// What happens to the objects when the work goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_option: Option<DeleteOption>,
    /// Per manifest: how it is updated, what is reported, what makes its conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifest_configs: Vec<ManifestConfigOption>,
    /// Whose permissions on the cluster the manifests need; the agent's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<ManifestWorkExecutor>,
}

/// The manifests of a work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifestsTemplate {
    /// The objects; the index of one is its ordinal in the status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Manifest>,
}

/// What happens to the objects of a work when it is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteOption {
    /// Delete all, none, or all but some.
    #[serde(default)]
    pub propagation_policy: PropagationPolicy,
    /// What to leave, with [`PropagationPolicy::SelectivelyOrphan`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selectively_orphans: Option<SelectivelyOrphan>,
    /// Seconds after completion at which the work is deleted; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i64>,
}

/// Which objects are deleted with the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PropagationPolicy {
    /// All; the work stays until they are gone.
    #[default]
    Foreground,
    /// None.
    Orphan,
    /// All but those that a rule names.
    SelectivelyOrphan,
}

/// Objects that stay when the work is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectivelyOrphan {
    /// Exact matches; no wildcards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphaning_rules: Vec<OrphaningRule>,
}

/// Names one object that stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphaningRule {
    /// API group, empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Resource (plural) name.
    pub resource: String,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Whose permissions on the cluster the manifests need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestWorkExecutor {
    /// The identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<ManifestWorkExecutorSubject>,
}

/// An identity on the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestWorkExecutorSubject {
    /// Kind of identity.
    #[serde(rename = "type")]
    pub kind: ExecutorSubjectType,
    /// The service account; required with [`ExecutorSubjectType::ServiceAccount`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ManifestWorkSubjectServiceAccount>,
}

/// Kinds of identities that an executor can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExecutorSubjectType {
    /// A service account of the cluster.
    ServiceAccount,
}

/// A service account of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestWorkSubjectServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl_kind!(
    ManifestWork,
    KindInfo {
        name: KindName::ManifestWork,
        group: "work.open-cluster-management.io",
        version: "v1",
        retired: &[],
        kind: "ManifestWork",
        plural: "manifestworks",
        singular: "manifestwork",
        short_names: &[],
        scope: Scope::Namespaced,
        name_rule: NameRule::Subdomain { max: MAX_NAME },
        fields: shape::FIELDS,
    }
);
