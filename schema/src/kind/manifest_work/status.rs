//! `status` of a work, as the agent reports it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};

/// What the agent reported of a work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestWorkStatus {
    /// Conditions of the whole work, one per type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Status of each manifest.
    #[serde(default)]
    pub resource_status: ManifestResourceStatus,
}

/// Status of each manifest of a work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifestResourceStatus {
    /// One entry per manifest, in no promised order; `ordinal` tells which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestCondition>,
}

/// Status of one manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestCondition {
    /// Which object.
    pub resource_meta: ManifestResourceMeta,
    /// Reported fields.
    #[serde(default)]
    pub status_feedback: StatusFeedbackResult,
    /// Conditions of the object, one per type.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Which object an entry is about. Every field is written, also when empty, as OCM does.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ManifestResourceMeta {
    /// Index of the manifest in the spec.
    pub ordinal: i32,
    /// API group, empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Version.
    #[serde(default)]
    pub version: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Resource (plural) name; empty if the cluster does not know the kind.
    #[serde(default)]
    pub resource: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(default)]
    pub namespace: String,
}

/// Reported fields of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusFeedbackResult {
    /// One per name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<FeedbackValue>,
}

/// One reported field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackValue {
    /// Name that the rule gave it.
    pub name: String,
    /// Its value.
    pub field_value: FieldValue,
}

/// A reported value. On the wire: `type` and one field named after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FieldValueWire", into = "FieldValueWire")]
pub enum FieldValue {
    /// A whole number.
    Integer(i64),
    /// A text.
    String(String),
    /// A truth value.
    Boolean(bool),
    /// Anything else, as JSON text of at most 1,024 characters.
    JsonRaw(String),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum ValueType {
    Integer,
    String,
    Boolean,
    JsonRaw,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldValueWire {
    #[serde(rename = "type")]
    kind: ValueType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    integer: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boolean: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json_raw: Option<String>,
}

/// A reported value without the field that its type names.
#[derive(Debug, thiserror::Error)]
#[error("fieldValue lacks the field that its type names")]
struct MissingValue;

impl TryFrom<FieldValueWire> for FieldValue {
    type Error = MissingValue;

    fn try_from(wire: FieldValueWire) -> Result<Self, Self::Error> {
        match wire.kind {
            ValueType::Integer => wire.integer.map(Self::Integer),
            ValueType::String => wire.string.map(Self::String),
            ValueType::Boolean => wire.boolean.map(Self::Boolean),
            ValueType::JsonRaw => wire.json_raw.map(Self::JsonRaw),
        }
        .ok_or(MissingValue)
    }
}

impl From<FieldValue> for FieldValueWire {
    fn from(value: FieldValue) -> Self {
        let empty = |kind| Self {
            kind,
            integer: None,
            string: None,
            boolean: None,
            json_raw: None,
        };
        match value {
            FieldValue::Integer(integer) => Self {
                integer: Some(integer),
                ..empty(ValueType::Integer)
            },
            FieldValue::String(string) => Self {
                string: Some(string),
                ..empty(ValueType::String)
            },
            FieldValue::Boolean(boolean) => Self {
                boolean: Some(boolean),
                ..empty(ValueType::Boolean)
            },
            FieldValue::JsonRaw(json) => Self {
                json_raw: Some(json),
                ..empty(ValueType::JsonRaw)
            },
        }
    }
}
