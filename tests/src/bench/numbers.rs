//! Medians and percentiles, and how they are written.

use std::time::Duration;

/// Durations of the same thing, many times.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations(Vec<Duration>);

impl Durations {
    pub(super) fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// The duration that this share of all does not exceed.
    pub(super) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let place = (sorted.len() as f64 * share).ceil() as usize;
        sorted
            .get(place.saturating_sub(1).min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    /// `p50 / p99` in milliseconds.
    pub(super) fn in_words(&self) -> String {
        format!(
            "{} / {}",
            millis(self.percentile(0.5)),
            millis(self.percentile(0.99))
        )
    }
}

/// The middle of some numbers; 0 of none.
pub(super) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// `12,345`.
pub(super) fn count(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.234`, in milliseconds.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1_000.0)
}

/// `0.87`.
pub(super) fn ratio(number: f64) -> String {
    format!("{number:.2}")
}

/// `1.2 MiB`, of KiB.
pub(super) fn mebibytes(kibibytes: f64) -> String {
    format!("{:.1} MiB", kibibytes / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut durations = Durations::default();
        for millis in (1..=100).rev() {
            durations.push(Duration::from_millis(millis));
        }
        assert_eq!(durations.percentile(0.5), Duration::from_millis(50));
        assert_eq!(durations.percentile(0.99), Duration::from_millis(99));
        assert_eq!(durations.in_words(), "50.000 / 99.000");
        assert_eq!(Durations::default().percentile(0.5), Duration::ZERO);
    }

    #[test]
    fn numbers_are_grouped() {
        let all = [0.0, 999.4, 1_000.0, 1_234_567.0].map(count);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }
}
