//! The functions that rules may call: those of the language, and those that OCM adds to it.

pub(crate) mod format;
mod interpolate;
mod json;
mod lists;
pub(crate) mod network;
mod optional;
pub(crate) mod quantity;
mod standard;
mod strings;
pub(crate) mod time;
pub(crate) mod url;
mod versions;

use super::EvaluateError;
use super::effort::Effort;
use super::value::Value;

type Result<T> = std::result::Result<T, EvaluateError>;

/// One group of functions: nothing if it does not have one for these values. They take no longer
/// than their arguments are, and make nothing that is much larger.
type Group = fn(&str, Option<&Value>, &[Value]) -> Option<Result<Value>>;

const GROUPS: &[Group] = &[
    standard::call,
    time::call,
    optional::call,
    quantity::call,
    network::call,
    url::call,
    versions::call,
    format::call,
];

/// Calls a function; none if there is none for these values. The name of one that belongs to a
/// group has the group's before a dot.
pub(crate) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
    effort: &mut Effort<'_>,
) -> Option<Result<Value>> {
    strings::call(name, target, arguments, effort)
        .or_else(|| lists::call(name, target, arguments, effort))
        .or_else(|| json::call(name, target, arguments, effort))
        .or_else(|| interpolate::call(name, target, arguments, effort))
        .or_else(|| {
            GROUPS
                .iter()
                .find_map(|group| group(name, target, arguments))
        })
}

fn conversion(text: impl Into<String>) -> EvaluateError {
    EvaluateError::Conversion(text.into())
}

fn int(value: usize) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}
