//! Strict decoding of objects that people write.
//!
//! [`decode`] checks a whole document against the shape of its kind and reports every problem at
//! once, each with a path as kubectl writes it. What passes is complete: OCM's defaults are
//! filled in, times are whole seconds in UTC, and `null` is the same as absent.

mod error;
mod format;
pub mod shape;
mod text;
mod walk;

pub use error::{FieldError, JsonType, Problem};
pub use format::{is_condition_reason, is_label_key, is_label_value, is_qualified_name};
pub use text::{StrictValue, parse_json};

pub(crate) use error::{RULE, excerpt};
pub(crate) use format::{is_label, is_subdomain};
pub(crate) use walk::{Path, nearest};

use crate::kind::object_meta::OBJECT_META;
use crate::kind::{KindInfo, LookupError, NameRule, Scope, lookup};
use crate::name::{SUBDOMAIN_MAX, check_parts};
use crate::resource::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shape::Field;
use walk::Walk;

/// What happens to a field that the kind does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// The object is refused.
    #[default]
    Refuse,
    /// The field is dropped with a warning.
    Warn,
    /// The field is dropped.
    Ignore,
}

/// A decoded object.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object with defaults filled in.
    pub resource: Resource,
    /// Fields that were dropped, with [`Unknown::Warn`].
    pub warnings: Vec<FieldError>,
}

/// Decodes one object.
///
/// # Errors
/// Every problem found, in document order; never an empty list.
pub fn decode(value: Value, unknown: Unknown) -> Result<Decoded, Vec<FieldError>> {
    decode_object(value, unknown, None)
}

/// Decodes one object into a namespace: fills `metadata.namespace` of a namespaced kind that has
/// none.
///
/// # Errors
/// As [`decode`]; also if the object names another namespace.
pub fn decode_in(
    value: Value,
    unknown: Unknown,
    namespace: &str,
) -> Result<Decoded, Vec<FieldError>> {
    decode_object(value, unknown, Some(namespace))
}

fn decode_object(
    value: Value,
    unknown: Unknown,
    namespace: Option<&str>,
) -> Result<Decoded, Vec<FieldError>> {
    let mut object = match value {
        Value::Object(object) => object,
        other => return Err(vec![FieldError::wrong_type("", "object", &other)]),
    };
    let info = find_kind(&object)?;
    let (api_version, kind) = (object.remove("apiVersion"), object.remove("kind"));
    let mut metadata = object.remove("metadata").unwrap_or(Value::Null);
    if metadata.is_null() {
        metadata = Value::Object(Map::new());
    }

    let mut walk = Walk::new(unknown);
    walk.fields(
        &Path::Field(&Path::Root, "metadata"),
        &mut metadata,
        OBJECT_META,
    );
    if let Value::Object(metadata) = &mut metadata {
        check_metadata(&mut walk, info, metadata, namespace);
    }
    walk.object(
        &Path::Root,
        &mut object,
        info.fields,
        &["apiVersion", "kind", "metadata"],
    );
    let warnings = walk.finish()?;

    object.insert("metadata".to_owned(), metadata);
    object.extend(api_version.map(|value| ("apiVersion".to_owned(), value)));
    object.extend(kind.map(|value| ("kind".to_owned(), value)));
    match Resource::read(info.name, Value::Object(object)) {
        Ok(resource) => Ok(Decoded { resource, warnings }),
        Err(error) => Err(vec![FieldError::unreadable(&error)]),
    }
}

/// Decodes a part of an object on its own, strictly; `path` is where it stands, for the errors.
///
/// # Errors
/// Every problem found, in document order; never an empty list.
pub(crate) fn decode_part<T: DeserializeOwned>(
    path: &str,
    mut value: Value,
    fields: &'static [Field],
) -> Result<T, Vec<FieldError>> {
    let mut walk = Walk::new(Unknown::Refuse);
    walk.fields(&Path::Field(&Path::Root, path), &mut value, fields);
    walk.finish()?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let error = FieldError::unreadable(&error);
        let path = [path, &error.path].join(".");
        let path = path.trim_end_matches('.').to_owned();
        vec![FieldError { path, ..error }]
    })
}

/// Finds the kind that a document names.
///
/// # Errors
/// What is wrong with `apiVersion` and `kind`.
pub(crate) fn find_kind(object: &Map<String, Value>) -> Result<&'static KindInfo, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut text = |field: &str| match object.get(field) {
        Some(Value::String(text)) if !text.is_empty() => text.as_str(),
        None | Some(Value::Null | Value::String(_)) => {
            errors.push(FieldError::new(field, Problem::Required));
            ""
        }
        Some(other) => {
            errors.push(FieldError::wrong_type(field, "string", other));
            ""
        }
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if !errors.is_empty() {
        return Err(errors);
    }
    lookup(api_version, kind).map_err(|error| vec![unknown_kind(&error)])
}

fn unknown_kind(error: &LookupError) -> FieldError {
    let path = if error.about_version() {
        "apiVersion"
    } else {
        "kind"
    };
    let problem = Problem::UnknownKind {
        asked: excerpt(&error.asked()),
    };
    FieldError {
        hint: error.hint(),
        ..FieldError::new(path, problem)
    }
}

/// Checks name and namespace against the rules of the kind, and fills the namespace in.
fn check_metadata(
    walk: &mut Walk,
    info: &KindInfo,
    metadata: &mut Map<String, Value>,
    namespace: Option<&str>,
) {
    check_name(walk, info, metadata);
    let written = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    match (info.scope, written, namespace) {
        (Scope::Cluster, None, _) => {
            metadata.remove("namespace");
        }
        (Scope::Cluster, Some(_), _) => {
            let rule = format!("{} objects have no namespace", info.kind);
            walk.error(FieldError::new(
                "metadata.namespace",
                Problem::Forbidden { rule },
            ));
        }
        (Scope::Namespaced, None, None) => {
            let hint = "write metadata.namespace, or say -n NAMESPACE";
            walk.error(FieldError::new("metadata.namespace", Problem::Required).with_hint(hint));
        }
        (Scope::Namespaced, None, Some(namespace)) => {
            metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
            check_namespace(walk, namespace);
        }
        (Scope::Namespaced, Some(written), Some(namespace)) if written != namespace => {
            let expected = format!("the namespace that was asked for, {:?}", excerpt(namespace));
            let problem = Problem::Mismatch {
                value: excerpt(written),
                expected,
            };
            walk.error(FieldError::new("metadata.namespace", problem));
        }
        (Scope::Namespaced, Some(written), _) => check_namespace(walk, written),
    }
}

fn check_namespace(walk: &mut Walk, namespace: &str) {
    if !is_label(namespace) {
        walk.error(FieldError::invalid(
            "metadata.namespace",
            namespace,
            LABEL_RULE,
        ));
    }
}

fn check_name(walk: &mut Walk, info: &KindInfo, metadata: &Map<String, Value>) {
    let path = "metadata.name";
    if let Some(Value::String(prefix)) = metadata.get("generateName")
        && !prefix.is_empty()
    {
        let rule = "names are written out, so that applying twice means the same".to_owned();
        walk.error(FieldError::new(
            "metadata.generateName",
            Problem::Forbidden { rule },
        ));
    }
    let name = match metadata.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        None | Some(Value::String(_)) => {
            return walk.error(FieldError::new(path, Problem::Required));
        }
        // The walk has already reported a name that is no string.
        Some(_) => return,
    };
    let (max, fits, rule) = match info.name_rule {
        NameRule::Label => (63, is_label(name), LABEL_RULE),
        NameRule::Subdomain { max } => (max, is_subdomain(name), SUBDOMAIN_RULE),
        NameRule::Parts => (SUBDOMAIN_MAX, check_parts(name).is_ok(), PARTS_RULE),
    };
    let length = name.chars().count();
    if length > max {
        walk.error(FieldError::new(
            path,
            Problem::TooLong {
                max: max as u64,
                found: length as u64,
            },
        ));
    } else if !fits {
        let lowered = name.to_lowercase();
        let error = FieldError::invalid(path, name, rule);
        let fixed = if is_label(&lowered) {
            Some(lowered)
        } else {
            None
        };
        walk.error(match fixed {
            Some(fixed) => error.with_hint(&format!("did you mean {fixed:?}?")),
            None => error,
        });
    }
}

pub(crate) const LABEL_RULE: &str =
    "lower-case letters, digits and '-', at most 63 characters, a letter or digit at both ends";
pub(crate) const SUBDOMAIN_RULE: &str =
    "lower-case letters, digits, '-' and '.', a letter or digit at both ends of each part";
pub(crate) const PARTS_RULE: &str =
    "lower-case letters, digits, '-', '.' and ':', a letter or digit at both ends of each part";

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
