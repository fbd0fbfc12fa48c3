//! Formats of strings: names, label keys and values, times, quantities.

use crate::name::{SUBDOMAIN_MAX, check_label, check_subdomain};
use jiff::Timestamp;

/// True for an RFC 1123 label.
pub(crate) fn is_label(text: &str) -> bool {
    check_label(text).is_ok()
}

/// True for an RFC 1123 subdomain.
pub(crate) fn is_subdomain(text: &str) -> bool {
    check_subdomain(text, SUBDOMAIN_MAX).is_ok()
}

fn is_label_of_any_length(text: &str) -> bool {
    let edge =
        |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(text.bytes().next())
        && edge(text.bytes().next_back())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A qualified name as in taint keys and condition types: an optional subdomain and `/`, then
/// letters, digits, `-`, `_` and `.` with a letter or digit at both ends.
#[must_use]
pub fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        None => is_name_part(text),
        Some((prefix, name)) => prefix.split('.').all(is_label_of_any_length) && is_name_part(name),
    }
}

/// A label or annotation key: a qualified name with at most 253 characters before the slash and
/// 63 after it.
#[must_use]
pub fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        None => text.len() <= 63 && is_name_part(text),
        Some((prefix, name)) => is_subdomain(prefix) && name.len() <= 63 && is_name_part(name),
    }
}

/// A label value: empty, or at most 63 letters, digits, `-`, `_` and `.` with a letter or digit
/// at both ends.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_name_part(text))
}

fn is_name_part(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(text.bytes().next())
        && edge(text.bytes().next_back())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The reason of a condition: a letter first, then letters, digits, `_`, `,` and `:`, the last
/// being no `,` or `:`.
#[must_use]
pub fn is_condition_reason(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text
            .bytes()
            .next_back()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b':'))
}

/// An RFC 3339 time, rewritten to whole seconds in UTC as Kubernetes keeps times.
pub(crate) fn parse_time(text: &str) -> Option<String> {
    if !is_rfc3339(text.as_bytes()) {
        return None;
    }
    let time: Timestamp = text.parse().ok()?;
    let seconds = time.as_nanosecond().div_euclid(1_000_000_000);
    Timestamp::from_second(i64::try_from(seconds).ok()?)
        .ok()
        .map(|time| time.to_string())
}

/// The form alone: `2026-03-01T12:00:00`, an optional fraction, `Z` or an offset. The parser
/// behind it takes more forms than Kubernetes does.
fn is_rfc3339(text: &[u8]) -> bool {
    let Some((date_time, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            &fraction[digits..]
        }
        zone => zone,
    };
    matches(date_time, b"0000-00-00T00:00:00")
        && (zone == b"Z" || matches(zone, b"+00:00") || matches(zone, b"-00:00"))
}

/// True if the text follows a pattern in which `0` stands for any digit.
fn matches(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text
            .iter()
            .zip(pattern)
            .all(|(byte, expected)| match expected {
                b'0' => byte.is_ascii_digit(),
                expected => byte == expected,
            })
}

/// A Kubernetes quantity: a sign, a decimal number, and a suffix or an exponent.
pub(crate) fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some(suffix) = after_decimal(unsigned) else {
        return false;
    };
    match suffix {
        "" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => true,
        "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" => true,
        exponent => exponent.strip_prefix(['e', 'E']).is_some_and(|exponent| {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            after_decimal(unsigned) == Some("")
        }),
    }
}

/// What follows a decimal number such as `12`, `1.`, `.5` or `1.5`; `None` if there is none.
fn after_decimal(text: &str) -> Option<&str> {
    let whole = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_whole = whole.len() < text.len();
    let Some(fraction) = whole.strip_prefix('.') else {
        return has_whole.then_some(whole);
    };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (has_whole || rest.len() < fraction.len()).then_some(rest)
}
