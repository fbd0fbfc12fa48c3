//! `metadata.managedFields`: who owns which field, and server-side apply on top of it.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::field_set::{FieldSet, PathElement};
use super::kinds::ResourceType;
use super::object;
use super::shape::Shape;
use super::strategy;
use super::typed;

/// Who writes, and through which door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    /// The field manager's name.
    pub(crate) manager: String,
    /// The version of the kind that the write used.
    pub(crate) api_version: String,
    /// `status`, or empty.
    pub(crate) subresource: String,
    /// The time of the write, as in `metadata`.
    pub(crate) time: String,
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    writer: Writer,
    apply: bool,
    fields: FieldSet,
}

/// Fields that nobody owns: identity and bookkeeping.
static UNOWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::from_fields_v1(&json!({"f:apiVersion": {}, "f:kind": {}, "f:metadata": {
        ".": {}, "f:name": {}, "f:namespace": {}, "f:creationTimestamp": {}, "f:selfLink": {}, "f:uid": {},
        "f:clusterName": {}, "f:generation": {}, "f:managedFields": {}, "f:resourceVersion": {},
    }}))
});

impl Entry {
    fn is_by(&self, writer: &Writer, apply: bool) -> bool {
        self.apply == apply
            && self.writer.manager == writer.manager
            && self.writer.subresource == writer.subresource
            && (apply || self.writer.api_version == writer.api_version)
    }

    fn read(entry: &Value) -> Option<Entry> {
        let text = |field: &str| {
            entry
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let writer = Writer {
            manager: text("manager"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
        };
        let fields = FieldSet::from_fields_v1(entry.get("fieldsV1")?);
        Some(Entry {
            writer,
            apply: text("operation") == "Apply",
            fields,
        })
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.writer.manager,
            "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.writer.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_fields_v1(),
        });
        if !self.writer.time.is_empty() {
            entry["time"] = self.writer.time.as_str().into();
        }
        if !self.writer.subresource.is_empty() {
            entry["subresource"] = self.writer.subresource.as_str().into();
        }
        entry
    }

    /// The owner, as conflict messages name it.
    fn printed(&self) -> String {
        let mut printed = format!("{:?}", self.writer.manager);
        if !self.writer.subresource.is_empty() {
            printed.push_str(&format!(" with subresource {:?}", self.writer.subresource));
        }
        if !self.apply {
            printed.push_str(&format!(" using {}", self.writer.api_version));
        }
        printed
    }
}

fn read(object: &Value) -> Vec<Entry> {
    let list = object::at(object, &["metadata", "managedFields"]).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Entry::read).collect()
}

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let order = |entry: &Entry| {
            (
                !entry.apply,
                entry.writer.time.clone(),
                entry.writer.manager.clone(),
            )
        };
        order(a).cmp(&order(b))
    });
    let list: Vec<Value> = entries.iter().map(Entry::write).collect();
    let meta = object::meta_mut(object);
    if list.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn without_managed_fields(object: &Value) -> Value {
    let mut bare = object.clone();
    object::meta_mut(&mut bare).remove("managedFields");
    bare
}

/// The fields that a write through this door can own.
fn ownable(fields: &FieldSet, subresource: &str, has_status: bool) -> FieldSet {
    let status = PathElement::field("status");
    let mut fields = fields.difference(&UNOWNED);
    if subresource == "status" {
        fields = fields.only(&status);
    } else if has_status {
        fields.remove_tree(&[status]);
    }
    fields
}

/// Records in `new` who changed what, for a write that is not an apply. An object that is being made is compared with
/// what its kind has before anybody writes. An object whose managed fields were taken away is left alone until
/// somebody applies to it.
pub(crate) fn track_update(
    before: Before<'_>,
    new: &mut Value,
    kind: &ResourceType,
    writer: &Writer,
) {
    let blank = strategy::blank(kind);
    let (old, mut entries) = match before {
        Before::Nothing => (&blank, Vec::new()),
        Before::Object(old) => match starting_entries(old, new) {
            entries if entries.is_empty() => {
                object::meta_mut(new).remove("managedFields");
                return;
            }
            entries => (old, entries),
        },
    };
    let comparison = typed::compare(
        &without_managed_fields(old),
        &without_managed_fields(new),
        &kind.shape,
    );
    let changed = comparison.added.union(&comparison.modified);
    for entry in entries
        .iter_mut()
        .filter(|entry| !entry.is_by(writer, false))
    {
        entry.fields = entry
            .fields
            .difference(&changed)
            .difference(&comparison.removed);
    }
    let mine = ownable(&changed, &writer.subresource, kind.status);
    match entries.iter_mut().find(|entry| entry.is_by(writer, false)) {
        Some(entry) => {
            entry.fields = entry.fields.difference(&comparison.removed).union(&mine);
            if !mine.is_empty() {
                entry.writer.time.clone_from(&writer.time);
            }
        }
        None => entries.push(Entry {
            writer: writer.clone(),
            apply: false,
            fields: mine,
        }),
    }
    write(new, entries);
}

/// What a write starts from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before<'a> {
    /// There is no object.
    Nothing,
    /// The stored object.
    Object(&'a Value),
}

/// The entries a write starts from: those it sends back, else the stored ones; a single empty entry resets them.
fn starting_entries(old: &Value, new: &Value) -> Vec<Entry> {
    match object::at(new, &["metadata", "managedFields"]).and_then(Value::as_array) {
        Some(list) if list.is_empty() || list.iter().all(|entry| *entry == json!({})) => Vec::new(),
        Some(_) => read(new),
        None => read(old),
    }
}

/// Applies `config` to `live` for the writer and returns the new object with its managed fields.
///
/// # Errors
/// A 409 that names the other managers and their fields, unless `force` takes the fields from them; a 500 when the
/// configuration cannot be typed.
pub(crate) fn apply(
    live: &Value,
    config: &Value,
    kind: &ResourceType,
    writer: &Writer,
    force: bool,
) -> Result<Value, ApiError> {
    let shape = kind.shape.as_ref();
    typed::check_lists(config, shape, "").map_err(|why| {
        ApiError::not_typed(format!("failed to create typed patch object: {why}"))
    })?;
    let mut entries = read(live);
    let live = without_managed_fields(live);
    if entries.is_empty() && !object::meta(&live, "uid").is_empty() {
        entries.push(before_first_apply(&live, kind, writer));
    }
    let applied = ownable(
        &typed::field_set(config, shape),
        &writer.subresource,
        kind.status,
    );
    let last = entries
        .iter()
        .find(|entry| entry.is_by(writer, true))
        .map(|entry| entry.fields.clone());
    let merged = typed::merge(&live, config, shape);
    let others = entries.iter().filter(|entry| !entry.is_by(writer, true));
    let owned = others.fold(applied.clone(), |owned, entry| owned.union(&entry.fields));
    let mut new = match &last {
        Some(last) if !last.is_empty() => prune(&merged, shape, last, &owned),
        _ => merged,
    };
    let comparison = typed::compare(&live, &new, shape);
    let changed = comparison.added.union(&comparison.modified);
    take_fields(&mut entries, &changed, &comparison.removed, writer, force)?;
    // A container that lost its last entry while someone else owns it as an empty one is null now. Go's types have no
    // room for that; a custom resource keeps it, and its schema judges.
    if kind.custom.is_none() {
        object::strip_nulls(&mut new);
    } else if let Some(metadata) = new.get_mut("metadata") {
        object::strip_nulls(metadata);
    }
    // An apply that changes nothing but ownership leaves no time.
    let time = |before: &str| {
        if new == live {
            before.to_owned()
        } else {
            writer.time.clone()
        }
    };
    match entries.iter_mut().find(|entry| entry.is_by(writer, true)) {
        Some(entry) => {
            let time = time(&entry.writer.time);
            entry.fields = applied;
            entry.writer = Writer {
                time,
                ..writer.clone()
            };
        }
        None => {
            let writer = Writer {
                time: time(""),
                ..writer.clone()
            };
            entries.push(Entry {
                writer,
                apply: true,
                fields: applied,
            });
        }
    }
    write(&mut new, entries);
    Ok(new)
}

/// Takes changed and removed fields from all other managers; without force, changed fields that they own are conflicts.
fn take_fields(
    entries: &mut [Entry],
    changed: &FieldSet,
    removed: &FieldSet,
    writer: &Writer,
    force: bool,
) -> Result<(), ApiError> {
    let mut conflicts = Vec::new();
    for entry in entries
        .iter_mut()
        .filter(|entry| !entry.is_by(writer, true))
    {
        let lost = entry.fields.intersection(changed);
        if !lost.is_empty() && !force {
            conflicts.push((entry.printed(), lost.paths()));
        }
        entry.fields = entry.fields.difference(&lost).difference(removed);
    }
    if conflicts.is_empty() {
        Ok(())
    } else {
        Err(conflict(conflicts))
    }
}

/// Whoever wrote an object that has no managed fields: the first apply gives all of it to an unknown manager.
fn before_first_apply(live: &Value, kind: &ResourceType, writer: &Writer) -> Entry {
    let unknown = Writer {
        manager: "before-first-apply".to_owned(),
        subresource: String::new(),
        ..writer.clone()
    };
    let comparison = typed::compare(&strategy::blank(kind), live, &kind.shape);
    let fields = ownable(
        &comparison.added.union(&comparison.modified),
        "",
        kind.status,
    );
    Entry {
        writer: unknown,
        apply: false,
        fields,
    }
}

/// Takes out what the manager applied last time, unless it or somebody else owns it now.
fn prune(merged: &Value, shape: &Shape, last: &FieldSet, owned: &FieldSet) -> Value {
    let full = |set: &FieldSet| typed::with_declared_parents(set, shape);
    let removed = |set: &FieldSet| typed::remove(merged, set, shape);
    let (last, all) = (full(last), full(&typed::field_set(merged, shape)));
    let pruned = removed(&last);
    let kept = full(&typed::field_set(&pruned, shape)).union(&full(owned));
    let pruned = removed(&all.difference(&kept));
    let kept = full(&typed::field_set(&pruned, shape));
    removed(&all.difference(&kept).intersection(&last))
}

fn conflict(mut conflicts: Vec<(String, Vec<String>)>) -> ApiError {
    conflicts.sort();
    let each = conflicts
        .iter()
        .flat_map(|(manager, paths)| paths.iter().map(move |path| (path, manager)));
    let mut each: Vec<(&String, &String)> = each.collect();
    each.sort();
    let causes: Vec<Cause> = each
        .into_iter()
        .map(|(path, manager)| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {manager}"),
            field: path.clone(),
        })
        .collect();
    let message = match causes.as_slice() {
        [one] => format!(
            "Apply failed with 1 conflict: {}: {}",
            one.message, one.field
        ),
        many => {
            let parts = conflicts.iter().map(|(manager, paths)| {
                let paths: Vec<String> = paths.iter().map(|path| format!("\n- {path}")).collect();
                format!("conflicts with {manager}:{}", paths.concat())
            });
            format!(
                "Apply failed with {} conflicts: {}",
                many.len(),
                parts.collect::<Vec<_>>().join("\n")
            )
        }
    };
    ApiError::apply_conflict(message, &causes)
}

#[cfg(test)]
mod tests;
