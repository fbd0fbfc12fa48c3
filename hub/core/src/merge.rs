//! Who owns which fields, and what becomes of an object when one of them speaks.
//!
//! Apply is three-way and per field, as Kubernetes' server-side apply is: what a manager lists is
//! as listed, what it listed before and no longer lists goes (unless somebody else lists it, too),
//! and what others set stays. There is one difference: a conflict is not refused, the last writer
//! becomes the owner.
//!
//! Objects are JSON here, cut down to what people may set: labels, annotations and spec, or what a
//! kind has in place of one. Lists are
//! atomic, except taints, whose entries are told apart by their key.

mod field_set;
mod owners;
pub(crate) mod path;

pub use field_set::FieldSet;
pub use owners::{Operation, Owner, Owners};

use serde_json::{Map, Value};
use skein_schema::decode::shape::Field;
use skein_schema::kind::KindInfo;

pub use path::{Path, Segment};

/// Fields that are decisions, not declarations: leaving them out never takes them back. Whoever
/// stops listing `hubAcceptsClient` does not mean to shut the cluster out.
const STICKY: &[&[&str]] = &[&["spec", "hubAcceptsClient"]];

/// What a person meant by a document: the fields of `decoded` that `written` has. `decoded` is the
/// same document after decoding, cleaned and with defaults filled in; defaults nobody wrote are
/// nobody's intent.
#[must_use]
pub fn intent(written: &Value, decoded: &Value) -> Value {
    match (written, decoded) {
        (Value::Object(written), Value::Object(decoded)) => {
            let members = decoded
                .iter()
                .filter_map(|(name, decoded)| match written.get(name) {
                    None | Some(Value::Null) => None,
                    Some(written) => Some((name.clone(), intent(written, decoded))),
                });
            Value::Object(members.collect())
        }
        _ => decoded.clone(),
    }
}

/// The fields of a kind that people may set beside labels and annotations: `spec`, or what it has in
/// place of one.
pub fn settable_fields(kind: &'static KindInfo) -> impl Iterator<Item = &'static str> {
    let names = kind.fields.iter().map(Field::name);
    names.filter(|name| *name != "status" || has_settable_status(kind.kind))
}

/// The part of an object that people may set: `metadata.labels`, `metadata.annotations`, `spec`, and
/// what some kinds have in place of a spec. Everything, that is, but its identity and its status.
#[must_use]
pub fn settable(object: &Value) -> Value {
    let mut cut = Map::new();
    if let Some(metadata) = object.get("metadata").and_then(Value::as_object) {
        let kept = ["labels", "annotations"].iter().filter_map(|name| {
            let value = metadata.get(*name).filter(|value| !value.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        });
        let kept: Map<_, _> = kept.collect();
        if !kept.is_empty() {
            cut.insert("metadata".to_owned(), Value::Object(kept));
        }
    }
    let kind = object.get("kind").and_then(Value::as_str);
    let fields = object.as_object().into_iter().flatten();
    for (name, value) in fields {
        let other = ["apiVersion", "kind", "metadata"].contains(&name.as_str())
            || (name == "status" && !kind.is_some_and(has_settable_status));
        if !other && !value.is_null() {
            cut.insert(name.clone(), value.clone());
        }
    }
    Value::Object(cut)
}

/// Scores have no spec: whoever computes them writes their status.
fn has_settable_status(kind: &str) -> bool {
    kind == "AddOnPlacementScore"
}

/// What `live` becomes when `manager` applies `intent`. Both are [`settable`] parts.
#[must_use]
pub fn apply(live: &Value, intent: &Value, manager: &str, owners: &mut Owners) -> Value {
    let owner = Owner::new(manager, Operation::Apply);
    let now = FieldSet::of(intent);
    let before = owners.remove(&owner).unwrap_or_default();
    let mut merged = live.clone();
    for path in before.leaves() {
        let names: Vec<_> = path.iter().map(Segment::name).collect();
        let sticky = STICKY.iter().any(|sticky| names == *sticky);
        if !sticky && !now.has(&path) && !owners.has(&path) {
            path::remove(&mut merged, &path);
        }
    }
    path::overlay(&mut merged, intent);
    let changed = now
        .leaves()
        .into_iter()
        .filter(|leaf| path::get(live, leaf) != path::get(&merged, leaf));
    for leaf in changed {
        owners.disown(&leaf);
    }
    if !now.is_leaf() {
        owners.set(owner, now);
    }
    merged
}

/// What `live` becomes by an RFC 7386 merge patch of `manager`. What it changes is the manager's
/// from then on; what it removes is nobody's.
#[must_use]
pub fn patch(live: &Value, patch: &Value, manager: &str, owners: &mut Owners) -> Value {
    let mut merged = live.clone();
    merge_patch(&mut merged, patch);
    let (before, after) = (FieldSet::of(live), FieldSet::of(&merged));
    let mut written = FieldSet::default();
    for leaf in after.leaves() {
        if path::get(live, &leaf) != path::get(&merged, &leaf) {
            owners.disown(&leaf);
            written.insert(&leaf);
        }
    }
    for leaf in before.leaves() {
        if !after.has(&leaf) {
            owners.disown(&leaf);
        }
    }
    if !written.is_leaf() {
        let owner = Owner::new(manager, Operation::Update);
        let mut fields = owners.remove(&owner).unwrap_or_default();
        fields.extend(&written);
        owners.set(owner, fields);
    }
    merged
}

/// RFC 7386: members replace, `null` removes, everything but an object replaces as a whole.
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge_patch(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests;
