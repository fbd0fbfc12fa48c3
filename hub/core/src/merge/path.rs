//! Places in an object, and what can be done there.

use serde_json::{Map, Value};

/// One step into an object, in the words of Kubernetes' `fieldsV1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A member of an object: `f:<name>`.
    Field(String),
    /// The entry of a list whose identifying field has this value: `k:{"<field>":"<value>"}`.
    Entry(String),
}

/// A place: from the root down.
pub type Path = Vec<Segment>;

/// Lists whose entries are told apart by a field: where they are, and the field.
const KEYED_LISTS: &[(&[&str], &str)] = &[(&["spec", "taints"], "key")];

/// The identifying field of the list at `path`, if it has one.
pub(super) fn keyed_list(path: &[Segment]) -> Option<&'static str> {
    KEYED_LISTS
        .iter()
        .find(|(list, _)| path.iter().map(Segment::name).eq(list.iter().copied()))
        .map(|(_, field)| *field)
}

impl Segment {
    /// The member's name or the entry's identifying value.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Field(name) | Self::Entry(name) => name,
        }
    }
}

/// The entry of a list that has `value` in `field`.
fn position(list: &[Value], field: &str, value: &str) -> Option<usize> {
    list.iter()
        .position(|entry| entry.get(field).and_then(Value::as_str) == Some(value))
}

/// What stands at a place.
pub(super) fn get<'a>(root: &'a Value, path: &[Segment]) -> Option<&'a Value> {
    let mut value = root;
    for (depth, segment) in path.iter().enumerate() {
        value = match segment {
            Segment::Field(name) => value.get(name)?,
            Segment::Entry(key) => {
                let field = keyed_list(&path[..depth])?;
                let list = value.as_array()?;
                &list[position(list, field, key)?]
            }
        };
    }
    Some(value)
}

/// Removes what stands at a place, and what is empty above it then.
pub(super) fn remove(root: &mut Value, path: &[Segment]) {
    remove_below(root, path, 0);
}

fn remove_below(value: &mut Value, path: &[Segment], depth: usize) {
    let last = depth + 1 == path.len();
    match (path.get(depth), value) {
        (Some(Segment::Field(name)), Value::Object(members)) => {
            if let Some(member) = members.get_mut(name) {
                if !last {
                    remove_below(member, path, depth + 1);
                }
                // An object that was owned while it was empty is not owned with what others put there.
                let others_are_there = member.as_object().is_some_and(|below| !below.is_empty());
                if last && !others_are_there || is_empty(member) {
                    members.remove(name);
                }
            }
        }
        (Some(Segment::Entry(key)), Value::Array(list)) => {
            // An entry is owned as a whole.
            if let Some(field) = keyed_list(&path[..depth])
                && let Some(index) = position(list, field, key)
            {
                list.remove(index);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Lays what was written over what is there.
pub(super) fn overlay(target: &mut Value, written: &Value) {
    overlay_below(target, written, &mut Vec::new());
}

fn overlay_below(target: &mut Value, written: &Value, path: &mut Path) {
    match (&mut *target, written) {
        (Value::Object(target), Value::Object(written)) => {
            for (name, written) in written {
                path.push(Segment::Field(name.clone()));
                let fresh = || match written {
                    Value::Object(_) => Value::Object(Map::new()),
                    Value::Array(_) => Value::Array(Vec::new()),
                    _ => Value::Null,
                };
                let target = target.entry(name.clone()).or_insert_with(fresh);
                overlay_below(target, written, path);
                path.pop();
            }
        }
        (Value::Array(target), Value::Array(written)) if keyed_list(path).is_some() => {
            let field = keyed_list(path).unwrap_or_default();
            for entry in written {
                let key = entry.get(field).and_then(Value::as_str).unwrap_or_default();
                match position(target, field, key) {
                    Some(index) => target[index] = entry.clone(),
                    None => target.push(entry.clone()),
                }
            }
        }
        _ => *target = written.clone(),
    }
}
