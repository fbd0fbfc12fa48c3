//! When to try again. Chance is an argument: the caller rolls the dice.

use std::time::Duration;

/// Exponential delays with a cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Delay before the first repetition.
    pub first: Duration,
    /// What each further delay is multiplied by; at least 1.
    pub factor: f64,
    /// Longest delay, before jitter.
    pub cap: Duration,
    /// Share of the delay that chance takes off, between 0 and 1.
    pub spread: f64,
}

/// After a failed apply.
pub const APPLY: Backoff = Backoff {
    first: Duration::from_millis(500),
    factor: 2.0,
    cap: Duration::from_secs(120),
    spread: 0.25,
};

/// After drift: at once the first time, ever slower if somebody keeps writing against us, so that
/// two writers of one object do not drive each other (OCM: one write per resync each).
pub const DRIFT: Backoff = Backoff {
    first: Duration::from_secs(1),
    factor: 2.0,
    cap: Duration::from_secs(240),
    spread: 0.25,
};

impl Backoff {
    /// Delay before repetition number `attempt`, counted from 0. `chance` is in `[0, 1)`; the
    /// delay is never longer than the cap.
    #[must_use]
    pub fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let power = self
            .factor
            .max(1.0)
            .powi(i32::try_from(attempt.min(64)).unwrap_or(64));
        let full = (self.first.as_secs_f64() * power).min(self.cap.as_secs_f64());
        let share = 1.0 - self.spread.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::from_secs_f64(full * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let delays: Vec<u64> = (0..10)
            .map(|n| APPLY.delay(n, 0.0).as_millis() as u64)
            .collect();
        assert_eq!(delays[..5], [500, 1000, 2000, 4000, 8000]);
        assert_eq!(delays[9], 120_000);
    }

    proptest! {
        #[test]
        fn a_delay_stays_in_its_band(attempt: u32, chance in 0.0..1.0f64) {
            let delay = DRIFT.delay(attempt, chance);
            let full = DRIFT.delay(attempt, 0.0);
            prop_assert!(delay <= full && full <= DRIFT.cap);
            prop_assert!(delay.as_secs_f64() >= full.as_secs_f64() * 0.75 - 1e-9);
        }
    }
}
