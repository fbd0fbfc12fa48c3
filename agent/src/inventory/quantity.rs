//! Adding Kubernetes quantities: `250m`, `16Gi`, `1e3`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// How a quantity was written, and is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
}

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i128); 9] = [
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", NANO * 1_000),
    ("M", NANO * 1_000_000),
    ("G", NANO * 1_000_000_000),
    ("T", NANO * 1_000_000_000_000),
    ("P", NANO * 1_000_000_000_000_000),
    ("E", NANO * 1_000_000_000_000_000_000),
];
const BINARY: [(&str, i128); 6] = [
    ("Ki", NANO << 10),
    ("Mi", NANO << 20),
    ("Gi", NANO << 30),
    ("Ti", NANO << 40),
    ("Pi", NANO << 50),
    ("Ei", NANO << 60),
];

/// Sums maps of quantities key by key. A quantity that cannot be read counts as nothing: one node's
/// mistake must not hide the others. The first form of a key is the sum's.
pub(super) fn sum<'a>(
    maps: impl Iterator<Item = &'a BTreeMap<String, Quantity>>,
) -> BTreeMap<String, Quantity> {
    let mut sums: BTreeMap<&str, (i128, Form)> = BTreeMap::new();
    for (key, quantity) in maps.flatten() {
        let Some((value, form)) = parse(&quantity.0) else {
            tracing::warn!(resource = %key, quantity = %quantity.0, "not a quantity");
            continue;
        };
        let entry = sums.entry(key).or_insert((0, form));
        entry.0 = entry.0.saturating_add(value);
    }
    sums.into_iter()
        .map(|(key, (value, form))| (key.to_owned(), Quantity(print(value, form))))
        .collect()
}

/// In billionths, rounded up as Kubernetes does.
fn parse(text: &str) -> Option<(i128, Form)> {
    let split = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'));
    let (number, suffix) = text.split_at(split.unwrap_or(text.len()));
    let (scale, form) = if suffix.is_empty() {
        (NANO, Form::Decimal)
    } else if let Some((_, scale)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        (*scale, Form::Binary)
    } else if let Some((_, scale)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        (*scale, Form::Decimal)
    } else {
        let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        (
            NANO.checked_mul(10_i128.checked_pow(exponent)?)?,
            Form::Decimal,
        )
    };
    let negative = number.starts_with('-');
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if !whole
        .bytes()
        .chain(part.bytes())
        .all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    // More digits than these are lost in the rounding anyway.
    let part = &part[..part.len().min(18)];
    let mantissa: i128 = format!("{whole}{part}").parse().ok()?;
    let divisor = 10_i128.pow(u32::try_from(part.len()).ok()?);
    let scaled = mantissa.checked_mul(scale)?;
    let value = scaled / divisor + i128::from(scaled % divisor != 0);
    Some((if negative { -value } else { value }, form))
}

/// The canonical text: the largest suffix that leaves a whole number.
fn print(value: i128, form: Form) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    let units = match form {
        Form::Binary if value % NANO == 0 => &BINARY[..],
        _ => &DECIMAL[3..],
    };
    if let Some((name, scale)) = units.iter().rev().find(|(_, scale)| value % scale == 0) {
        return format!("{}{name}", value / scale);
    }
    if value % NANO == 0 {
        return (value / NANO).to_string();
    }
    let small = DECIMAL[..3]
        .iter()
        .rev()
        .find(|(_, scale)| value % scale == 0);
    small.map_or_else(
        || format!("{value}n"),
        |(name, scale)| format!("{}{name}", value / scale),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(texts: &[&str]) -> String {
        let maps: Vec<BTreeMap<String, Quantity>> = texts
            .iter()
            .map(|text| BTreeMap::from([("x".to_owned(), Quantity((*text).to_owned()))]))
            .collect();
        sum(maps.iter())
            .remove("x")
            .map_or_else(|| "none".to_owned(), |quantity| quantity.0)
    }

    #[test]
    fn sums_are_canonical() {
        for (texts, expected) in [
            (&["8", "8"][..], "16"),
            (&["250m", "750m"], "1"),
            (&["1", "500m"], "1500m"),
            (&["16Gi", "16Gi"], "32Gi"),
            (&["16384Ki", "0"], "16Mi"),
            (&["1.5Gi"], "1536Mi"),
            (&["1e3"], "1k"),
            (&["110", "110"], "220"),
            (&["100k"], "100k"),
            (&["0.1"], "100m"),
            (&["-1", "3"], "2"),
            (&["1n"], "1n"),
            (&["3", "many"], "3"),
            (&["many"], "none"),
            (&["0"], "0"),
        ] {
            assert_eq!(sum_of(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_without_harm() {
        for bad in ["", "Gi", "1.2.3", "1e", "1e99", "--1", "1ki", "é", "1\u{0}"] {
            assert_eq!(parse(bad).map(|(value, _)| value), None, "{bad:?}");
        }
    }
}
