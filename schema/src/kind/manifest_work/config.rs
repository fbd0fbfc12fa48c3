//! `manifestConfigs`: how one manifest is updated, what is reported of it, what makes its
//! conditions.

use serde::{Deserialize, Serialize};

/// Configuration of the manifests that an identifier matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestConfigOption {
    /// Which manifests are meant.
    pub resource_identifier: ResourceIdentifier,
    /// What status fields are reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback_rules: Vec<FeedbackRule>,
    /// Whether the object is polled or watched for feedback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback_scrape_type: Option<FeedbackScrapeType>,
    /// How the object is updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// What makes conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition_rules: Vec<ConditionRule>,
}

/// Names manifests. `*` in name and namespace matches any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceIdentifier {
    /// API group, empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Resource (plural) name.
    pub resource: String,
    /// Name or pattern.
    pub name: String,
    /// Namespace or pattern, empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Which status fields are reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackRule {
    /// Fields known for the kind, or named paths.
    #[serde(rename = "type")]
    pub kind: FeedbackType,
    /// The paths, with [`FeedbackType::JsonPaths`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_paths: Vec<JsonPath>,
}

/// How reported fields are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FeedbackType {
    /// The fields everybody wants of a well-known kind.
    WellKnownStatus,
    /// The fields that paths name.
    #[serde(rename = "JSONPaths")]
    JsonPaths,
}

/// One reported field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonPath {
    /// Name of the value in the status.
    pub name: String,
    /// Version of the object that the path is for; empty for any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kubernetes JSONPath without braces, from the object's root, for example
    /// `.status.readyReplicas`.
    pub path: String,
}

/// How an object is followed for feedback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FeedbackScrapeType {
    /// Read at intervals.
    #[default]
    Poll,
    /// Read on change.
    Watch,
}

/// How an object is updated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// The strategy.
    #[serde(rename = "type", default)]
    pub kind: UpdateStrategyType,
    /// Used with [`UpdateStrategyType::ServerSideApply`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyConfig>,
}

/// Strategies for updating an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UpdateStrategyType {
    /// Write the manifest over the object.
    #[default]
    Update,
    /// Create it if missing, never change it.
    CreateOnly,
    /// Let the API server merge by field ownership.
    ServerSideApply,
    /// Never write it, only watch it and report.
    ReadOnly,
}

/// Options of server-side apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSideApplyConfig {
    /// Take over fields that others own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Name of the field manager; starts with `work-agent`, which is also the default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field_manager: String,
    /// Fields that are left out of what is applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_fields: Vec<IgnoreFields>,
}

/// Fields that are left out of what is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreFields {
    /// When they are left out.
    #[serde(default)]
    pub condition: IgnoreFieldsCondition,
    /// Fields by Kubernetes JSONPath.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_paths: Vec<String>,
    /// Fields by JSON Pointer (RFC 6901).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_pointers: Vec<String>,
    /// Fields by jq path expression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jq_path_expressions: Vec<String>,
}

/// When fields are left out of what is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum IgnoreFieldsCondition {
    /// Whenever the object exists.
    #[default]
    OnSpokePresent,
    /// Whenever the object exists and the hub's value has not changed.
    OnSpokeChange,
}

/// What makes a condition of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionRule {
    /// Type of the condition that is made.
    pub condition: String,
    /// How it is evaluated.
    #[serde(rename = "type")]
    pub kind: ConditionRuleType,
    /// With [`ConditionRuleType::Cel`]: expressions that must all be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cel_expressions: Vec<String>,
    /// Fixed message of the condition.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// CEL expression for the message; wins if it gives a non-empty text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message_expression: String,
}

/// How a condition rule is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionRuleType {
    /// By what is known of common kinds.
    WellKnownConditions,
    /// By CEL expressions.
    #[serde(rename = "CEL")]
    Cel,
}
