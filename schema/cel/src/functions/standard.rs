//! Functions of the language itself, and `hasConditions`.

use super::{Result, conversion, int};
use crate::EvaluateError;
use crate::value::{Key, Value};
use std::sync::Arc;

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    let single = match (target, arguments) {
        (None, [single]) => single,
        (Some(target), []) if name == "size" => target,
        _ => return None,
    };
    Some(match name {
        "size" => return size(single).map(Ok),
        "dyn" => Ok(single.clone()),
        "type" => Ok(Value::Type(single.type_name())),
        "bool" => return to_bool(single),
        "int" => return to_int(single),
        "uint" => return to_uint(single),
        "double" => return to_double(single),
        "string" => return to_string(single),
        "bytes" => match single {
            Value::String(text) => Ok(Value::Bytes(text.as_bytes().into())),
            Value::Bytes(_) => Ok(single.clone()),
            _ => return None,
        },
        "hasConditions" => Ok(Value::Bool(has_conditions(single))),
        _ => return None,
    })
}

/// True if a status has a list of conditions that is not empty.
fn has_conditions(status: &Value) -> bool {
    let Value::Map(map) = status else {
        return false;
    };
    let conditions = map.get(&Key::String("conditions".into()));
    matches!(conditions, Some(Value::List(items)) if !items.is_empty())
}

fn size(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(int(text.chars().count())),
        Value::Bytes(bytes) => Some(int(bytes.len())),
        Value::List(items) => Some(int(items.len())),
        Value::Map(map) => Some(int(map.len())),
        _ => None,
    }
}

fn to_bool(value: &Value) -> Option<Result<Value>> {
    match value {
        Value::Bool(_) => Some(Ok(value.clone())),
        Value::String(text) => Some(match text.as_ref() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
            _ => Err(conversion("type conversion error from 'string' to 'bool'")),
        }),
        _ => None,
    }
}

const RANGE: EvaluateError = EvaluateError::Arithmetic("integer overflow");

fn to_int(value: &Value) -> Option<Result<Value>> {
    let result = match value {
        Value::Int(value) => Ok(*value),
        Value::Uint(value) => i64::try_from(*value).map_err(|_| RANGE),
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        Value::Double(value) if value.abs() < 9_223_372_036_854_775_807.0 => Ok(*value as i64),
        Value::Double(_) => Err(RANGE),
        Value::String(text) => text
            .parse()
            .map_err(|_| conversion("type conversion error from 'string' to 'int'")),
        Value::Timestamp(time) => Ok(time.as_second()),
        Value::Duration(span) => i64::try_from(span.as_nanos()).map_err(|_| RANGE),
        _ => return None,
    };
    Some(result.map(Value::Int))
}

fn to_uint(value: &Value) -> Option<Result<Value>> {
    let result = match value {
        Value::Uint(value) => Ok(*value),
        Value::Int(value) => u64::try_from(*value).map_err(|_| RANGE),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked"
        )]
        Value::Double(value) if *value >= 0.0 && *value < 18_446_744_073_709_551_615.0 => {
            Ok(*value as u64)
        }
        Value::Double(_) => Err(RANGE),
        Value::String(text) => text
            .parse()
            .map_err(|_| conversion("type conversion error from 'string' to 'uint'")),
        _ => return None,
    };
    Some(result.map(Value::Uint))
}

fn to_double(value: &Value) -> Option<Result<Value>> {
    #[expect(clippy::cast_precision_loss, reason = "the language rounds, too")]
    let result = match value {
        Value::Double(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Uint(value) => Ok(*value as f64),
        Value::String(text) => text
            .parse()
            .map_err(|_| conversion("type conversion error from 'string' to 'double'")),
        _ => return None,
    };
    Some(result.map(Value::Double))
}

fn to_string(value: &Value) -> Option<Result<Value>> {
    let text = match value {
        Value::String(_) => return Some(Ok(value.clone())),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => double_text(*value),
        Value::Bytes(bytes) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(_) => {
                return Some(Err(conversion(
                    "invalid UTF-8 in bytes, cannot convert to string",
                )));
            }
        },
        Value::Timestamp(time) => time.to_string(),
        Value::Duration(span) => super::time::duration_text(*span),
        Value::Ip(ip) => ip.to_string(),
        Value::Cidr(cidr) => cidr.to_string(),
        Value::Url(url) => url.text.clone(),
        _ => return None,
    };
    Some(Ok(Value::String(Arc::from(text))))
}

/// Shortest form, with an exponent only for very small and very large numbers.
fn double_text(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}
