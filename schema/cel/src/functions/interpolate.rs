//! `text.format(list)`: a text with places for values.

use super::{Result, conversion};
use crate::EvaluateError;
use crate::effort::{Effort, MAX_TEXT};
use crate::value::Value;

/// Digits after the point where the text does not say.
const PRECISION: usize = 6;
/// Most digits after the point.
const MAX_PRECISION: usize = 1_000;

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
    effort: &mut Effort<'_>,
) -> Option<Result<Value>> {
    match (name, target, arguments) {
        ("format", Some(Value::String(text)), [Value::List(values)]) => {
            let mut made = Made {
                text: String::new(),
                effort,
            };
            let done = interpolate(text, values, &mut made);
            Some(done.map(|()| made.text.into()))
        }
        _ => None,
    }
}

/// The text that is being made.
struct Made<'a, 'b> {
    text: String,
    effort: &'a mut Effort<'b>,
}

impl Made<'_, '_> {
    fn push(&mut self, piece: &str) -> Result<()> {
        if self.text.len() + piece.len() > MAX_TEXT {
            return Err(EvaluateError::Cost);
        }
        self.effort.make_text(piece.len())?;
        self.text.push_str(piece);
        Ok(())
    }
}

/// Values that are left over are not an error.
fn interpolate(text: &str, values: &[Value], made: &mut Made<'_, '_>) -> Result<()> {
    let mut rest = text;
    let mut values = values.iter();
    while let Some((before, after)) = rest.split_once('%') {
        made.push(before)?;
        if let Some(after) = after.strip_prefix('%') {
            made.push("%")?;
            rest = after;
            continue;
        }
        let value = values
            .next()
            .ok_or_else(|| conversion("format: too few values"))?;
        let (precision, after) = precision(after)?;
        let mut characters = after.chars();
        let clause = characters
            .next()
            .ok_or_else(|| conversion("unexpected end of string"))?;
        made.effort.spend(1)?;
        write(clause, precision, value, made)?;
        rest = characters.as_str();
    }
    made.push(rest)
}

/// Digits after the point, and what follows them in the text.
fn precision(text: &str) -> Result<(usize, &str)> {
    let Some(text) = text.strip_prefix('.') else {
        return Ok((PRECISION, text));
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(|| conversion("could not find end of precision specifier"))?;
    let (digits, rest) = text.split_at(end);
    let precision: Option<usize> = digits.parse().ok();
    precision
        .filter(|precision| *precision <= MAX_PRECISION)
        .map(|precision| (precision, rest))
        .ok_or_else(|| conversion(format!("precision must be a number up to {MAX_PRECISION}")))
}

fn write(clause: char, precision: usize, value: &Value, made: &mut Made<'_, '_>) -> Result<()> {
    let text = match (clause, value) {
        ('s', value) => return plain(value, made),
        ('d', Value::Int(_) | Value::Uint(_) | Value::Double(_)) => return plain(value, made),
        ('f' | 'e', value) => {
            let number = number(value).ok_or_else(|| unfit(clause, value))?;
            match (clause, number.is_finite()) {
                (_, false) => return plain(&Value::Double(number), made),
                ('f', true) => format!("{number:.precision$}"),
                (_, true) => scientific(number, precision),
            }
        }
        ('b', Value::Bool(value)) => u8::from(*value).to_string(),
        ('b', Value::Int(value)) => format!("{}{:b}", sign(*value), value.unsigned_abs()),
        ('b', Value::Uint(value)) => format!("{value:b}"),
        ('o', Value::Int(value)) => format!("{}{:o}", sign(*value), value.unsigned_abs()),
        ('o', Value::Uint(value)) => format!("{value:o}"),
        ('x' | 'X', value) => {
            let digits = hexadecimal(value, made).ok_or_else(|| unfit(clause, value))??;
            match clause {
                'x' => digits,
                _ => digits.to_ascii_uppercase(),
            }
        }
        ('d' | 'b' | 'o', value) => return Err(unfit(clause, value)),
        _ => {
            return Err(conversion(format!(
                "unrecognized formatting clause {clause:?}"
            )));
        }
    };
    made.push(&text)
}

fn unfit(clause: char, value: &Value) -> EvaluateError {
    let found = value.type_name();
    conversion(format!(
        "a value of type {found} cannot be formatted as %{clause}"
    ))
}

fn sign(value: i64) -> &'static str {
    if value < 0 { "-" } else { "" }
}

#[expect(clippy::cast_precision_loss, reason = "the language rounds, too")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}

/// With a sign and at least two digits in the exponent.
fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

fn hexadecimal(value: &Value, made: &mut Made<'_, '_>) -> Option<Result<String>> {
    let bytes: &[u8] = match value {
        Value::Int(value) => {
            return Some(Ok(format!("{}{:x}", sign(*value), value.unsigned_abs())));
        }
        Value::Uint(value) => return Some(Ok(format!("{value:x}"))),
        Value::String(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => return None,
    };
    let paid = made.effort.make_text(bytes.len().saturating_mul(2));
    Some(paid.map(|()| data_encoding::HEXLOWER.encode(bytes)))
}

/// A value as `%s` has it.
fn plain(value: &Value, made: &mut Made<'_, '_>) -> Result<()> {
    made.effort.spend(1)?;
    match value {
        Value::Null => made.push("null"),
        Value::Bool(value) => made.push(&value.to_string()),
        Value::Int(value) => made.push(&value.to_string()),
        Value::Uint(value) => made.push(&value.to_string()),
        Value::Double(value) if value.is_infinite() && *value < 0.0 => made.push("-Infinity"),
        Value::Double(value) if value.is_infinite() => made.push("Infinity"),
        Value::Double(value) => made.push(&value.to_string()),
        Value::String(text) => made.push(text),
        Value::Bytes(bytes) => {
            made.effort.make_text(bytes.len())?;
            made.push(&String::from_utf8_lossy(bytes))
        }
        Value::Timestamp(time) => made.push(&time.to_string()),
        Value::Duration(span) => made.push(&format!("{}s", span.as_secs_f64())),
        Value::Type(name) => made.push(name),
        Value::List(items) => {
            made.push("[")?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    made.push(", ")?;
                }
                plain(item, made)?;
            }
            made.push("]")
        }
        Value::Map(_) => members(value, made),
        _ => Err(unfit('s', value)),
    }
}

/// A map, its members in the order of their keys' texts.
fn members(value: &Value, made: &mut Made<'_, '_>) -> Result<()> {
    let Value::Map(map) = value else {
        return Ok(());
    };
    made.effort.spend(map.len())?;
    let mut members: Vec<(String, &Value)> = Vec::new();
    for (key, value) in map.iter() {
        made.effort.make_text(key.text().len())?;
        members.push((key.text(), value));
    }
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    made.push("{")?;
    let mut between = "";
    for (key, value) in members {
        made.push(between)?;
        made.push(&key)?;
        made.push(": ")?;
        plain(value, made)?;
        between = ", ";
    }
    made.push("}")
}
