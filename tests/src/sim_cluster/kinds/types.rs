//! Reads `kubernetes_types.json`, the structural types of the built-in kinds.
//!
//! `kubernetes_types.py` writes that file and explains its notation.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::Value;

use crate::sim_cluster::shape::{ListKey, ScalarType, Shape};

const SOURCE: &str = include_str!("kubernetes_types.json");

/// The type table, and the shapes built from it so far.
#[derive(Deserialize)]
pub(crate) struct Types {
    atomic: Vec<String>,
    types: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(skip)]
    built: BTreeMap<String, Arc<Shape>>,
}

/// The shape of `metadata`, which custom resources have, too.
pub(crate) static OBJECT_META: LazyLock<Arc<Shape>> =
    LazyLock::new(|| Types::load().shape("apis.meta.v1.ObjectMeta"));

impl Types {
    /// Parses the table.
    pub(crate) fn load() -> Types {
        let mut types: Types =
            serde_json::from_str(SOURCE).expect("the embedded type table is JSON");
        types.add_custom_resource_definition();
        types
    }

    /// Kubernetes publishes no apply schema for CRDs, but they follow the same rules.
    fn add_custom_resource_definition(&mut self) {
        let mut add = |name: &str, fields: &[(&str, &str)]| {
            let fields = fields
                .iter()
                .map(|(field, kind)| ((*field).to_owned(), (*kind).to_owned()))
                .collect();
            self.types
                .insert(format!("apiextensions.v1.{name}"), fields);
        };
        add(
            "CustomResourceDefinition",
            &[
                ("apiVersion", "string"),
                ("kind", "string"),
                ("metadata", "apis.meta.v1.ObjectMeta"),
                ("spec", "apiextensions.v1.Spec"),
                ("status", "apiextensions.v1.Status"),
            ],
        );
        add(
            "Spec",
            &[
                ("group", "string"),
                ("scope", "string"),
                ("preserveUnknownFields", "boolean"),
                ("conversion", "free"),
                ("names", "apiextensions.v1.Names"),
                ("versions", "atomic[apiextensions.v1.Version]"),
            ],
        );
        add(
            "Names",
            &[
                ("plural", "string"),
                ("singular", "string"),
                ("kind", "string"),
                ("listKind", "string"),
                ("shortNames", "atomic[string]"),
                ("categories", "atomic[string]"),
            ],
        );
        add(
            "Version",
            &[
                ("name", "string"),
                ("served", "boolean"),
                ("storage", "boolean"),
                ("deprecated", "boolean"),
                ("deprecationWarning", "string"),
                ("schema", "free"),
                ("subresources", "free"),
                ("additionalPrinterColumns", "free"),
                ("selectableFields", "free"),
            ],
        );
        add(
            "Status",
            &[
                ("acceptedNames", "apiextensions.v1.Names"),
                ("conditions", "map(type)[free]"),
                ("observedGeneration", "numeric"),
                ("storedVersions", "atomic[string]"),
            ],
        );
    }

    /// The shape of a named type.
    pub(crate) fn shape(&mut self, name: &str) -> Arc<Shape> {
        if let Some(shape) = self.built.get(name) {
            return shape.clone();
        }
        let fields = self.types.get(name).cloned().unwrap_or_default();
        let fields = fields
            .into_iter()
            .map(|(field, kind)| (field, self.expression(&kind)))
            .collect();
        let whole = Arc::new(Shape::Struct(fields));
        let atomic = self.atomic.iter().any(|other| other == name);
        let shape = if atomic {
            Arc::new(Shape::Atomic(whole))
        } else {
            whole
        };
        self.built.insert(name.to_owned(), shape.clone());
        shape
    }

    fn expression(&mut self, text: &str) -> Arc<Shape> {
        let inner = |text: &'_ str, open: char, close: char| -> Option<String> {
            Some(text.split_once(open)?.1.strip_suffix(close)?.to_owned())
        };
        let shape = match text {
            "string" => Shape::Scalar(ScalarType::String),
            "numeric" => Shape::Scalar(ScalarType::Number),
            "boolean" => Shape::Scalar(ScalarType::Boolean),
            "untyped" => Shape::Scalar(ScalarType::Any),
            "free" => Shape::Untyped,
            _ if text.starts_with("atomic[") => {
                let item = self.expression(&inner(text, '[', ']').unwrap_or_default());
                Shape::Atomic(Arc::new(Shape::List(item)))
            }
            _ if text.starts_with("set[") => {
                Shape::Set(self.expression(&inner(text, '[', ']').unwrap_or_default()))
            }
            _ if text.starts_with("map(") => {
                let item = self.expression(&inner(text, '[', ']').unwrap_or_default());
                let keys = text
                    .trim_start_matches("map(")
                    .split(')')
                    .next()
                    .unwrap_or_default();
                Shape::ListMap(keys.split(',').map(list_key).collect(), item)
            }
            _ if text.starts_with("atomic{") => {
                let item = self.expression(&inner(text, '{', '}').unwrap_or_default());
                Shape::Atomic(Arc::new(Shape::Map(item)))
            }
            _ if text.starts_with('{') => {
                Shape::Map(self.expression(&inner(text, '{', '}').unwrap_or_default()))
            }
            name => return self.shape(name),
        };
        Arc::new(shape)
    }
}

fn list_key(text: &str) -> ListKey {
    match text.split_once('=') {
        Some((name, default)) => ListKey {
            name: name.to_owned(),
            default: Some(Value::from(default)),
        },
        None => ListKey {
            name: text.to_owned(),
            default: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_cluster::kinds::BUILTIN;

    #[test]
    fn every_name_in_the_table_is_known() {
        let types = Types::load();
        for (owner, fields) in &types.types {
            for (field, kind) in fields {
                let name = kind
                    .rsplit(['[', '{', ')'])
                    .next()
                    .unwrap_or(kind)
                    .trim_end_matches([']', '}']);
                let scalar = ["string", "numeric", "boolean", "untyped", "free"].contains(&name);
                assert!(
                    scalar || types.types.contains_key(name),
                    "{owner}.{field}: {kind}"
                );
            }
        }
    }

    #[test]
    fn every_built_in_kind_has_a_type_with_metadata() {
        for kind in BUILTIN.iter() {
            let Shape::Struct(fields) = kind.shape.as_ref() else {
                panic!("{} is not a struct", kind.kind)
            };
            assert!(fields.contains_key("metadata"), "{}", kind.kind);
            assert_eq!(
                fields.contains_key("status"),
                kind.status,
                "{} status",
                kind.kind
            );
        }
    }
}
