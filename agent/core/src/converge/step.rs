//! What is sent to the API server for one manifest.

use crate::applied_work::Owner;
use serde_json::{Map, Value, json};
use skein_schema::digest::Digest;
use skein_schema::kind::manifest_work::{
    ManifestResourceMeta, ServerSideApplyConfig, UpdateStrategy, UpdateStrategyType,
};
use skein_schema::name::ObjectName;

/// Longest name of a field manager that Kubernetes takes.
const MAX_FIELD_MANAGER: usize = 128;

/// Metadata that is the API server's to write.
const SERVER_SIDE: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// How a manifest is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Server-side apply of [`ApplyStep::body`].
    ServerSideApply {
        /// Name of the field manager.
        field_manager: String,
        /// Take over fields that others own.
        force: bool,
    },
    /// Create [`ApplyStep::body`] if there is no such object. If there is one, only see to the
    /// owner reference with [`crate::ownership::own_patch`].
    CreateOnly,
    /// Read the object. It not being there is a failure.
    ReadOnly,
    /// Do nothing and report this: the agent cannot do what the work asks for.
    Unsupported(String),
}

/// One manifest to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyStep {
    /// Index of the manifest.
    pub index: usize,
    /// The object.
    pub resource: ManifestResourceMeta,
    /// How it is written.
    pub strategy: Strategy,
    /// The work owns it; then the owner reference stands in the body.
    pub owned: bool,
    /// What is sent.
    pub body: Map<String, Value>,
    /// The work's record on the cluster.
    pub owner: Owner,
    /// Labels that are to be absent: the manifest names them with a trailing `-`.
    pub absent_labels: Vec<String>,
    /// Annotations that are to be absent.
    pub absent_annotations: Vec<String>,
}

/// Field manager of a work whose strategy names none. It begins with `work-agent` as OCM's does,
/// and is the work's own: two works that write one object must not take each other's fields away.
#[must_use]
pub fn default_field_manager(work: &ObjectName) -> String {
    let name = format!("work-agent-{work}");
    if name.len() <= MAX_FIELD_MANAGER {
        return name;
    }
    let digest = Digest::of(work.as_str().as_bytes()).to_string();
    format!("{}-{}", &name[..MAX_FIELD_MANAGER - 17], &digest[..16])
}

pub(super) fn build(
    index: usize,
    work: &ObjectName,
    resource: &ManifestResourceMeta,
    object: &Map<String, Value>,
    strategy: Option<&UpdateStrategy>,
    owned: bool,
    owner: &Owner,
) -> ApplyStep {
    let strategy = self::strategy(work, strategy);
    let owned = owned && strategy != Strategy::ReadOnly;
    let mut body = object.clone();
    let mut metadata = match body.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    for key in SERVER_SIDE {
        metadata.remove(*key);
    }
    if resource.namespace.is_empty() {
        metadata.remove("namespace");
    }
    let absent_labels = take_absent(&mut metadata, "labels");
    let absent_annotations = take_absent(&mut metadata, "annotations");
    set_owner(&mut metadata, owned.then_some(owner));
    body.insert("metadata".to_owned(), Value::Object(metadata));
    ApplyStep {
        index,
        resource: resource.clone(),
        strategy,
        owned,
        body,
        owner: owner.clone(),
        absent_labels,
        absent_annotations,
    }
}

/// Whether a manifest of this strategy is written at all.
pub(super) fn writes(work: &ObjectName, strategy: Option<&UpdateStrategy>) -> bool {
    match self::strategy(work, strategy) {
        Strategy::ServerSideApply { .. } | Strategy::CreateOnly => true,
        Strategy::ReadOnly | Strategy::Unsupported(_) => false,
    }
}

fn strategy(work: &ObjectName, strategy: Option<&UpdateStrategy>) -> Strategy {
    let kind = strategy.map_or(UpdateStrategyType::Update, |strategy| strategy.kind);
    match kind {
        UpdateStrategyType::Update => Strategy::ServerSideApply {
            field_manager: default_field_manager(work),
            force: true,
        },
        UpdateStrategyType::CreateOnly => Strategy::CreateOnly,
        UpdateStrategyType::ReadOnly => Strategy::ReadOnly,
        UpdateStrategyType::ServerSideApply => {
            let config = strategy.and_then(|strategy| strategy.server_side_apply.as_ref());
            let default = ServerSideApplyConfig::default();
            let config = config.unwrap_or(&default);
            if !config.ignore_fields.is_empty() {
                return Strategy::Unsupported(
                    "serverSideApply.ignoreFields is not supported by this agent".to_owned(),
                );
            }
            let field_manager = match config.field_manager.as_str() {
                "" => default_field_manager(work),
                name => name.to_owned(),
            };
            Strategy::ServerSideApply {
                field_manager,
                force: config.force,
            }
        }
    }
}

/// Takes the keys with a trailing `-` out of a map of the metadata.
fn take_absent(metadata: &mut Map<String, Value>, field: &str) -> Vec<String> {
    let Some(Value::Object(map)) = metadata.get_mut(field) else {
        return Vec::new();
    };
    let marked: Vec<String> = map
        .keys()
        .filter(|key| key.ends_with('-'))
        .cloned()
        .collect();
    for key in &marked {
        map.remove(key);
    }
    if map.is_empty() {
        metadata.remove(field);
    }
    let mut absent: Vec<String> = marked
        .into_iter()
        .map(|key| key.trim_end_matches('-').to_owned())
        .collect();
    absent.sort();
    absent
}

fn set_owner(metadata: &mut Map<String, Value>, owner: Option<&Owner>) {
    let mut references = match metadata.remove("ownerReferences") {
        Some(Value::Array(references)) => references,
        _ => Vec::new(),
    };
    let uid = |reference: &Value| {
        reference
            .get("uid")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    references.retain(|reference| uid(reference).is_some_and(|uid| !uid.ends_with('-')));
    if let Some(owner) = owner {
        references.retain(|reference| uid(reference).as_deref() != Some(&owner.uid));
        references.push(owner.reference());
    }
    if !references.is_empty() {
        metadata.insert("ownerReferences".to_owned(), Value::Array(references));
    }
}

impl ApplyStep {
    /// The JSON merge patch that makes the object what server-side apply cannot: keys that are to
    /// be absent although others set them, and an owner reference that an earlier delete option
    /// left behind. `None` if the object is as it should be.
    #[must_use]
    pub fn cleanup_patch(&self, live: &Map<String, Value>) -> Option<Value> {
        let metadata = live.get("metadata")?.as_object()?;
        let mut patch = Map::new();
        for (field, absent) in [
            ("labels", &self.absent_labels),
            ("annotations", &self.absent_annotations),
        ] {
            let present = metadata.get(field).and_then(Value::as_object);
            let nulls: Map<String, Value> = absent
                .iter()
                .filter(|key| present.is_some_and(|map| map.contains_key(*key)))
                .map(|key| (key.clone(), Value::Null))
                .collect();
            if !nulls.is_empty() {
                patch.insert(field.to_owned(), Value::Object(nulls));
            }
        }
        if !self.owned
            && let Some(references) = crate::ownership::without(live, &self.owner)
        {
            patch.insert("ownerReferences".to_owned(), references);
        }
        if patch.is_empty() {
            return None;
        }
        for key in ["uid", "resourceVersion"] {
            patch.extend(
                metadata
                    .get(key)
                    .map(|value| (key.to_owned(), value.clone())),
            );
        }
        Some(json!({ "metadata": patch }))
    }
}
