//! Optional values.

use super::Result;
use crate::EvaluateError;
use crate::value::Value;

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    let optional = match (name, target, arguments) {
        ("optional.none", None, []) => return Some(Ok(Value::Optional(None))),
        ("optional.of", None, [value]) => return Some(Ok(Value::some(value.clone()))),
        ("optional.ofNonZeroValue", None, [value]) => {
            let value = (!value.is_zero()).then(|| value.clone());
            return Some(Ok(Value::optional(value)));
        }
        ("optional.unwrap", None, [Value::List(list)])
        | ("unwrapOpt", Some(Value::List(list)), []) => return Some(unwrapped(list)),
        ("first", Some(Value::List(list)), []) => {
            return Some(Ok(Value::optional(list.first().cloned())));
        }
        ("last", Some(Value::List(list)), []) => {
            return Some(Ok(Value::optional(list.last().cloned())));
        }
        (_, Some(Value::Optional(optional)), _) => optional,
        _ => return None,
    };
    let inner: Option<&Value> = optional.as_ref().map(|inner| &***inner);
    Some(match (name, arguments) {
        ("hasValue", []) => Ok(Value::Bool(optional.is_some())),
        ("value", []) => inner.cloned().ok_or(EvaluateError::None),
        ("orValue", [other]) => Ok(inner.unwrap_or(other).clone()),
        ("or", [other @ Value::Optional(_)]) => Ok(if optional.is_some() {
            Value::Optional(optional.clone())
        } else {
            other.clone()
        }),
        _ => return None,
    })
}

/// What is in the optional values of a list that have something.
fn unwrapped(list: &[Value]) -> Result<Value> {
    let mut values = Vec::new();
    for item in list {
        match item {
            Value::Optional(value) => values.extend(value.as_ref().map(|v| Value::clone(v))),
            _ => return Err(EvaluateError::NoSuchOverload),
        }
    }
    Ok(Value::list(values))
}
