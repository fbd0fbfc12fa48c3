//! Feedback: the fields of an applied object that a work reports back.

pub mod well_known;

mod go_json;

use crate::json_path::{EvaluateError, Found, Kind, ParseError, Template};
use serde_json::{Map, Value};
use skein_schema::kind::manifest_work::{FeedbackRule, FeedbackType, FeedbackValue, FieldValue};

/// How feedback is read. The defaults are OCM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackOptions {
    /// OCM's feature gate `RawFeedbackJsonString`: lists, objects and fractions are reported as
    /// JSON text, and several hits of a path as a list. Without it they are errors, and only the
    /// first hit counts.
    pub raw_json: bool,
    /// Longest JSON text in bytes.
    pub max_raw_length: usize,
}

impl Default for FeedbackOptions {
    fn default() -> Self {
        Self {
            raw_json: false,
            max_raw_length: 1024,
        }
    }
}

/// Why a value could not be reported. The other values of the rules are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedbackError {
    /// Nothing is known about the kind.
    #[error(
        "cannot find the wellknown statuses for resource with gvk {group}/{version}, Kind={kind}"
    )]
    NoWellKnown {
        /// API group.
        group: String,
        /// Version.
        version: String,
        /// Kind.
        kind: String,
    },
    /// The path is for another version of the object.
    #[error("version set in the path {name} is not matched for the related resource")]
    Version {
        /// Name of the value.
        name: String,
    },
    /// The path is not one.
    #[error("failed to parse json path {path} of {name} with error: {error}")]
    Path {
        /// Name of the value.
        name: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// The path does not fit the object.
    #[error("failed to find value for {name} with error: {error}")]
    Evaluate {
        /// Name of the value.
        name: String,
        /// What did not fit.
        error: EvaluateError,
    },
    /// The value is of a type that is not reported.
    #[error("the type {found} of the value for {name} is not found")]
    Type {
        /// Name of the value.
        name: String,
        /// The type.
        found: &'static str,
    },
    /// The JSON text of the value is too long.
    #[error(
        "the length of returned json raw string for name {name} is larger than the maximum length {limit}"
    )]
    TooLong {
        /// Name of the value.
        name: String,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The values that the rules find, in their order, and what went wrong with the others. A field
/// that is absent or null is neither a value nor an error.
#[must_use]
pub fn read(
    object: &Map<String, Value>,
    rules: &[FeedbackRule],
    options: FeedbackOptions,
) -> (Vec<FeedbackValue>, Vec<FeedbackError>) {
    let mut values = Vec::new();
    let mut errors = Vec::new();
    let mut take = |result: Result<Option<FeedbackValue>, FeedbackError>| match result {
        Ok(value) => values.extend(value),
        Err(error) => errors.push(error),
    };
    let (group, version, kind) = group_version_kind(object);
    for rule in rules {
        match rule.kind {
            FeedbackType::WellKnownStatus => {
                let paths = well_known::paths(group, version, kind);
                if paths.is_empty() {
                    let (group, version, kind) =
                        (group.to_owned(), version.to_owned(), kind.to_owned());
                    take(Err(FeedbackError::NoWellKnown {
                        group,
                        version,
                        kind,
                    }));
                }
                for (name, path) in paths {
                    take(value(object, name, path, options));
                }
            }
            FeedbackType::JsonPaths => {
                for path in &rule.json_paths {
                    if !path.version.is_empty() && path.version != version {
                        take(Err(FeedbackError::Version {
                            name: path.name.clone(),
                        }));
                    } else {
                        take(value(object, &path.name, &path.path, options));
                    }
                }
            }
        }
    }
    (values, errors)
}

/// Group, version and kind of an object, empty where they are missing.
pub(crate) fn group_version_kind(object: &Map<String, Value>) -> (&str, &str, &str) {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let api_version = text("apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    (group, version, text("kind"))
}

fn value(
    object: &Map<String, Value>,
    name: &str,
    path: &str,
    options: FeedbackOptions,
) -> Result<Option<FeedbackValue>, FeedbackError> {
    let template =
        Template::parse(&format!("{{{path}}}")).map_err(|error| FeedbackError::Path {
            name: name.to_owned(),
            path: path.to_owned(),
            error,
        })?;
    let results = template
        .find(object)
        .map_err(|error| FeedbackError::Evaluate {
            name: name.to_owned(),
            error,
        })?;
    let Some(first) = results.first().and_then(|hits| hits.first()) else {
        return Ok(None);
    };
    if options.raw_json && (results.len() > 1 || results[0].len() > 1) {
        return raw(name, &go_json::list(&results[0]), options);
    }
    let field_value = match first.kind() {
        Kind::Null => return Ok(None),
        // A number that stands in the path itself is of another type than those of objects.
        Kind::Integer(integer) if !matches!(first, Found::Integer(_)) => {
            FieldValue::Integer(integer)
        }
        Kind::String(text) => FieldValue::String(text.to_owned()),
        Kind::Bool(value) => FieldValue::Boolean(value),
        _ if options.raw_json => return raw(name, &go_json::one(*first), options),
        other => {
            let found = if matches!(first, Found::Integer(_)) {
                "int"
            } else {
                other.name()
            };
            return Err(FeedbackError::Type {
                name: name.to_owned(),
                found,
            });
        }
    };
    Ok(Some(FeedbackValue {
        name: name.to_owned(),
        field_value,
    }))
}

fn raw(
    name: &str,
    text: &str,
    options: FeedbackOptions,
) -> Result<Option<FeedbackValue>, FeedbackError> {
    if text.len() > options.max_raw_length {
        let limit = options.max_raw_length;
        return Err(FeedbackError::TooLong {
            name: name.to_owned(),
            limit,
        });
    }
    let field_value = FieldValue::JsonRaw(text.to_owned());
    Ok(Some(FeedbackValue {
        name: name.to_owned(),
        field_value,
    }))
}
