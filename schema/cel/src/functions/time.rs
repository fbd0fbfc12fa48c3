//! Moments and spans of time.

use super::{Result, conversion};
use crate::EvaluateError;
use crate::ast::Operator;
use crate::value::Value;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

const RANGE: EvaluateError = EvaluateError::Arithmetic("timestamp overflow");

pub(super) fn call(
    name: &str,
    target: Option<&Value>,
    arguments: &[Value],
) -> Option<Result<Value>> {
    match (name, target, arguments) {
        ("timestamp", None, [Value::Timestamp(_)]) | ("duration", None, [Value::Duration(_)]) => {
            Some(Ok(arguments[0].clone()))
        }
        ("timestamp", None, [Value::String(text)]) => {
            Some(parse_timestamp(text).map(Value::Timestamp))
        }
        ("timestamp", None, [Value::Int(seconds)]) => Some(
            Timestamp::from_second(*seconds)
                .map(Value::Timestamp)
                .map_err(|_| RANGE),
        ),
        ("duration", None, [Value::String(text)]) => {
            let error = "type conversion error from 'string' to 'google.protobuf.Duration'";
            Some(
                parse_duration(text)
                    .map(Value::Duration)
                    .ok_or_else(|| conversion(error)),
            )
        }
        (_, Some(Value::Timestamp(time)), []) => field(name, *time, "UTC"),
        (_, Some(Value::Timestamp(time)), [Value::String(zone)]) => field(name, *time, zone),
        (_, Some(Value::Duration(span)), []) => span_field(name, *span),
        _ => None,
    }
}

fn parse_timestamp(text: &str) -> Result<Timestamp> {
    let error = || conversion("type conversion error from 'string' to 'google.protobuf.Timestamp'");
    // RFC 3339 wants a full time with zone; jiff would take less.
    let full = text.len() >= 20
        && text
            .as_bytes()
            .get(10)
            .is_some_and(|b| matches!(b, b'T' | b't'));
    if full {
        text.parse().map_err(|_| error())
    } else {
        Err(error())
    }
}

/// Go's form: a sign and numbers with units, such as `1h30m` or `-1.5s`.
fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut nanos: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 18
        {
            return None;
        }
        let digits = |text: &str| {
            if text.is_empty() {
                Some(0)
            } else {
                text.parse::<i128>().ok()
            }
        };
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        nanos += digits(whole)? * unit + digits(fraction)? * unit / scale;
        rest = after;
    }
    let nanos = i64::try_from(if negative { -nanos } else { nanos }).ok()?;
    Some(SignedDuration::from_nanos(nanos))
}

/// Seconds, as the language writes a span.
pub(super) fn duration_text(span: SignedDuration) -> String {
    let nanos = span.as_nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, rest) = (
        nanos.unsigned_abs() / 1_000_000_000,
        nanos.unsigned_abs() % 1_000_000_000,
    );
    if rest == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{rest:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    // A fixed offset such as `+01:30`. Named zones would need a database that the agent has not.
    let (sign, rest) = match name.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, name.strip_prefix('+').unwrap_or(name)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let seconds = hours
        .parse::<i32>()
        .ok()?
        .checked_mul(3600)?
        .checked_add(minutes.parse::<i32>().ok()?.checked_mul(60)?)?;
    Offset::from_seconds(sign * seconds)
        .ok()
        .map(TimeZone::fixed)
}

fn field(name: &str, time: Timestamp, zone_name: &str) -> Option<Result<Value>> {
    let Some(zone) = zone(zone_name) else {
        return Some(Err(conversion(format!("unknown time zone {zone_name}"))));
    };
    let local = time.to_zoned(zone);
    let number = match name {
        "getFullYear" => i64::from(local.year()),
        "getMonth" => i64::from(local.month()) - 1,
        "getDate" => i64::from(local.day()),
        "getDayOfMonth" => i64::from(local.day()) - 1,
        "getDayOfWeek" => i64::from(local.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(local.day_of_year()) - 1,
        "getHours" => i64::from(local.hour()),
        "getMinutes" => i64::from(local.minute()),
        "getSeconds" => i64::from(local.second()),
        "getMilliseconds" => i64::from(local.millisecond()),
        _ => return None,
    };
    Some(Ok(Value::Int(number)))
}

fn span_field(name: &str, span: SignedDuration) -> Option<Result<Value>> {
    let number = match name {
        "getHours" => span.as_hours(),
        "getMinutes" => span.as_mins(),
        "getSeconds" => span.as_secs(),
        "getMilliseconds" => i64::from(span.subsec_millis()),
        _ => return None,
    };
    Some(Ok(Value::Int(number)))
}

/// Sums and differences.
pub(crate) fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value> {
    let moment = |time: Timestamp, span: SignedDuration| {
        time.checked_add(span)
            .map(Value::Timestamp)
            .map_err(|_| RANGE)
    };
    let span = |sum: Option<SignedDuration>| {
        sum.map(Value::Duration)
            .ok_or(EvaluateError::Arithmetic("duration overflow"))
    };
    match (operator, left, right) {
        (Operator::Add, Value::Timestamp(time), Value::Duration(span))
        | (Operator::Add, Value::Duration(span), Value::Timestamp(time)) => moment(*time, *span),
        (Operator::Subtract, Value::Timestamp(time), Value::Duration(span)) => time
            .checked_sub(*span)
            .map(Value::Timestamp)
            .map_err(|_| RANGE),
        (Operator::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => {
            Ok(Value::Duration(a.duration_since(*b)))
        }
        (Operator::Add, Value::Duration(a), Value::Duration(b)) => span(a.checked_add(*b)),
        (Operator::Subtract, Value::Duration(a), Value::Duration(b)) => span(a.checked_sub(*b)),
        _ => Err(EvaluateError::NoSuchOverload),
    }
}
