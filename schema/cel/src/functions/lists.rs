//! Functions on lists.

use super::Result;
use super::strings::found;
use crate::EvaluateError;
use crate::effort::Effort;
use crate::value::Value;
use jiff::SignedDuration;
use std::cmp::Ordering;

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
    effort: &mut Effort<'_>,
) -> Option<Result<Value>> {
    let Some(Value::List(items)) = target else {
        return None;
    };
    Some(match (name, arguments) {
        ("indexOf", [value]) => position(items.iter().enumerate(), value, effort),
        ("lastIndexOf", [value]) => position(items.iter().enumerate().rev(), value, effort),
        ("isSorted", []) => sorted(items, effort).map(Value::Bool),
        ("min", []) => extreme(items, Ordering::Less, "min", effort),
        ("max", []) => extreme(items, Ordering::Greater, "max", effort),
        ("sum", []) => sum(items),
        _ => return None,
    })
}

/// Index of the first item that equals the value, in the order given.
fn position<'a>(
    items: impl Iterator<Item = (usize, &'a Value)>,
    value: &Value,
    effort: &mut Effort<'_>,
) -> Result<Value> {
    for (index, item) in items {
        if item.equals(value, effort)? {
            return Ok(found(Some(index)));
        }
    }
    Ok(found(None))
}

fn sorted(items: &[Value], effort: &mut Effort<'_>) -> Result<bool> {
    for pair in items.windows(2) {
        if pair[0].compare(&pair[1], effort)? == Ordering::Greater {
            return Ok(false);
        }
    }
    Ok(true)
}

fn extreme(
    items: &[Value],
    wanted: Ordering,
    name: &str,
    effort: &mut Effort<'_>,
) -> Result<Value> {
    let (first, rest) = items
        .split_first()
        .ok_or_else(|| EvaluateError::Conversion(format!("{name} called on empty list")))?;
    let mut best = first;
    for item in rest {
        if item.compare(best, effort)? == wanted {
            best = item;
        }
    }
    Ok(best.clone())
}

/// The sum of numbers of one kind, or of spans of time; 0 for an empty list.
fn sum(items: &[Value]) -> Result<Value> {
    let overflow = || EvaluateError::Arithmetic("integer overflow");
    let mut sum: Option<Value> = None;
    for item in items {
        sum = Some(match (sum, item) {
            (None, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) => {
                item.clone()
            }
            (Some(Value::Int(a)), Value::Int(b)) => {
                Value::Int(a.checked_add(*b).ok_or_else(overflow)?)
            }
            (Some(Value::Uint(a)), Value::Uint(b)) => {
                Value::Uint(a.checked_add(*b).ok_or_else(overflow)?)
            }
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
            (Some(Value::Duration(a)), Value::Duration(b)) => {
                let sum: SignedDuration = a.checked_add(*b).ok_or_else(overflow)?;
                Value::Duration(sum)
            }
            _ => return Err(EvaluateError::NoSuchOverload),
        });
    }
    Ok(sum.unwrap_or(Value::Int(0)))
}
