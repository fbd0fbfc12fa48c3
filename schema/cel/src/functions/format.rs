//! Named formats of Kubernetes.

use super::Result;
use super::url::Url;
use crate::value::Value;
use data_encoding::BASE64;

/// The formats by name.
const NAMES: &[&str] = &[
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

/// The format of a name.
pub(crate) fn named(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|known| **known == name).copied()
}

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    match (name, target, arguments) {
        ("format.named", None, [Value::String(name)]) => {
            Some(Ok(Value::optional(named(name).map(Value::Format))))
        }
        (_, None, []) => named(name.strip_prefix("format.")?).map(|name| Ok(Value::Format(name))),
        ("validate", Some(Value::Format(format)), [Value::String(text)]) => {
            let problem =
                (!fits(format, text)).then(|| format!("{text:?} is not a valid {format}"));
            let problems = problem.map(|text| Value::list(vec![text.into()]));
            Some(Ok(Value::optional(problems)))
        }
        _ => None,
    }
}

fn fits(format: &str, text: &str) -> bool {
    match format {
        "dns1123Label" => label(text),
        "dns1123Subdomain" => subdomain(text),
        "dns1035Label" => label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()),
        "dns1123LabelPrefix" => label(&completed(text)),
        "dns1123SubdomainPrefix" => subdomain(&completed(text)),
        "dns1035LabelPrefix" => {
            label(&completed(text)) && text.starts_with(|c: char| c.is_ascii_lowercase())
        }
        "qualifiedName" => match text.split_once('/') {
            Some((prefix, name)) => subdomain(prefix) && name_part(name),
            None => name_part(text),
        },
        "labelValue" => text.is_empty() || name_part(text),
        "uri" => Url::parse(text).is_ok(),
        "uuid" => uuid::Uuid::try_parse(text).is_ok() && text.len() == 36,
        "byte" => BASE64.decode(text.as_bytes()).is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "datetime" => text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok(),
        _ => false,
    }
}

/// A prefix is fine if something can follow it.
fn completed(prefix: &str) -> String {
    if prefix.ends_with('-') {
        format!("{prefix}a")
    } else {
        prefix.to_owned()
    }
}

fn label(text: &str) -> bool {
    let edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|c| c == b'-' || c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| part.len() > 63 || label(part))
}

fn name_part(text: &str) -> bool {
    let edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}
