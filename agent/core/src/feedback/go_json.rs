//! JSON text as OCM's agent writes it: readers compare these texts, so every byte counts.
//!
//! Keys in byte order, no white space, `<`, `>`, `&` and the two line separators escaped, numbers
//! in the shortest form with an exponent only below 1e-6 and from 1e21 on.

use crate::json_path::{Found, Kind};
use serde_json::Value;
use std::fmt::Write as _;

/// The text of one value.
pub(super) fn one(value: Found<'_>) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The text of a list of values.
pub(super) fn list(values: &[Found<'_>]) -> String {
    let mut out = String::new();
    write_list(values.iter().copied(), &mut out);
    out
}

fn write(value: Found<'_>, out: &mut String) {
    match value.kind() {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Kind::Integer(value) => push(out, format_args!("{value}")),
        Kind::Unsigned(value) => push(out, format_args!("{value}")),
        Kind::Float(value) => write_float(value, out),
        Kind::String(text) => write_text(text, out),
        Kind::List(items) => write_list(items.iter().map(Found::Part), out),
        Kind::Map(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(Found::Part(member), out);
            }
            out.push('}');
        }
    }
}

fn write_list<'a>(values: impl Iterator<Item = Found<'a>>, out: &mut String) {
    out.push('[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(value, out);
    }
    out.push(']');
}

fn write_float(value: f64, out: &mut String) {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        out.push_str(&if text.contains("e-") {
            text
        } else {
            text.replace('e', "e+")
        });
    } else {
        push(out, format_args!("{value}"));
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                push(out, format_args!("\\u{:04x}", u32::from(character)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments)
        .expect("writing to a String does not fail");
}
