//! A set of fields: a tree whose leaves are owned.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::{Path, Segment, keyed_list};

/// A set of places in an object. A node without children is a leaf: a value, a list as a whole, or
/// an object that was empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeMap<Segment, Self>);

impl FieldSet {
    /// The fields that an object has.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self::below(object, &mut Vec::new())
    }

    fn below(value: &Value, path: &mut Path) -> Self {
        let mut children = BTreeMap::new();
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let segment = Segment::Field(name.clone());
                    path.push(segment.clone());
                    // An empty list of keyed entries says nothing about anybody's entries.
                    let says_nothing =
                        member.as_array().is_some_and(Vec::is_empty) && keyed_list(path).is_some();
                    if !says_nothing {
                        children.insert(segment, Self::below(member, path));
                    }
                    path.pop();
                }
            }
            Value::Array(list) => {
                if let Some(field) = keyed_list(path) {
                    let keys = list.iter().filter_map(|entry| entry.get(field)?.as_str());
                    children
                        .extend(keys.map(|key| (Segment::Entry(key.to_owned()), Self::default())));
                }
            }
            _ => {}
        }
        Self(children)
    }

    /// True without children: the set is one leaf, or at the root, empty.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.0.is_empty()
    }

    /// All leaves.
    #[must_use]
    pub fn leaves(&self) -> Vec<Path> {
        let mut leaves = Vec::new();
        for (segment, child) in &self.0 {
            if child.is_leaf() {
                leaves.push(vec![segment.clone()]);
            }
            leaves.extend(child.leaves().into_iter().map(|mut path| {
                path.insert(0, segment.clone());
                path
            }));
        }
        leaves
    }

    /// True if the place, or something below it, is in the set.
    #[must_use]
    pub fn has(&self, path: &[Segment]) -> bool {
        match path.split_first() {
            None => true,
            Some((segment, rest)) => self.0.get(segment).is_some_and(|child| child.has(rest)),
        }
    }

    /// Adds a leaf.
    pub fn insert(&mut self, path: &[Segment]) {
        if let Some((segment, rest)) = path.split_first() {
            self.0.entry(segment.clone()).or_default().insert(rest);
        }
    }

    /// Adds another set's leaves.
    pub fn extend(&mut self, other: &Self) {
        for path in other.leaves() {
            self.insert(&path);
        }
    }

    /// Removes a place, and what is empty above it then.
    pub fn remove(&mut self, path: &[Segment]) {
        let Some((segment, rest)) = path.split_first() else {
            return;
        };
        let Some(child) = self.0.get_mut(segment) else {
            return;
        };
        if !rest.is_empty() && !child.is_leaf() {
            child.remove(rest);
            if !child.is_leaf() {
                return;
            }
        } else if !rest.is_empty() {
            return;
        }
        self.0.remove(segment);
    }

    /// The set in Kubernetes' `fieldsV1` form.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let members = self.0.iter().map(|(segment, child)| {
            let name = match segment {
                Segment::Field(name) => format!("f:{name}"),
                Segment::Entry(key) => {
                    format!(
                        "k:{}",
                        Value::Object(Map::from_iter([(
                            "key".to_owned(),
                            Value::from(key.as_str())
                        )]))
                    )
                }
            };
            (name, child.to_value())
        });
        Value::Object(members.collect())
    }

    /// Reads the `fieldsV1` form; what is not ours in it is left out.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        let members = value.as_object().into_iter().flatten();
        let children = members.filter_map(|(name, child)| {
            let segment = match name.split_once(':')? {
                ("f", name) => Segment::Field(name.to_owned()),
                ("k", key) => {
                    let key: Value = serde_json::from_str(key).ok()?;
                    Segment::Entry(key.get("key")?.as_str()?.to_owned())
                }
                _ => return None,
            };
            Some((segment, Self::from_value(child)))
        });
        Self(children.collect())
    }
}
