//! Values of the language.

use super::EvaluateError;
use super::functions::{network::Cidr, quantity::Quantity, url::Url};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number with sign.
    Int(i64),
    /// A whole number without sign.
    Uint(u64),
    /// A number with fraction.
    Double(f64),
    /// A text.
    String(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// A map.
    Map(Arc<BTreeMap<Key, Value>>),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(SignedDuration),
    /// A type, by its name.
    Type(&'static str),
    /// A value that may be none.
    Optional(Option<Box<Value>>),
    /// A Kubernetes quantity.
    Quantity(Quantity),
    /// An IP address.
    Ip(core::net::IpAddr),
    /// A range of IP addresses.
    Cidr(Cidr),
    /// A URL.
    Url(Arc<Url>),
    /// A semantic version.
    Semver(Arc<semver::Version>),
    /// A named format of Kubernetes.
    Format(&'static str),
}

/// Key of a map. Whole numbers of both kinds are one key if they are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A text.
    String(Arc<str>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(value) => Self::Int(value),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => text.as_str().into(),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => Self::from(map),
        }
    }
}

impl From<&serde_json::Map<String, serde_json::Value>> for Value {
    fn from(map: &serde_json::Map<String, serde_json::Value>) -> Self {
        let member = |(key, value): (&String, &serde_json::Value)| {
            (Key::String(key.as_str().into()), Self::from(value))
        };
        Self::Map(Arc::new(map.iter().map(member).collect()))
    }
}

impl Key {
    /// The key that a value is, if it can be one. A fraction that is whole finds its number.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Integer(i128::from(*value))),
            Value::Uint(value) => Some(Self::Integer(i128::from(*value))),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the number is whole and in range"
            )]
            Value::Double(value) if value.fract() == 0.0 && value.abs() < 1e19 => {
                Some(Self::Integer(*value as i128))
            }
            Value::String(text) => Some(Self::String(Arc::clone(text))),
            _ => None,
        }
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => match i64::try_from(*value) {
                Ok(value) => Value::Int(value),
                Err(_) => Value::Uint(u64::try_from(*value).unwrap_or(u64::MAX)),
            },
            Self::String(text) => Value::String(Arc::clone(text)),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::String(text) => text.to_string(),
        }
    }
}

impl Value {
    pub(super) fn list(items: Vec<Value>) -> Self {
        Self::List(Arc::new(items))
    }

    pub(super) fn some(value: Value) -> Self {
        Self::Optional(Some(Box::new(value)))
    }

    /// Name of the value's type, as `type()` and messages have it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }

    /// True for what a type begins with: false, 0, an empty text, list or map.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Double(value) => *value == 0.0,
            Self::String(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(map) => map.is_empty(),
            Self::Duration(span) => span.is_zero(),
            Self::Optional(value) => value.is_none(),
            _ => false,
        }
    }

    /// Equality: numbers by value, other types only with their own.
    pub(super) fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a.cmp(b) == Ordering::Equal,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b) == Ordering::Equal,
            (Self::Format(a), Self::Format(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.equals(b),
                _ => false,
            },
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (Self::Map(a), Self::Map(b)) => {
                let same =
                    |(key, value): (&Key, &Value)| b.get(key).is_some_and(|v| v.equals(value));
                a.len() == b.len() && a.iter().all(same)
            }
            _ => numbers(self, other) == Some(Ordering::Equal),
        }
    }

    /// Order, where there is one between the two.
    pub(super) fn compare(&self, other: &Value) -> Result<Ordering, EvaluateError> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(a.cmp(b)),
            (Self::String(a), Self::String(b)) => Ok(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Ok(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Ok(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Ok(a.cmp(b)),
            _ => match (is_number(self), is_number(other)) {
                (true, true) => numbers(self, other)
                    .ok_or(EvaluateError::Arithmetic("NaN values cannot be ordered")),
                _ => Err(EvaluateError::NoSuchOverload),
            },
        }
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

/// Compares numbers of any two kinds.
fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    let whole = |value: &Value| match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::Uint(value) => Some(i128::from(*value)),
        _ => None,
    };
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Double(a), other) => with_whole(*a, whole(other)?),
        (other, Value::Double(b)) => with_whole(*b, whole(other)?).map(Ordering::reverse),
        _ => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

/// Compares a fraction with a whole number without losing digits.
fn with_whole(fraction: f64, whole: i128) -> Option<Ordering> {
    if fraction.is_nan() {
        return None;
    }
    if fraction.abs() >= 1e20 {
        return Some(if fraction > 0.0 {
            Ordering::Greater
        } else {
            Ordering::Less
        });
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let floor = fraction.floor() as i128;
    let rest = if fraction.fract() == 0.0 {
        Ordering::Equal
    } else {
        Ordering::Greater
    };
    Some(floor.cmp(&whole).then(rest))
}
