//! Semantic versions, in their strict form.

use super::{Result, conversion};
use crate::value::Value;
use semver::Version;
use std::cmp::Ordering;
use std::sync::Arc;

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    let version = match (name, target, arguments) {
        ("semver", None, [Value::String(text)]) => {
            let parsed = Version::parse(text).map(|version| Value::Semver(Arc::new(version)));
            return Some(parsed.map_err(|error| conversion(error.to_string())));
        }
        ("isSemver", None, [Value::String(text)]) => {
            return Some(Ok(Value::Bool(Version::parse(text).is_ok())));
        }
        (_, Some(Value::Semver(version)), _) => version,
        _ => return None,
    };
    let part = |part: u64| Ok(Value::Int(i64::try_from(part).unwrap_or(i64::MAX)));
    let order = |other: &Version| version.cmp_precedence(other);
    Some(match (name, arguments) {
        ("major", []) => part(version.major),
        ("minor", []) => part(version.minor),
        ("patch", []) => part(version.patch),
        ("isLessThan", [Value::Semver(other)]) => Ok(Value::Bool(order(other) == Ordering::Less)),
        ("isGreaterThan", [Value::Semver(other)]) => {
            Ok(Value::Bool(order(other) == Ordering::Greater))
        }
        ("compareTo", [Value::Semver(other)]) => Ok(Value::Int(order(other) as i64)),
        _ => return None,
    })
}
