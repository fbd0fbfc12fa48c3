//! Typed operations on objects along their shape: which fields they have, how two differ, how they merge.
//!
//! These are the four operations that server-side apply is made of; the rules are those of Kubernetes'
//! structured-merge-diff, version 6.

use serde_json::{Map, Value};

use super::field_set::{FieldSet, PathElement};
use super::shape::{Atom, ListKey, Shape};

/// How one version of an object differs from another.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Comparison {
    /// Paths only the new version has.
    pub(crate) added: FieldSet,
    /// Paths only the old version has.
    pub(crate) removed: FieldSet,
    /// Paths whose value changed.
    pub(crate) modified: FieldSet,
}

/// The path element of a keyed list's item, or `None` when a key without a default is missing.
pub(crate) fn key_of(item: &Value, keys: &[ListKey]) -> Option<PathElement> {
    let mut found = Map::new();
    for key in keys {
        let value = item.get(&key.name).or(key.default.as_ref())?;
        found.insert(key.name.clone(), value.clone());
    }
    Some(PathElement::Key(Value::Object(found).to_string()))
}

/// The items of a mergeable list with their path elements. An item without its keys goes by its position.
fn elements<'v>(value: &'v Value, keys: Option<&[ListKey]>) -> Vec<(PathElement, &'v Value)> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let element = |(index, item): (usize, &'v Value)| {
        let element = match keys {
            Some(keys) => key_of(item, keys).unwrap_or(PathElement::Index(index)),
            None => PathElement::Value(item.to_string()),
        };
        (element, item)
    };
    items.iter().enumerate().map(element).collect()
}

/// Refuses what an applied configuration may not have: list items without their keys, and the same item twice.
///
/// # Errors
/// The message names the list's path as Kubernetes does.
pub(crate) fn check_lists(value: &Value, shape: &Shape, path: &str) -> Result<(), String> {
    match shape.atom(value) {
        Atom::Leaf => Ok(()),
        Atom::Object(shape) => {
            value
                .as_object()
                .into_iter()
                .flatten()
                .try_for_each(|(name, child)| {
                    check_lists(child, shape.field(name).0, &format!("{path}.{name}"))
                })
        }
        Atom::Set => check_unique(&elements(value, None), path),
        Atom::Keyed(keys, item) => {
            for child in value.as_array().into_iter().flatten() {
                let missing = keys
                    .iter()
                    .find(|key| key.default.is_none() && child.get(&key.name).is_none());
                if let Some(key) = missing {
                    return Err(format!(
                        "{path}: element 0: associative list with keys has an element that omits key field {:?} \
                         (and doesn't have default value)",
                        key.name
                    ));
                }
            }
            let items = elements(value, Some(keys));
            check_unique(&items, path)?;
            items.iter().try_for_each(|(element, child)| {
                check_lists(child, item, &format!("{path}{element}"))
            })
        }
    }
}

fn check_unique(items: &[(PathElement, &Value)], path: &str) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    match items.iter().find(|(element, _)| !seen.insert(element)) {
        Some((element, _)) => Err(format!("{path}: duplicate entries for key {element}")),
        None => Ok(()),
    }
}

/// The set of fields that `value` has an opinion on.
pub(crate) fn field_set(value: &Value, shape: &Shape) -> FieldSet {
    let mut set = FieldSet::default();
    match shape.atom(value) {
        Atom::Leaf => {}
        Atom::Object(shape) => {
            for (name, child) in value.as_object().into_iter().flatten() {
                let (below, declared) = shape.field(name);
                let element = PathElement::field(name);
                let empty = child.is_null() || child.as_object().is_some_and(Map::is_empty);
                if empty || !declared || matches!(below.atom(child), Atom::Leaf) {
                    set.insert(element.clone());
                }
                set.insert_below(element, &field_set(child, below));
            }
        }
        Atom::Set => elements(value, None)
            .into_iter()
            .for_each(|(element, _)| set.insert(element)),
        Atom::Keyed(keys, item) => {
            for (element, child) in elements(value, Some(keys)) {
                set.insert(element.clone());
                set.insert_below(element, &field_set(child, item));
            }
        }
    }
    set
}

/// Compares two versions of a value field by field.
pub(crate) fn compare(old: &Value, new: &Value, shape: &Shape) -> Comparison {
    let mut comparison = Comparison::default();
    match (shape.atom(old), shape.atom(new)) {
        (Atom::Object(_), Atom::Object(shape)) => {
            let (old, new) = (old.as_object(), new.as_object());
            let names = old
                .into_iter()
                .flatten()
                .chain(new.into_iter().flatten())
                .map(|(name, _)| name);
            let names: std::collections::BTreeSet<&String> = names.collect();
            for name in names {
                let (was, is) = (
                    old.and_then(|map| map.get(name)),
                    new.and_then(|map| map.get(name)),
                );
                compare_child(
                    PathElement::field(name),
                    was,
                    is,
                    shape.field(name).0,
                    &mut comparison,
                );
            }
        }
        (Atom::Set, Atom::Set) => compare_lists(
            &elements(old, None),
            &elements(new, None),
            shape,
            &mut comparison,
        ),
        (Atom::Keyed(keys, item), Atom::Keyed(..)) => {
            compare_lists(
                &elements(old, Some(keys)),
                &elements(new, Some(keys)),
                item,
                &mut comparison,
            );
        }
        _ => {}
    }
    comparison
}

fn compare_lists(
    old: &[(PathElement, &Value)],
    new: &[(PathElement, &Value)],
    item: &Shape,
    comparison: &mut Comparison,
) {
    for (element, was) in old {
        let is = new
            .iter()
            .find(|(other, _)| other == element)
            .map(|(_, value)| *value);
        compare_child(element.clone(), Some(was), is, item, comparison);
    }
    for (element, is) in new
        .iter()
        .filter(|(element, _)| old.iter().all(|(other, _)| other != element))
    {
        compare_child(element.clone(), None, Some(is), item, comparison);
    }
}

fn compare_child(
    element: PathElement,
    old: Option<&Value>,
    new: Option<&Value>,
    shape: &Shape,
    comparison: &mut Comparison,
) {
    let every_path = |value: &Value| {
        let empty = match value {
            Value::Array(_) => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        };
        compare(&empty, value, shape).added
    };
    match (old, new) {
        (None, None) => {}
        (None, Some(value)) => {
            comparison.added.insert(element.clone());
            comparison.added.insert_below(element, &every_path(value));
        }
        (Some(value), None) => {
            comparison.removed.insert(element.clone());
            comparison.removed.insert_below(element, &every_path(value));
        }
        // A null is a container without content: only the content comes and goes.
        (Some(Value::Null), Some(is)) if !matches!(shape.atom(is), Atom::Leaf) => {
            comparison.added.insert_below(element, &every_path(is));
        }
        (Some(was), Some(Value::Null)) if !matches!(shape.atom(was), Atom::Leaf) => {
            comparison.removed.insert_below(element, &every_path(was));
        }
        (Some(was), Some(is)) => {
            let same_kind = matches!(
                (shape.atom(was), shape.atom(is)),
                (Atom::Object(_), Atom::Object(_))
                    | (Atom::Set, Atom::Set)
                    | (Atom::Keyed(..), Atom::Keyed(..))
            );
            if same_kind {
                let below = compare(was, is, shape);
                comparison.added.insert_below(element.clone(), &below.added);
                comparison
                    .removed
                    .insert_below(element.clone(), &below.removed);
                comparison.modified.insert_below(element, &below.modified);
            } else if was != is {
                comparison.modified.insert(element);
            }
        }
    }
}

/// Lays `config` over `live`: fields and items of `config` win, everything else of `live` stays.
pub(crate) fn merge(live: &Value, config: &Value, shape: &Shape) -> Value {
    match (shape.atom(live), shape.atom(config)) {
        (Atom::Object(_), Atom::Object(shape)) => {
            let mut merged = live.as_object().cloned().unwrap_or_default();
            for (name, theirs) in config.as_object().into_iter().flatten() {
                let value = match merged.get(name) {
                    Some(ours) => merge(ours, theirs, shape.field(name).0),
                    None => theirs.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Atom::Set, Atom::Set) => {
            merge_lists(&elements(live, None), &elements(config, None), shape.item())
        }
        (Atom::Keyed(keys, item), Atom::Keyed(..)) => merge_lists(
            &elements(live, Some(keys)),
            &elements(config, Some(keys)),
            item,
        ),
        _ => config.clone(),
    }
}

/// Merges two lists: the items of `config` keep their order, those only in `live` keep their place before them.
fn merge_lists(
    live: &[(PathElement, &Value)],
    config: &[(PathElement, &Value)],
    item: &Shape,
) -> Value {
    let in_config = |element: &PathElement| config.iter().any(|(other, _)| other == element);
    let in_live = |element: &PathElement| {
        live.iter()
            .find(|(other, _)| other == element)
            .map(|(_, value)| *value)
    };
    let mut merged = Vec::with_capacity(live.len() + config.len());
    let (mut left, mut right) = (live.iter().peekable(), config.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (Some((element, value)), _) if !in_config(element) => {
                merged.push((*value).clone());
                left.next();
            }
            (here, Some((element, theirs))) => {
                if here.is_some_and(|(other, _)| other == element) {
                    left.next();
                }
                merged.push(
                    in_live(element)
                        .map_or_else(|| (*theirs).clone(), |ours| merge(ours, theirs, item)),
                );
                right.next();
            }
            (Some(_), None) => {
                left.next();
            }
            (None, None) => return Value::Array(merged),
        }
    }
}

/// Takes the fields and items of `set` out of `value`. A container that loses its last entry stays behind as null:
/// nobody took the container itself away.
pub(crate) fn remove(value: &Value, set: &FieldSet, shape: &Shape) -> Value {
    match shape.atom(value) {
        Atom::Leaf => value.clone(),
        Atom::Object(shape) => {
            let mut kept = Map::new();
            for (name, child) in value.as_object().into_iter().flatten() {
                let element = PathElement::field(name);
                if set.has(&element) {
                    continue;
                }
                let child = match set.below(&element) {
                    Some(below) => remove(child, below, shape.field(name).0),
                    None => child.clone(),
                };
                kept.insert(name.clone(), child);
            }
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        Atom::Set => remove_items(&elements(value, None), set, shape.item()),
        Atom::Keyed(keys, item) => remove_items(&elements(value, Some(keys)), set, item),
    }
}

fn remove_items(items: &[(PathElement, &Value)], set: &FieldSet, item: &Shape) -> Value {
    let kept: Vec<Value> = items
        .iter()
        .filter(|(element, _)| !set.has(element))
        .map(|(element, child)| match set.below(element) {
            Some(below) => remove(child, below, item),
            None => (*child).clone(),
        })
        .filter(|child| !child.is_null())
        .collect();
    if kept.is_empty() {
        Value::Null
    } else {
        Value::Array(kept)
    }
}

/// Marks each declared field that has members below it as a member itself, so that a struct goes with its last field.
pub(crate) fn with_declared_parents(set: &FieldSet, shape: &Shape) -> FieldSet {
    let mut out = FieldSet::default();
    for (element, member, below) in set.steps() {
        let (inner, declared) = match element {
            PathElement::Field(name) => shape.field(name),
            _ => (shape.item(), false),
        };
        if member || (declared && !below.is_empty()) {
            out.insert(element.clone());
        }
        out.insert_below(element.clone(), &with_declared_parents(below, inner));
    }
    out
}

#[cfg(test)]
mod tests;
