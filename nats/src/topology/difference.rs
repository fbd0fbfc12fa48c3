//! What differs between a stream that is there and its declaration.

use std::collections::BTreeSet;
use std::fmt;

use async_nats::jetstream::stream::Config;
use serde_json::{Map, Value};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field, as JetStream calls it.
    pub field: String,
    /// What is declared, as JSON.
    pub want: String,
    /// What the server has, as JSON.
    pub have: String,
}

/// A stream that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDifference {
    /// The stream's name.
    pub stream: String,
    /// Its differing fields, by name.
    pub fields: Vec<Difference>,
}

impl fmt::Display for StreamDifference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "  {}", self.stream)?;
        for Difference { field, want, have } in &self.fields {
            write!(out, "\n    {field}: declared {want}, found {have}")?;
        }
        Ok(())
    }
}

/// Fields that say nothing of what a stream does.
const IGNORED: [&str; 2] = ["description", "metadata"];

impl StreamDifference {
    pub(super) fn between(want: &Config, have: &Config) -> Option<Self> {
        let (want_fields, have_fields) = (fields(want), fields(have));
        let names: BTreeSet<&String> = want_fields.keys().chain(have_fields.keys()).collect();
        let value = |fields: &Map<String, Value>, name: &str| {
            fields.get(name).cloned().unwrap_or(Value::Null)
        };
        let mut differing = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| !IGNORED.contains(&name.as_str()))
        {
            let (want, have) = (value(&want_fields, name), value(&have_fields, name));
            if want != have && !(is_unset(&want) && is_unset(&have)) {
                differing.push(Difference {
                    field: name.clone(),
                    want: want.to_string(),
                    have: have.to_string(),
                });
            }
        }
        (!differing.is_empty()).then(|| Self {
            stream: want.name.clone(),
            fields: differing,
        })
    }
}

fn fields(config: &Config) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Servers leave out what is not set, and libraries write it in different ways.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty() || text == "none",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_unset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_stream_equal_to_its_declaration_has_no_difference() {
        for spec in super::super::streams(1) {
            let mut have = spec.config().clone();
            have.description = None;
            have.metadata
                .insert("_nats.level".to_owned(), "3".to_owned());
            assert_eq!(spec.compare(&have), None);
        }
    }

    #[test]
    fn each_differing_field_is_named_with_both_values() {
        let spec = &super::super::streams(1)[0];
        let have = Config {
            deny_purge: false,
            max_age: Duration::from_secs(1),
            ..spec.config().clone()
        };
        let difference = spec.compare(&have).expect("differs");
        assert_eq!(
            difference.to_string(),
            "  LEDGER\n    deny_purge: declared true, found null\n    max_age: declared 0, found 1000000000"
        );
    }
}
