//! The owners of an object's fields: `metadata.managedFields`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::Value;

use super::field_set::FieldSet;
use super::path::Segment;

/// How a manager came by a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// It listed it in a document that it applied.
    Apply,
    /// It changed it.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    manager: String,
    operation: Operation,
}

impl Owner {
    /// A manager and how it came by its fields.
    #[must_use]
    pub fn new(manager: &str, operation: Operation) -> Self {
        Self {
            manager: manager.to_owned(),
            operation,
        }
    }
}

/// All owners of an object's fields. Nobody owns nothing: an owner without fields is no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners(BTreeMap<Owner, FieldSet>);

impl Owners {
    /// An owner's fields, taken out.
    pub(super) fn remove(&mut self, owner: &Owner) -> Option<FieldSet> {
        self.0.remove(owner)
    }

    pub(super) fn set(&mut self, owner: Owner, fields: FieldSet) {
        self.0.insert(owner, fields);
    }

    /// True if anybody owns the place.
    pub(super) fn has(&self, path: &[Segment]) -> bool {
        self.0.values().any(|fields| fields.has(path))
    }

    /// Takes a place from everybody.
    pub(super) fn disown(&mut self, path: &[Segment]) {
        self.0.retain(|_, fields| {
            fields.remove(path);
            !fields.is_leaf()
        });
    }

    /// Reads `metadata.managedFields`.
    #[must_use]
    pub fn from_entries(entries: &[ManagedFieldsEntry]) -> Self {
        let owners = entries.iter().filter_map(|entry| {
            let operation = match entry.operation.as_deref()? {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            };
            let owner = Owner::new(entry.manager.as_deref()?, operation);
            Some((owner, FieldSet::from_value(&entry.fields_v1.as_ref()?.0)))
        });
        Self(owners.collect())
    }

    /// `metadata.managedFields`, or `None` if nobody owns anything. Entries have no time: applying
    /// what is applied already must change nothing.
    #[must_use]
    pub fn to_entries(&self, api_version: &str) -> Option<Vec<ManagedFieldsEntry>> {
        let entries = self.0.iter().map(|(owner, fields)| ManagedFieldsEntry {
            api_version: Some(api_version.to_owned()),
            fields_type: Some("FieldsV1".to_owned()),
            fields_v1: Some(FieldsV1(fields.to_value())),
            manager: Some(owner.manager.clone()),
            operation: Some(owner.operation.as_str().to_owned()),
            subresource: None,
            time: None,
        });
        (!self.0.is_empty()).then(|| entries.collect())
    }

    /// Compact JSON of `entries`, empty for none.
    pub(crate) fn text(entries: &[ManagedFieldsEntry]) -> String {
        if entries.is_empty() {
            return String::new();
        }
        let entries = entries
            .iter()
            .map(|entry| serde_json::to_value(entry).unwrap_or_default());
        Value::Array(entries.collect()).to_string()
    }

    /// Reads what [`Self::text`] wrote.
    pub(crate) fn entries(text: &str) -> Option<Vec<ManagedFieldsEntry>> {
        serde_json::from_str(text).ok()
    }

    /// Reads what [`Self::text`] wrote.
    pub(crate) fn parse(text: &str) -> Self {
        Self::from_entries(&Self::entries(text).unwrap_or_default())
    }
}
