//! Quantities as Kubernetes writes them.

/// A quantity as Kubernetes' own type gives it back: without fraction, with the largest suffix of
/// its kind, rounded up to a billionth. What was canonical enough when it was read is given back as
/// it was written, as Kubernetes does, and so is what is no quantity, or one of more than about 38
/// digits.
pub(super) fn canonical(text: &str) -> String {
    read(text)
        .map(|parts| parts.written(text))
        .and_then(|written| written)
        .unwrap_or_else(|| text.to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `m`, `k` and their like.
    Decimal,
    /// `e3`
    Exponent,
    /// `Ki` and its like.
    Binary,
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Digits after the point that a quantity keeps.
const NANO: i32 = 9;

/// A quantity, taken apart.
struct Parts<'a> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'a str,
    /// Digits after it.
    fraction: &'a str,
    form: Form,
    /// Exponent of the suffix, to base 10, or to base 2 if it is binary.
    exponent: i32,
}

fn read(text: &str) -> Option<Parts<'_>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let (whole, rest) = unsigned.split_at(digits(unsigned));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let place = |known: &[&str]| {
        let place = known.iter().position(|known| *known == suffix)?;
        i32::try_from(place).ok()
    };
    let (form, exponent) = if let Some(place) = place(&DECIMAL) {
        (Form::Decimal, 3 * place - NANO)
    } else if let Some(place) = place(&BINARY) {
        (Form::Binary, 10 * place)
    } else {
        let exponent = suffix.strip_prefix(['e', 'E'])?;
        (Form::Exponent, exponent.parse::<i32>().ok()?)
    };
    let whole = whole.trim_start_matches('0');
    Some(Parts {
        negative: text.starts_with('-'),
        whole: if whole.is_empty() { "0" } else { whole },
        fraction,
        form,
        exponent,
    })
}

impl Parts<'_> {
    /// The canonical text of what was written as `text`, unless it has too many digits.
    fn written(&self, text: &str) -> Option<String> {
        let digits = format!("{}{}", self.whole, self.fraction);
        if self.is_kept(&digits) {
            return Some(text.to_owned());
        }
        let places = i32::try_from(self.fraction.len()).ok()?;
        let number = digits.parse::<i128>().ok()?;
        let (number, places) = match self.form {
            Form::Binary => {
                let factor = 1_i128.checked_shl(u32::try_from(self.exponent).ok()?)?;
                let number = number.checked_mul(factor)?;
                let (number, places) = rounded(number, places)?;
                if larger(number, places, i128::from(i64::MAX)) {
                    (i128::from(i64::MAX), 0)
                } else {
                    (number, places)
                }
            }
            Form::Decimal | Form::Exponent => rounded(number, places.checked_sub(self.exponent)?)?,
        };
        let sign = if self.negative { "-" } else { "" };
        if number == 0 {
            return Some("0".to_owned());
        }
        let binary = (self.form == Form::Binary && larger(number, places, 1023))
            .then(|| exact(number, places))
            .flatten();
        let written = match binary {
            Some(number) => in_binary(number),
            None => in_decimal(number, places, self.form)?,
        };
        Some(format!("{sign}{written}"))
    }

    /// Whether Kubernetes keeps the text: it is short, and looks canonical at a glance.
    fn is_kept(&self, digits: &str) -> bool {
        let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let places = i32::try_from(self.fraction.len()).unwrap_or(i32::MAX);
        match self.form {
            Form::Binary => {
                let number = digits.parse::<i64>().unwrap_or(0);
                places == 0
                    && length <= 14 - self.exponent * 3 / 10
                    && number & 7 != 0
                    && number
                        .checked_mul(1_i64.checked_shl(self.exponent.unsigned_abs()).unwrap_or(0))
                        .is_some()
            }
            Form::Decimal | Form::Exponent => {
                let scale = self.exponent.saturating_sub(places);
                length <= 18
                    && scale >= -NANO
                    && scale % 3 == 0
                    && !digits.ends_with("000")
                    && !digits.starts_with('0')
            }
        }
    }
}

/// A number of so many decimal places, with at most nine of them; what is finer is rounded up.
fn rounded(number: i128, places: i32) -> Option<(i128, i32)> {
    if places <= NANO || number == 0 {
        return Some((number, places));
    }
    // Below a billionth of anything that fits, all that is left is the rounding up.
    let Some(finer) = 10_i128.checked_pow(places.abs_diff(NANO)) else {
        return Some((1, NANO));
    };
    Some((number / finer + i128::from(number % finer != 0), NANO))
}

/// Whether a number of so many decimal places is larger than a whole one.
fn larger(number: i128, places: i32, than: i128) -> bool {
    let factor = 10_i128.checked_pow(places.unsigned_abs());
    match (factor, places < 0) {
        (Some(factor), false) => {
            number / factor > than || (number / factor == than && number % factor != 0)
        }
        (Some(factor), true) => number
            .checked_mul(factor)
            .is_none_or(|number| number > than),
        (None, beyond) => beyond,
    }
}

/// The number, if it is whole.
fn exact(number: i128, places: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(places.unsigned_abs())?;
    if places < 0 {
        number.checked_mul(factor)
    } else {
        (number % factor == 0).then_some(number / factor)
    }
}

fn in_binary(mut number: i128) -> String {
    let mut power = 0;
    while number % 1024 == 0 && power + 1 < BINARY.len() {
        number /= 1024;
        power += 1;
    }
    format!("{number}{}", BINARY[power])
}

/// The number with a power of a thousand. None if it gets too large.
fn in_decimal(mut number: i128, places: i32, form: Form) -> Option<String> {
    let mut exponent = places.checked_neg()?;
    while number % 10 == 0 {
        number /= 10;
        exponent = exponent.checked_add(1)?;
    }
    let more = exponent.rem_euclid(3);
    number = number.checked_mul(10_i128.pow(more.unsigned_abs()))?;
    exponent = exponent.checked_sub(more)?;
    let place = usize::try_from(exponent.checked_add(NANO)? / 3).ok();
    let suffix = place.and_then(|place| DECIMAL.get(place));
    Some(match (form, suffix) {
        (Form::Exponent, _) if exponent == 0 => number.to_string(),
        (Form::Exponent, _) | (_, None) => format!("{number}e{exponent}"),
        (_, Some(suffix)) => format!("{number}{suffix}"),
    })
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_are_written_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("0.5", "500m"),
            ("1e3", "1e3"),
            ("1E3", "1E3"),
            ("1e1", "10"),
            ("1e4", "10e3"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("1536Mi", "1536Mi"),
            ("2048Ki", "2Mi"),
            ("128974848", "128974848"),
            ("2.5", "2500m"),
            ("3000M", "3G"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("100m", "100m"),
            ("0.1Gi", "107374182400m"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("512Ki", "512Ki"),
            ("8Ki", "8Ki"),
            ("1000Ki", "1000Ki"),
            ("0.0", "0"),
            ("00", "0"),
            ("-0", "0"),
            ("-1.5", "-1500m"),
            ("-2048Mi", "-2Gi"),
            ("0.0000000001", "1n"),
            ("1e-3", "1e-3"),
            ("1000E", "1e21"),
            ("10000", "10k"),
            ("10240", "10240"),
            ("1000000", "1M"),
            ("12e6", "12e6"),
            ("99999999999Ei", "9223372036854775807"),
            // Kept, because the digits look canonical.
            ("1.500", "1.500"),
            ("+5", "+5"),
            ("05", "05"),
            ("1.", "1."),
            // None.
            ("", ""),
            ("1.5.2", "1.5.2"),
            ("Gi", "Gi"),
            ("1e99999999999", "1e99999999999"),
            ("1e2147483647", "1e2147483647"),
            ("10e2147483647", "10e2147483647"),
            ("1e-2147483648", "1e-2147483648"),
            ("-0.0000000001", "-1n"),
            ("1e-2147483646", "1e-9"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        /// Noise never panics, and what is canonical stays so.
        #[test]
        fn the_canonical_form_is_its_own(text in "[-+]?[0-9]{0,22}\\.?[0-9]{0,12}(m|Ki|Ei|k|E|e-?[0-9]{1,10})?") {
            let once = canonical(&text);
            proptest::prop_assert_eq!(canonical(&once), once);
        }
    }
}
