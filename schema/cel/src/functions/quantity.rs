//! Kubernetes quantities.

use super::{Result, conversion};
use crate::EvaluateError;
use crate::value::Value;
use std::cmp::Ordering;

/// A quantity, exact to a billionth; what is finer is rounded up, as Kubernetes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: i128,
}

const NANO: i128 = 1_000_000_000;

impl Quantity {
    /// Reads a quantity such as `1.5Gi`, `500m` or `1e3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let end = rest
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30
        {
            return None;
        }
        let (numerator, denominator) = scale(suffix)?;
        let digits = format!("{whole}{fraction}").parse::<i128>().ok()?;
        let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let above = digits.checked_mul(numerator)?.checked_mul(NANO)?;
        let below = places.checked_mul(denominator)?;
        let nanos = above / below + i128::from(above % below != 0);
        Some(Self {
            nanos: if negative { -nanos } else { nanos },
        })
    }

    /// The nearest number there is for it.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the function's name says approximately"
    )]
    pub fn approximately(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    fn integer(self) -> Option<i64> {
        (self.nanos % NANO == 0)
            .then(|| i64::try_from(self.nanos / NANO).ok())
            .flatten()
    }
}

fn scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |exponent: u32| 10_i128.checked_pow(exponent);
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, NANO),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (power(6)?, 1),
        "G" => (power(9)?, 1),
        "T" => (power(12)?, 1),
        "P" => (power(15)?, 1),
        "E" => (power(18)?, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = power(exponent.unsigned_abs())?;
            if exponent < 0 { (1, size) } else { (size, 1) }
        }
    })
}

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    let quantity = match (name, target, arguments) {
        ("quantity", None, [Value::String(text)]) => {
            let parsed = Quantity::parse(text).map(Value::Quantity);
            return Some(
                parsed.ok_or_else(|| conversion("quantities must match the regular expression")),
            );
        }
        ("isQuantity", None, [Value::String(text)]) => {
            return Some(Ok(Value::Bool(Quantity::parse(text).is_some())));
        }
        ("sign", None, [Value::Quantity(quantity)]) => {
            return Some(Ok(Value::Int(
                i64::try_from(quantity.nanos.signum()).unwrap_or(0),
            )));
        }
        (_, Some(Value::Quantity(quantity)), _) => *quantity,
        _ => return None,
    };
    let other = match arguments {
        [Value::Quantity(other)] => Some(*other),
        [Value::Int(whole)] => Some(Quantity {
            nanos: i128::from(*whole) * NANO,
        }),
        _ => None,
    };
    let order = |wanted: Ordering| {
        Ok(Value::Bool(
            other.is_some_and(|o| quantity.cmp(&o) == wanted),
        ))
    };
    let sum = |nanos: Option<i128>| {
        let sum = nanos.map(|nanos| Value::Quantity(Quantity { nanos }));
        sum.ok_or(EvaluateError::Arithmetic("quantity overflow"))
    };
    Some(match (name, other) {
        ("isInteger", None) => Ok(Value::Bool(quantity.integer().is_some())),
        ("asInteger", None) => quantity
            .integer()
            .map(Value::Int)
            .ok_or_else(|| conversion("cannot convert value to integer")),
        ("asApproximateFloat", None) => Ok(Value::Double(quantity.approximately())),
        ("add", Some(other)) => sum(quantity.nanos.checked_add(other.nanos)),
        ("sub", Some(other)) => sum(quantity.nanos.checked_sub(other.nanos)),
        ("isLessThan", Some(_)) => order(Ordering::Less),
        ("isGreaterThan", Some(_)) => order(Ordering::Greater),
        ("compareTo", Some(other)) => Ok(Value::Int(quantity.cmp(&other) as i64)),
        _ => return None,
    })
}
