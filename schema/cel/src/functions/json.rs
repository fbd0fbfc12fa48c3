//! JSON in texts.

use super::{Result, conversion};
use crate::effort::Effort;
use crate::value::{Key, Value};

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
    effort: &mut Effort<'_>,
) -> Option<Result<Value>> {
    match (name, target, arguments) {
        ("parseJSON", Some(Value::String(text)), []) => Some(parse(text, effort)),
        _ => None,
    }
}

/// A step for each byte pays for the values, too: none is written with less than one.
fn parse(text: &str, effort: &mut Effort<'_>) -> Result<Value> {
    effort.spend(text.len())?;
    // The parser goes no deeper than 128 levels.
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| conversion(format!("failed to parse json: {error}")))?;
    Ok(with_fractions(&json))
}

/// The value of a JSON text. Go reads every number as a fraction.
fn with_fractions(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::Array(items) => Value::list(items.iter().map(with_fractions).collect()),
        serde_json::Value::Object(map) => {
            let member = |(key, value): (&String, &serde_json::Value)| {
                (Key::String(key.as_str().into()), with_fractions(value))
            };
            Value::map(map.iter().map(member).collect())
        }
        plain => Value::from(plain),
    }
}
