//! Functions on texts. Positions count characters.

use super::{Result, int};
use crate::EvaluateError;
use crate::effort::Effort;
use crate::value::Value;

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
    effort: &mut Effort<'_>,
) -> Option<Result<Value>> {
    if name == "join" {
        return join(target?, arguments, effort);
    }
    if name == "strings.quote" {
        let [Value::String(text)] = arguments else {
            return None;
        };
        return Some(Ok(quote(text).into()));
    }
    // `matches` is a function as well as a method.
    let (text, arguments) = match (target, arguments) {
        (Some(Value::String(text)), arguments) => (text.as_ref(), arguments),
        (None, [Value::String(text), rest @ ..]) if name == "matches" => (text.as_ref(), rest),
        _ => return None,
    };
    match arguments {
        [] => plain(name, text),
        [Value::String(other), rest @ ..] => with_text(name, text, other, rest, effort),
        [Value::Int(start), rest @ ..] => with_number(name, text, *start, rest),
        _ => None,
    }
}

fn plain(name: &str, text: &str) -> Option<Result<Value>> {
    let result = match name {
        "lowerAscii" => text.to_ascii_lowercase(),
        "upperAscii" => text.to_ascii_uppercase(),
        "trim" => text.trim().to_owned(),
        "reverse" => text.chars().rev().collect(),
        _ => return None,
    };
    Some(Ok(result.into()))
}

fn with_text(
    name: &str,
    text: &str,
    other: &str,
    rest: &[Value],
    effort: &mut Effort<'_>,
) -> Option<Result<Value>> {
    Some(match (name, rest) {
        ("contains", []) => Ok(Value::Bool(text.contains(other))),
        ("startsWith", []) => Ok(Value::Bool(text.starts_with(other))),
        ("endsWith", []) => Ok(Value::Bool(text.ends_with(other))),
        ("matches", []) => effort
            .expression(other, text.len())
            .map(|found| Value::Bool(found.regex.is_match(text))),
        ("find", []) => effort
            .expression(other, text.len())
            .map(|found| found.regex.find(text).map_or("", |m| m.as_str()).into()),
        ("findAll", []) => find_all(text, other, i64::MAX, effort),
        ("findAll", [Value::Int(limit)]) => find_all(text, other, *limit, effort),
        ("indexOf", []) => Ok(Value::Int(index_of(text, other, 0))),
        ("indexOf", [Value::Int(from)]) => {
            within(text, *from).map(|from| Value::Int(index_of(text, other, from)))
        }
        ("lastIndexOf", []) => Ok(Value::Int(last_index_of(text, other, usize::MAX))),
        ("lastIndexOf", [Value::Int(from)]) => {
            within(text, *from).map(|from| Value::Int(last_index_of(text, other, from)))
        }
        ("replace", [Value::String(with)]) => replace(text, other, with, -1, effort),
        ("replace", [Value::String(with), Value::Int(limit)]) => {
            replace(text, other, with, *limit, effort)
        }
        ("split", []) => split(text, other, -1, effort),
        ("split", [Value::Int(limit)]) => split(text, other, *limit, effort),
        _ => return None,
    })
}

fn with_number(name: &str, text: &str, start: i64, rest: &[Value]) -> Option<Result<Value>> {
    let characters: Vec<char> = text.chars().collect();
    Some(match (name, rest) {
        ("charAt", []) => within(text, start).map(|at| {
            characters
                .get(at)
                .map(char::to_string)
                .unwrap_or_default()
                .into()
        }),
        ("substring", []) => {
            within(text, start).map(|at| characters[at..].iter().collect::<String>().into())
        }
        ("substring", [Value::Int(end)]) => match (within(text, start), within(text, *end)) {
            (Ok(start), Ok(end)) if start <= end => {
                Ok(characters[start..end].iter().collect::<String>().into())
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
            _ => Err(EvaluateError::Conversion(format!(
                "invalid substring range. start: {start}, end: {end}"
            ))),
        },
        _ => return None,
    })
}

/// A position from the beginning to the end of the text.
fn within(text: &str, position: i64) -> Result<usize> {
    let length = text.chars().count();
    let at = usize::try_from(position).ok().filter(|at| *at <= length);
    at.ok_or(EvaluateError::OutOfBounds(position))
}

/// How many, where a negative number means all.
fn at_most(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn find_all(text: &str, pattern: &str, limit: i64, effort: &mut Effort<'_>) -> Result<Value> {
    let expression = effort.expression(pattern, text.len())?;
    let mut all = Vec::new();
    for found in expression.regex.find_iter(text).take(at_most(limit)) {
        // Each search may look at all of the rest.
        effort.spend(expression.steps(text.len() - found.end()))?;
        all.push(found.as_str().into());
    }
    Ok(Value::list(all))
}

fn position(text: &str, byte: usize) -> i64 {
    i64::try_from(text[..byte].chars().count()).unwrap_or(i64::MAX)
}

fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(byte, _)| byte)
}

fn index_of(text: &str, other: &str, from: usize) -> i64 {
    let start = byte_of(text, from);
    text[start..]
        .find(other)
        .map_or(-1, |byte| position(text, start + byte))
}

/// Where `other` begins for the last time, at `from` or before.
fn last_index_of(text: &str, other: &str, from: usize) -> i64 {
    let end = byte_of(text, from)
        .saturating_add(other.len())
        .min(text.len());
    let end = (end..=text.len())
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(text.len());
    text[..end]
        .rfind(other)
        .map_or(-1, |byte| position(text, byte))
}

fn replace(text: &str, old: &str, new: &str, limit: i64, effort: &mut Effort<'_>) -> Result<Value> {
    let limit = at_most(limit);
    let matches = text.matches(old).count().min(limit);
    effort.make_text(matches.saturating_mul(new.len()).saturating_add(text.len()))?;
    Ok(text.replacen(old, new, limit).into())
}

fn split(text: &str, separator: &str, limit: i64, effort: &mut Effort<'_>) -> Result<Value> {
    let limit = at_most(limit);
    // Texts that are as short as a character take more room than the text that they are part of.
    let count = match separator {
        "" => text.chars().count(),
        separator => text.matches(separator).count() + 1,
    };
    effort.spend(count.min(limit))?;
    Ok(Value::list(match limit {
        0 => Vec::new(),
        limit => parts(text, separator, limit),
    }))
}

fn parts(text: &str, separator: &str, limit: usize) -> Vec<Value> {
    if !separator.is_empty() {
        return text.splitn(limit, separator).map(Value::from).collect();
    }
    let mut parts: Vec<Value> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest.into());
            break;
        }
        parts.push(first.to_string().into());
        rest = &rest[first.len_utf8()..];
    }
    parts
}

fn join(target: &Value, arguments: &[Value], effort: &mut Effort<'_>) -> Option<Result<Value>> {
    let Value::List(items) = target else {
        return None;
    };
    let separator = match arguments {
        [] => "",
        [Value::String(separator)] => separator.as_ref(),
        _ => return None,
    };
    let texts = items.iter().map(|item| match item {
        Value::String(text) => Ok(text.as_ref()),
        _ => Err(EvaluateError::NoSuchOverload),
    });
    let texts: Vec<&str> = match texts.collect::<Result<_>>() {
        Ok(texts) => texts,
        Err(error) => return Some(Err(error)),
    };
    let length: usize = texts.iter().map(|text| text.len() + separator.len()).sum();
    Some(
        effort
            .make_text(length)
            .map(|()| texts.join(separator).into()),
    )
}

fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '"' | '\\' => quoted.extend(['\\', character]),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Used by the length of lists, too.
pub(super) fn found(position: Option<usize>) -> Value {
    position.map_or(Value::Int(-1), int)
}
