//! JSON text to values, with duplicate keys refused.

use super::error::{FieldError, Problem, excerpt};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// A JSON value in which no object had a key twice.
///
/// Use it with any deserializer; of JSON text, [`parse_json`] also tells the path.
#[derive(Clone, Debug, PartialEq)]
pub struct StrictValue(pub Value);

/// Parses one JSON document.
///
/// # Errors
/// [`Problem::Syntax`] with line and column, or [`Problem::Duplicate`] with the path of a key
/// that an object has twice.
pub fn parse_json(text: &[u8]) -> Result<Value, FieldError> {
    let duplicate = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed {
        path: &super::Path::Root,
        duplicate: &duplicate,
    };
    let parsed = seed.deserialize(&mut deserializer).and_then(|value| {
        deserializer.end()?;
        Ok(value)
    });
    parsed.map_err(|error| {
        duplicate.take().unwrap_or_else(|| {
            FieldError::new(
                "",
                Problem::Syntax {
                    message: excerpt(&error.to_string()),
                },
            )
        })
    })
}

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let duplicate = RefCell::new(None);
        let seed = Seed {
            path: &super::Path::Root,
            duplicate: &duplicate,
        };
        seed.deserialize(deserializer).map(Self)
    }
}

/// Builds a value; remembers where a duplicate key was, which serde's errors cannot carry.
#[derive(Clone, Copy)]
struct Seed<'a> {
    path: &'a super::Path<'a>,
    duplicate: &'a RefCell<Option<FieldError>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = super::Path::Index(self.path, list.len());
            match items.next_element_seed(Seed {
                path: &path,
                ..self
            })? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = super::Path::Field(self.path, &key);
            if map.contains_key(&key) {
                let problem = Problem::Duplicate {
                    value: excerpt(&key),
                };
                let error = FieldError::new(path, problem);
                let message = error.to_string();
                *self.duplicate.borrow_mut() = Some(error);
                return Err(A::Error::custom(message));
            }
            let value = entries.next_value_seed(Seed {
                path: &path,
                ..self
            })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
