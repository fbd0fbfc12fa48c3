//! The structural type of a resource: which parts of an object merge field by field, and which are replaced whole.
//!
//! Server-side apply, managed fields and strict field checks all walk an object along its shape, as Kubernetes'
//! structured-merge-diff does along a resource's OpenAPI schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The structural type of one JSON value.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// A scalar of the named JSON type.
    Scalar(ScalarType),
    /// A list or map that has one owner and is replaced whole; the inner shape still checks its content.
    Atomic(Arc<Shape>),
    /// An object with declared fields and no others.
    Struct(BTreeMap<String, Arc<Shape>>),
    /// An object with declared fields that keeps whatever else it is given.
    Open(BTreeMap<String, Arc<Shape>>),
    /// A map from string to values of one shape, merged key by key.
    Map(Arc<Shape>),
    /// A plain list (only ever met inside `Atomic`).
    List(Arc<Shape>),
    /// A list of scalars in which each value has its own owner.
    Set(Arc<Shape>),
    /// A list whose items are told apart by key fields.
    ListMap(Vec<ListKey>, Arc<Shape>),
    /// No type is known: objects merge field by field, everything else is replaced whole.
    Untyped,
}

/// What a scalar may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarType {
    /// A JSON string.
    String,
    /// A JSON number.
    Number,
    /// A JSON number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Whatever JSON has (quantities, times, int-or-string).
    Any,
}

/// One key field of a keyed list, and the value it stands for when an item leaves it out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListKey {
    /// The field's name.
    pub(crate) name: String,
    /// What an item without the field means.
    pub(crate) default: Option<Value>,
}

/// How a shape meets the value at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Atom<'a> {
    /// Owned and replaced whole.
    Leaf,
    /// Merged field by field.
    Object(&'a Shape),
    /// Merged value by value.
    Set,
    /// Merged item by item.
    Keyed(&'a [ListKey], &'a Shape),
}

static UNTYPED: Shape = Shape::Untyped;

impl Shape {
    /// How `value` of this shape is owned: a value that is not what the shape expects is a leaf.
    pub(crate) fn atom(&self, value: &Value) -> Atom<'_> {
        match (self, value) {
            (
                Shape::Struct(_) | Shape::Open(_) | Shape::Map(_) | Shape::Untyped,
                Value::Object(_),
            ) => Atom::Object(self),
            (Shape::Set(_), Value::Array(_)) => Atom::Set,
            (Shape::ListMap(keys, item), Value::Array(_)) => Atom::Keyed(keys, item),
            _ => Atom::Leaf,
        }
    }

    /// The shape below `field`, and whether the shape declares a field of that name.
    pub(crate) fn field(&self, field: &str) -> (&Shape, bool) {
        match self {
            Shape::Struct(fields) | Shape::Open(fields) => match fields.get(field) {
                Some(shape) => (shape, true),
                None => (&UNTYPED, false),
            },
            Shape::Map(item) => (item, false),
            _ => (&UNTYPED, false),
        }
    }

    /// Whether this is a map from arbitrary keys.
    pub(crate) fn is_map(&self) -> bool {
        match self {
            Shape::Map(_) => true,
            Shape::Atomic(inner) => inner.is_map(),
            _ => false,
        }
    }

    /// The shape of the items of a list.
    pub(crate) fn item(&self) -> &Shape {
        match self {
            Shape::List(item) | Shape::Set(item) | Shape::ListMap(_, item) => item,
            Shape::Atomic(inner) => inner.item(),
            _ => &UNTYPED,
        }
    }

    /// Reports every field that the shape does not declare and every value of the wrong JSON type.
    pub(crate) fn check(&self, value: &Value) -> Vec<Mismatch> {
        let mut found = Vec::new();
        self.check_at(value, &mut String::new(), &mut found);
        found
    }

    fn check_at(&self, value: &Value, path: &mut String, found: &mut Vec<Mismatch>) {
        let wrong = |path: &str, want: &'static str| Mismatch::WrongType {
            path: path.trim_start_matches('.').to_owned(),
            want,
            got: json_type(value),
        };
        match (self, value) {
            (Shape::Untyped, _) | (Shape::Scalar(ScalarType::Any), _) | (_, Value::Null) => {}
            (Shape::Atomic(inner), _) => inner.check_at(value, path, found),
            (Shape::Scalar(kind), _) if !kind.admits(value) => found.push(wrong(path, kind.name())),
            (Shape::Scalar(_), _) => {}
            (Shape::Struct(_) | Shape::Open(_) | Shape::Map(_), Value::Object(fields)) => {
                self.check_fields(fields, path, found);
            }
            (Shape::Struct(_) | Shape::Open(_) | Shape::Map(_), _) => {
                found.push(wrong(path, "object"));
            }
            (
                Shape::List(item) | Shape::Set(item) | Shape::ListMap(_, item),
                Value::Array(items),
            ) => {
                for (index, child) in items.iter().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("[{index}]"));
                    item.check_at(child, path, found);
                    path.truncate(length);
                }
            }
            (Shape::List(_) | Shape::Set(_) | Shape::ListMap(..), _) => {
                found.push(wrong(path, "array"));
            }
        }
    }

    fn check_fields(
        &self,
        fields: &Map<String, Value>,
        path: &mut String,
        found: &mut Vec<Mismatch>,
    ) {
        for (name, child) in fields {
            let (shape, declared) = self.field(name);
            let length = path.len();
            path.push('.');
            path.push_str(name);
            if matches!(self, Shape::Struct(_)) && !declared {
                found.push(Mismatch::Unknown {
                    path: path.trim_start_matches('.').to_owned(),
                });
            } else {
                shape.check_at(child, path, found);
            }
            path.truncate(length);
        }
    }

    /// Drops every field that the shape does not declare.
    pub(crate) fn prune(&self, value: &mut Value) {
        match (self, value) {
            (Shape::Atomic(inner), value) => inner.prune(value),
            (Shape::Struct(declared), Value::Object(fields)) => {
                fields.retain(|name, child| match declared.get(name) {
                    Some(shape) => {
                        shape.prune(child);
                        true
                    }
                    None => false,
                });
            }
            (Shape::Open(declared), Value::Object(fields)) => {
                for (name, child) in fields {
                    if let Some(shape) = declared.get(name) {
                        shape.prune(child);
                    }
                }
            }
            (Shape::Map(item), Value::Object(fields)) => {
                fields.values_mut().for_each(|child| item.prune(child));
            }
            (Shape::List(item) | Shape::ListMap(_, item), Value::Array(items)) => {
                items.iter_mut().for_each(|child| item.prune(child));
            }
            _ => {}
        }
    }
}

impl ScalarType {
    fn admits(self, value: &Value) -> bool {
        match self {
            ScalarType::String => value.is_string(),
            ScalarType::Number => value.is_number(),
            ScalarType::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
            }
            ScalarType::Boolean => value.is_boolean(),
            ScalarType::Any => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ScalarType::String => "string",
            ScalarType::Number => "number",
            ScalarType::Integer => "integer",
            ScalarType::Boolean => "boolean",
            ScalarType::Any => "any",
        }
    }
}

/// A place where an object does not fit its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The shape declares no such field.
    Unknown {
        /// Where, as in `spec.replicaz` or `spec.containers[0].imag`.
        path: String,
    },
    /// The value has another JSON type than the shape says.
    WrongType {
        /// Where.
        path: String,
        /// The JSON type that belongs there.
        want: &'static str,
        /// The JSON type that was found.
        got: &'static str,
    },
}

/// The name of a value's JSON type, as Kubernetes' validation messages print it.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim_cluster::kinds;

    fn deployment() -> Arc<Shape> {
        kinds::builtin("apps", "v1", "deployments")
            .expect("built in")
            .shape
            .clone()
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_found_with_their_path() {
        let found = deployment().check(
            &json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {
                "replicaz": 1, "replicas": "3",
                "template": {"spec": {"containers": [{"name": "a", "imag": "b"}]}},
            }}),
        );
        let paths: Vec<String> = found
            .iter()
            .map(|mismatch| match mismatch {
                Mismatch::Unknown { path } => format!("? {path}"),
                Mismatch::WrongType { path, want, got } => format!("{path} {want} {got}"),
            })
            .collect();
        assert_eq!(
            paths,
            [
                "spec.replicas number string",
                "? spec.replicaz",
                "? spec.template.spec.containers[0].imag"
            ]
        );
    }

    #[test]
    fn pruning_keeps_what_is_declared() {
        let mut value = json!({"spec": {"replicas": 1, "more": {}, "template": {"metadata": {"labels": {"a": "b"}}}}});
        deployment().prune(&mut value);
        assert_eq!(
            value,
            json!({"spec": {"replicas": 1, "template": {"metadata": {"labels": {"a": "b"}}}}})
        );
    }
}
