//! Values on the way through a template.

use serde_json::{Map, Number, Value};

/// One value that a template found: part of the object, or a literal of the template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    /// The object itself.
    Root(&'a Map<String, Value>),
    /// A part of the object.
    Part(&'a Value),
    /// A text of the template.
    Text(&'a str),
    /// A whole number of the template. Kubernetes keeps it apart from the object's whole numbers.
    Integer(i64),
    /// Another number of the template.
    Float(f64),
    /// `true` or `false` of the template.
    Bool(bool),
    /// One byte of a text: what a wildcard finds in a text.
    Byte(u8),
}

/// A value by its kind, as Kubernetes tells kinds apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number that fits 64 bits with sign.
    Integer(i64),
    /// Any other number, also `3.0` and `1e3`.
    Float(f64),
    /// A byte.
    Unsigned(u8),
    /// A text.
    String(&'a str),
    /// A list.
    List(&'a [Value]),
    /// An object.
    Map(&'a Map<String, Value>),
}

impl<'a> Found<'a> {
    /// The value by its kind.
    #[must_use]
    pub fn kind(self) -> Kind<'a> {
        match self {
            Found::Root(map) => Kind::Map(map),
            Found::Part(value) => match value {
                Value::Null => Kind::Null,
                Value::Bool(value) => Kind::Bool(*value),
                Value::Number(number) => number_kind(number),
                Value::String(text) => Kind::String(text),
                Value::Array(items) => Kind::List(items),
                Value::Object(map) => Kind::Map(map),
            },
            Found::Text(text) => Kind::String(text),
            Found::Integer(value) => Kind::Integer(value),
            Found::Float(value) => Kind::Float(value),
            Found::Bool(value) => Kind::Bool(value),
            Found::Byte(value) => Kind::Unsigned(value),
        }
    }

    /// The values directly inside: members of an object by key, items of a list, bytes of a text.
    #[must_use]
    pub fn children(self) -> Vec<Found<'a>> {
        match self.kind() {
            Kind::Map(map) => {
                let mut members: Vec<_> = map.iter().collect();
                members.sort_unstable_by_key(|(key, _)| *key);
                members
                    .into_iter()
                    .map(|(_, value)| Found::Part(value))
                    .collect()
            }
            Kind::List(items) => items.iter().map(Found::Part).collect(),
            Kind::String(text) => text.bytes().map(Found::Byte).collect(),
            _ => Vec::new(),
        }
    }
}

/// Whole numbers are those written without point and exponent that fit 64 bits with sign.
fn number_kind<'a>(number: &Number) -> Kind<'a> {
    match number.as_i64() {
        Some(value) => Kind::Integer(value),
        None => Kind::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

impl Kind<'_> {
    /// What Kubernetes calls the kind in its messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "bool",
            Kind::Integer(_) => "int64",
            Kind::Float(_) => "float64",
            Kind::Unsigned(_) => "uint8",
            Kind::String(_) => "string",
            Kind::List(_) => "[]interface {}",
            Kind::Map(_) => "map[string]interface {}",
        }
    }
}
