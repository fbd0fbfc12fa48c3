//! URLs, read as Go reads the URI of a request: absolute, or a path from the root.

use super::{Result, conversion};
use crate::value::{Key, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// As it was written.
    pub(crate) text: String,
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let error = |problem: &str| {
            Err(format!(
                "URL parse error during conversion from string: parse {text:?}: {problem}"
            ))
        };
        if text.is_empty() {
            return error("empty url");
        }
        if text.chars().any(|c| c.is_ascii_control()) {
            return error("net/url: invalid control character in URL");
        }
        let (scheme, rest) = match split_scheme(text) {
            Ok(parts) => parts,
            Err(problem) => return error(problem),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !rest.starts_with('/') && scheme.is_empty() {
            return error("invalid URI for request");
        }
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
                let end = rest.find('/').unwrap_or(rest.len());
                let authority = rest[..end]
                    .rsplit_once('@')
                    .map_or(&rest[..end], |(_, host)| host);
                if !valid_host(authority) {
                    return error("invalid host or port");
                }
                (authority, &rest[end..])
            }
            // After a scheme, what does not begin with a slash has no parts.
            _ if !rest.starts_with('/') => ("", ""),
            _ => ("", rest),
        };
        if !valid_escapes(path) {
            return error("invalid URL escape");
        }
        Ok(Self {
            text: text.to_owned(),
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
        })
    }

    /// Host without port and brackets, and the port.
    fn host_and_port(&self) -> (&str, &str) {
        let after_bracket = self.host.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match self.host[after_bracket..].rfind(':') {
            Some(colon) => (
                &self.host[..after_bracket + colon],
                &self.host[after_bracket + colon + 1..],
            ),
            None => (self.host.as_str(), ""),
        };
        (host.trim_start_matches('[').trim_end_matches(']'), port)
    }

    fn escaped_path(&self) -> String {
        let mut escaped = String::new();
        for byte in self.path.bytes() {
            if byte.is_ascii_alphanumeric() || b"/%-_.~$&+,:;=@!'()*".contains(&byte) {
                escaped.push(char::from(byte));
            } else {
                write!(escaped, "%{byte:02X}").expect("writing to a String does not fail");
            }
        }
        escaped
    }

    fn query(&self) -> Value {
        let mut values: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Some(key), Some(value)) = (unescape(key), unescape(value)) {
                values
                    .entry(Key::String(key.into()))
                    .or_default()
                    .push(value.into());
            }
        }
        Value::map(
            values
                .into_iter()
                .map(|(k, v)| (k, Value::list(v)))
                .collect(),
        )
    }
}

fn split_scheme(text: &str) -> std::result::Result<(&str, &str), &'static str> {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let end = text.find(|c| !is_scheme(c)).unwrap_or(text.len());
    if !text[end..].starts_with(':') {
        return Ok(("", text));
    }
    match text.chars().next() {
        Some(':') => Err("missing protocol scheme"),
        Some(first) if first.is_ascii_alphabetic() => Ok((&text[..end], &text[end + 1..])),
        _ => Err("first path segment in URL cannot contain colon"),
    }
}

fn valid_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((_, tail)) => ("", tail),
            None => return false,
        },
        None => host
            .find(':')
            .map_or((host, ""), |colon| host.split_at(colon)),
    };
    let port_digits = port.strip_prefix(':').unwrap_or(port);
    let port_fits = port.is_empty()
        || (port.starts_with(':') && port_digits.bytes().all(|b| b.is_ascii_digit()));
    port_fits
        && valid_escapes(name)
        && !name.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
}

fn valid_escapes(text: &str) -> bool {
    text.match_indices('%').all(|(at, _)| {
        text.get(at + 1..at + 3)
            .is_some_and(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

fn unescape(text: &str) -> Option<String> {
    if !valid_escapes(text) {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        if first == b'%' {
            out.push(u8::from_str_radix(&rest[1..3], 16).ok()?);
            rest = &rest[3..];
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            out.extend(if first == b'+' {
                b" "
            } else {
                &rest.as_bytes()[..length]
            });
            rest = &rest[length..];
        }
    }
    String::from_utf8(out).ok()
}

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    let url = match (name, target, arguments) {
        ("url", None, [Value::String(text)]) => {
            return Some(
                Url::parse(text)
                    .map(|url| Value::Url(Arc::new(url)))
                    .map_err(conversion),
            );
        }
        ("isURL", None, [Value::String(text)]) => {
            return Some(Ok(Value::Bool(Url::parse(text).is_ok())));
        }
        (_, Some(Value::Url(url)), []) => url,
        _ => return None,
    };
    Some(Ok(match name {
        "getScheme" => url.scheme.as_str().into(),
        "getHost" => url.host.as_str().into(),
        "getHostname" => url.host_and_port().0.into(),
        "getPort" => url.host_and_port().1.into(),
        "getEscapedPath" => url.escaped_path().into(),
        "getQuery" => url.query(),
        _ => return None,
    }))
}
