//! What is wrong with a field, and where.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

use crate::code;

/// Longest piece of a refused value that is repeated in an error, in characters.
const EXCERPT: usize = 80;
/// Longest piece of a parser's error that is repeated, in characters.
pub(crate) const RULE: usize = 200;

/// One problem of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where, as kubectl writes it: `spec.taints[0].effect`, `metadata.labels[example.com/a]`;
    /// empty for the whole document.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
    /// What to do about it, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Problem {
    /// The document is no JSON.
    Syntax {
        /// What the parser says, with line and column.
        message: String,
    },
    /// No such kind is known.
    UnknownKind {
        /// `apiVersion` and `kind`, or the name that was asked for.
        asked: String,
    },
    /// The kind has no such field.
    UnknownField,
    /// The field holds a value of another type.
    WrongType {
        /// What belongs there.
        expected: String,
        /// What was found.
        found: JsonType,
    },
    /// The field must be there and not be empty.
    Required,
    /// The value is none of those allowed.
    NotAllowed {
        /// The value, shortened.
        value: String,
        /// All allowed values.
        allowed: Vec<String>,
    },
    /// The value breaks a rule of form.
    Invalid {
        /// The value, shortened.
        value: String,
        /// The rule.
        rule: String,
    },
    /// The text has too many characters, or the whole too many bytes.
    TooLong {
        /// The limit.
        max: u64,
        /// What was found.
        found: u64,
    },
    /// The text has too few characters.
    TooShort {
        /// The limit.
        min: u64,
        /// What was found.
        found: u64,
    },
    /// The number is out of bounds.
    OutOfRange {
        /// Smallest allowed number.
        min: i64,
        /// Largest allowed number.
        max: i64,
        /// What was found.
        found: String,
    },
    /// The same key, entry or object is there twice.
    Duplicate {
        /// What identifies it.
        value: String,
    },
    /// The field must not be set here.
    Forbidden {
        /// Why.
        rule: String,
    },
    /// The field cannot change once it is set.
    Immutable,
    /// The value must equal something else.
    Mismatch {
        /// The value, shortened.
        value: String,
        /// What it must equal.
        expected: String,
    },
    /// More errors than are worth listing were found.
    TooManyErrors,
}

/// Type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JsonType {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A whole number.
    Integer,
    /// A number with a fraction or an exponent.
    Number,
    /// A text.
    String,
    /// A list.
    Array,
    /// Keys and values.
    Object,
}

impl JsonType {
    /// Type of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        })
    }
}

impl FieldError {
    /// A problem without a hint.
    pub fn new(path: impl fmt::Display, problem: Problem) -> Self {
        Self {
            path: path.to_string(),
            problem,
            hint: None,
        }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn with_hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.to_owned()),
            ..self
        }
    }

    pub(crate) fn wrong_type(path: impl fmt::Display, expected: &str, found: &Value) -> Self {
        let found = JsonType::of(found);
        Self::new(
            path,
            Problem::WrongType {
                expected: expected.to_owned(),
                found,
            },
        )
    }

    /// A value that breaks a rule of form; the value is shortened.
    pub fn invalid(path: impl fmt::Display, value: &str, rule: impl Into<String>) -> Self {
        Self::new(
            path,
            Problem::Invalid {
                value: excerpt(value),
                rule: rule.into(),
            },
        )
    }

    /// What the typed decoder still found after the shape had passed.
    pub(crate) fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        Self::new(
            path,
            Problem::Invalid {
                value: String::new(),
                // Serde's words repeat the value.
                rule: code::excerpt(&error.inner().to_string(), RULE),
            },
        )
    }
}

/// A value cut to a length that fits an error message.
pub(crate) fn excerpt(value: &str) -> String {
    match value.char_indices().nth(EXCERPT) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}", self.problem)?;
        } else {
            write!(f, "{}: {}", self.path, self.problem)?;
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { message } => write!(f, "not readable: {message}"),
            Self::UnknownKind { asked } => write!(f, "{asked} is not a known kind"),
            Self::UnknownField => f.write_str("unknown field"),
            Self::WrongType { expected, found } => write!(f, "must be {expected}, is {found}"),
            Self::Required => f.write_str("required"),
            Self::NotAllowed { value, allowed } => {
                write!(f, "{value:?} is not one of {}", allowed.join(", "))
            }
            Self::Invalid { value, rule } if value.is_empty() => write!(f, "invalid: {rule}"),
            Self::Invalid { value, rule } => write!(f, "{value:?} is invalid: {rule}"),
            Self::TooLong { max, found } => write!(f, "is {found} long, at most {max} are allowed"),
            Self::TooShort { min, found } => {
                write!(f, "is {found} long, at least {min} are needed")
            }
            Self::OutOfRange { min, max, found } => {
                write!(f, "{found} is not between {min} and {max}")
            }
            Self::Duplicate { value } => write!(f, "{value:?} is there twice"),
            Self::Forbidden { rule } => write!(f, "must not be set: {rule}"),
            Self::Immutable => f.write_str("cannot change once it is set"),
            Self::Mismatch { value, expected } => write!(f, "{value:?} must equal {expected}"),
            Self::TooManyErrors => f.write_str("more errors follow; mend these first"),
        }
    }
}

impl std::error::Error for FieldError {}
