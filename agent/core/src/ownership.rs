//! What a work owns on the cluster, and how it lets go of it.

use crate::applied_work::{API_VERSION, AppliedResource, KIND, Owner};
use crate::deletion::{self, Target};
use crate::order;
use crate::outcome::{ManifestOutcome, ManifestResult};
use serde_json::{Map, Value, json};
use skein_schema::kind::manifest_work::{DeleteOption, ManifestResourceMeta};

/// What the record of a work is to say after an apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Everything that is owned, in the order of application, what is obsolete first. Write this
    /// before anything is released: what is not recorded is lost when the agent dies.
    pub tracked: Vec<AppliedResource>,
    /// What the work no longer lists. Release each, and track it until it is let go.
    pub obsolete: Vec<Obsolete>,
}

/// An object to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obsolete {
    /// The object.
    pub resource: AppliedResource,
    /// Leave the object and only drop the owner reference.
    pub keep: bool,
}

/// What is to be done to let go of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Release {
    /// Delete it, with its dependents in the background, on the condition that it has this uid.
    /// Then look again: it is gone only when it can no longer be read.
    Delete {
        /// The uid.
        uid: String,
    },
    /// Send this JSON merge patch: it drops the owner reference. A conflict means that the object
    /// has changed: look again.
    Disown {
        /// The patch.
        patch: Value,
    },
    /// It is being deleted, and its finalizers still run: wait for its end.
    Pending,
    /// It is not ours or not there: drop it from the record.
    Forget,
}

/// What the record is to say before objects are applied: what it says now and, without a uid, the
/// objects that it does not know. An agent that dies between applying and recording would leave
/// objects behind that nobody knows of once their manifests are dropped. `None` if the record
/// knows all of them.
#[must_use]
pub fn intend<'a>(
    recorded: &[AppliedResource],
    next: impl Iterator<Item = &'a ManifestResourceMeta>,
) -> Option<Vec<AppliedResource>> {
    let mut intended = recorded.to_vec();
    for resource in next {
        if !intended.iter().any(|known| known.is(resource)) {
            intended.push(applied(resource, ""));
        }
    }
    (intended.len() > recorded.len()).then_some(intended)
}

/// Compares what was owned with what was applied.
///
/// A manifest that failed keeps what was recorded of its object. As long as the object of any
/// manifest is unknown (its kind cannot be looked up, it cannot be read), nothing is obsolete: what
/// looks dropped from the work may be that very object. OCM is stricter, one failure of any kind
/// stops all pruning.
#[must_use]
pub fn record(before: &[AppliedResource], outcomes: &[ManifestOutcome]) -> Ownership {
    let mut current: Vec<(u16, i32, AppliedResource)> = Vec::new();
    let mut obsolete: Vec<Obsolete> = Vec::new();
    for outcome in outcomes {
        let resource = &outcome.resource;
        let known = before.iter().find(|owned| owned.is(resource));
        let place = (order::rank(&resource.kind), resource.ordinal);
        match (&outcome.result, known) {
            (ManifestResult::Applied { uid, owned: true }, _) => {
                current.push((place.0, place.1, applied(resource, uid)));
            }
            // Applied without owner reference, or only looked at from now on.
            (
                ManifestResult::Applied { owned: false, .. } | ManifestResult::ReadOnly,
                Some(known),
            ) => {
                obsolete.push(Obsolete {
                    resource: known.clone(),
                    keep: true,
                });
            }
            (ManifestResult::Complete | ManifestResult::Failed(_), Some(known)) => {
                current.push((place.0, place.1, known.clone()));
            }
            (_, None) => {}
        }
    }
    let listed = |owned: &AppliedResource| outcomes.iter().any(|o| owned.is(&o.resource));
    let unlisted = before.iter().filter(|owned| !listed(owned)).cloned();
    let certain = outcomes
        .iter()
        .all(|outcome| !outcome.resource.resource.is_empty());
    if certain {
        obsolete.extend(unlisted.map(|resource| Obsolete {
            resource,
            keep: false,
        }));
    } else {
        current.extend(unlisted.map(|resource| (0, -1, resource)));
    }
    current.sort();
    let mut tracked: Vec<AppliedResource> = obsolete.iter().map(|o| o.resource.clone()).collect();
    tracked.extend(current.into_iter().map(|(_, _, resource)| resource));
    Ownership { tracked, obsolete }
}

/// What is to be released when the work goes: everything, last applied first.
#[must_use]
pub fn removal(option: Option<&DeleteOption>, owned: &[AppliedResource]) -> Vec<Obsolete> {
    let obsolete = |resource: &AppliedResource| {
        let target = Target {
            group: &resource.group,
            resource: &resource.resource,
            namespace: &resource.namespace,
            name: &resource.name,
        };
        let keep = !deletion::owned_by_work(option, target);
        Obsolete {
            resource: resource.clone(),
            keep,
        }
    };
    owned.iter().rev().map(obsolete).collect()
}

/// How to let go of an object, as it is now on the cluster. An object that another work owns as
/// well is only disowned, whatever the delete option says; one with another uid was made by
/// somebody else and is left alone (OCM). One that was recorded before it was applied has no uid in
/// the record; then the owner reference alone says that it is ours.
#[must_use]
pub fn release(obsolete: &Obsolete, live: Option<&Map<String, Value>>, owner: &Owner) -> Release {
    let Some(live) = live else {
        return Release::Forget;
    };
    let Some(others) = without(live, owner) else {
        return Release::Forget;
    };
    let is_work = |reference: &Value| {
        reference.get("apiVersion").and_then(Value::as_str) == Some(API_VERSION)
            && reference.get("kind").and_then(Value::as_str) == Some(KIND)
    };
    let shared = others
        .as_array()
        .is_some_and(|others| others.iter().any(is_work));
    if obsolete.keep || shared {
        return Release::Disown {
            patch: owners_patch(live, &others),
        };
    }
    let recorded = obsolete.resource.uid.as_str();
    let uid = match metadata(live, "uid") {
        Some(uid) if recorded.is_empty() || uid == recorded => uid,
        _ => return Release::Forget,
    };
    if metadata(live, "deletionTimestamp").is_some() {
        return Release::Pending;
    }
    Release::Delete {
        uid: uid.to_owned(),
    }
}

/// The JSON merge patch that adds the owner reference to an object that is not written otherwise;
/// `None` if it is there.
#[must_use]
pub fn own_patch(live: &Map<String, Value>, owner: &Owner) -> Option<Value> {
    if without(live, owner).is_some() {
        return None;
    }
    let mut references = references(live).to_vec();
    references.push(owner.reference());
    Some(owners_patch(live, &Value::Array(references)))
}

/// The owner references without the given one; `None` if that is not among them.
pub(crate) fn without(live: &Map<String, Value>, owner: &Owner) -> Option<Value> {
    let all = references(live);
    let is_ours = |r: &&Value| r.get("uid").and_then(Value::as_str) == Some(&owner.uid);
    if !all.iter().any(|reference| is_ours(&reference)) {
        return None;
    }
    Some(Value::Array(
        all.iter()
            .filter(|reference| !is_ours(reference))
            .cloned()
            .collect(),
    ))
}

fn owners_patch(live: &Map<String, Value>, references: &Value) -> Value {
    let mut patch = json!({"ownerReferences": references});
    for key in ["uid", "resourceVersion"] {
        if let Some(text) = metadata(live, key) {
            patch[key] = json!(text);
        }
    }
    json!({ "metadata": patch })
}

fn references(live: &Map<String, Value>) -> &[Value] {
    let references = live
        .get("metadata")
        .and_then(|metadata| metadata.get("ownerReferences"));
    references
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn metadata<'a>(live: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    live.get("metadata")?.get(key)?.as_str()
}

fn applied(resource: &ManifestResourceMeta, uid: &str) -> AppliedResource {
    AppliedResource {
        group: resource.group.clone(),
        version: resource.version.clone(),
        resource: resource.resource.clone(),
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
        uid: uid.to_owned(),
    }
}

#[cfg(test)]
mod tests;
