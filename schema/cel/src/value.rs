//! Values of the language.

use super::EvaluateError;
use super::effort::{Effort, weight};
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
    List(Arc<Nested<Vec<Value>>>),
    /// A map.
    Map(Arc<Nested<BTreeMap<Key, Value>>>),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(SignedDuration),
    /// A type, by its name.
    Type(&'static str),
    /// A value that may be none.
    Optional(Option<Arc<Nested<Value>>>),
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

/// What holds other values. It knows of itself what would take time to find out.
#[derive(Debug, Clone)]
pub struct Nested<T> {
    inner: T,
    /// How many values stand in each other, this one included.
    depth: usize,
    /// Everything in it equals itself: there is no NaN.
    reflexive: bool,
}

impl<T> Nested<T> {
    fn new(inner: T, (depth, reflexive): (usize, bool)) -> Arc<Self> {
        Arc::new(Self {
            inner,
            depth: depth + 1,
            reflexive,
        })
    }
}

/// How deep the deepest of some values is, and whether each equals itself.
fn nesting<'a>(values: impl Iterator<Item = &'a Value>) -> (usize, bool) {
    values.fold((0, true), |(depth, reflexive), value| {
        let (deep, equal) = value.nesting();
        (depth.max(deep), reflexive && equal)
    })
}

impl<T> std::ops::Deref for Nested<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
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
        Self::map(map.iter().map(member).collect())
    }
}

impl Key {
    /// The key that a value is, if it can be one. A fraction that is whole finds its number.
    pub(crate) fn of(value: &Value) -> Option<Self> {
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

    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => match i64::try_from(*value) {
                Ok(value) => Value::Int(value),
                Err(_) => Value::Uint(u64::try_from(*value).unwrap_or(u64::MAX)),
            },
            Self::String(text) => Value::String(Arc::clone(text)),
        }
    }

    /// How much of the key has to be looked at to find it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.len() / 10,
            Self::Bool(_) | Self::Integer(_) => 0,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::String(text) => text.to_string(),
        }
    }
}

impl Value {
    pub(crate) fn list(items: Vec<Value>) -> Self {
        let nesting = nesting(items.iter());
        Self::List(Nested::new(items, nesting))
    }

    pub(crate) fn map(members: BTreeMap<Key, Value>) -> Self {
        let nesting = nesting(members.values());
        Self::Map(Nested::new(members, nesting))
    }

    pub(crate) fn some(value: Value) -> Self {
        let nesting = value.nesting();
        Self::Optional(Some(Nested::new(value, nesting)))
    }

    /// An optional value: none, or the given one.
    pub(crate) fn optional(value: Option<Value>) -> Self {
        value.map_or(Self::Optional(None), Self::some)
    }

    fn nesting(&self) -> (usize, bool) {
        match self {
            Self::Double(value) => (0, !value.is_nan()),
            Self::List(items) => (items.depth, items.reflexive),
            Self::Map(map) => (map.depth, map.reflexive),
            Self::Optional(Some(value)) => (value.depth, value.reflexive),
            _ => (0, true),
        }
    }

    /// How many values stand in each other; 0 for one that holds no others.
    pub(crate) fn depth(&self) -> usize {
        self.nesting().0
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
    pub(crate) fn is_zero(&self) -> bool {
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
    pub(crate) fn equals(
        &self,
        other: &Value,
        effort: &mut Effort<'_>,
    ) -> Result<bool, EvaluateError> {
        effort.spend(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(_), Self::String(_)) | (Self::Bytes(_), Self::Bytes(_)) => {
                self.compare(other, effort)? == Ordering::Equal
            }
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a.cmp(b) == Ordering::Equal,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => {
                effort.spend(a.text.len().min(b.text.len()) / 10)?;
                a == b
            }
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b) == Ordering::Equal,
            (Self::Format(a), Self::Format(b)) => a == b,
            (Self::Optional(None), Self::Optional(None)) => true,
            (Self::Optional(Some(a)), Self::Optional(Some(b))) => {
                same(a, b) || a.equals(b, effort)?
            }
            (Self::List(a), Self::List(b)) => same(a, b) || lists_equal(a, b, effort)?,
            (Self::Map(a), Self::Map(b)) => same(a, b) || maps_equal(a, b, effort)?,
            _ => numbers(self, other) == Some(Ordering::Equal),
        })
    }

    /// Order, where there is one between the two.
    pub(crate) fn compare(
        &self,
        other: &Value,
        effort: &mut Effort<'_>,
    ) -> Result<Ordering, EvaluateError> {
        effort.spend(weight(self).min(weight(other)))?;
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

/// Whether two values are one: then they are equal without being looked at, if anything in them
/// equals itself.
fn same<T>(a: &Arc<Nested<T>>, b: &Arc<Nested<T>>) -> bool {
    a.reflexive && Arc::ptr_eq(a, b)
}

fn lists_equal(a: &[Value], b: &[Value], effort: &mut Effort<'_>) -> Result<bool, EvaluateError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !a.equals(b, effort)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal(
    a: &BTreeMap<Key, Value>,
    b: &BTreeMap<Key, Value>,
    effort: &mut Effort<'_>,
) -> Result<bool, EvaluateError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a {
        effort.spend(1 + key.weight())?;
        match b.get(key) {
            Some(other) if other.equals(value, effort)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
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
