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

/// Drifts further apart than this have nothing to do with each other. It is more than twice the
/// longest delay after drift: whoever writes against us answers our write, and we theirs only after
/// that delay, so that a shorter time would take a fight for calm as soon as the delays are long.
pub const CALM: Duration = Duration::from_secs(600);

/// What is to be done about a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Healing {
    /// Drifts that came one soon after the other, this one included.
    pub drifts: u32,
    /// How long to wait before the object is written again.
    pub delay: Duration,
}

/// The answer to a drift. `drifts` came one soon after the other before it, and the last of them
/// was seen so long ago. The first is healed at once; who fights over an object calms down.
#[must_use]
pub fn heal(drifts: u32, since_last: Option<Duration>, chance: f64) -> Healing {
    let in_a_row = match since_last {
        Some(since) if since <= CALM => drifts,
        _ => 0,
    };
    let delay = match in_a_row.checked_sub(1) {
        Some(repetition) => DRIFT.delay(repetition, chance),
        None => Duration::ZERO,
    };
    Healing {
        drifts: in_a_row.saturating_add(1),
        delay,
    }
}

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

    #[test]
    fn a_fight_calms_down_and_stays_calm() {
        assert!(CALM > 2 * DRIFT.cap);
        let (mut drifts, mut since) = (0, None);
        let mut delays = Vec::new();
        for _ in 0..20 {
            let healing = heal(drifts, since, 0.0);
            delays.push(healing.delay.as_secs());
            drifts = healing.drifts;
            // The other writer needs a while, too, to see what we wrote.
            since = Some(healing.delay + DRIFT.cap);
        }
        assert_eq!(delays[..9], [0, 1, 2, 4, 8, 16, 32, 64, 128]);
        assert_eq!(delays[9..], [240; 11]);
    }

    #[test]
    fn a_drift_after_calm_is_healed_at_once() {
        let after = |since: u64| heal(9, Some(Duration::from_secs(since)), 0.0);
        assert_eq!(after(600).delay, DRIFT.cap);
        let fresh = Healing {
            drifts: 1,
            delay: Duration::ZERO,
        };
        assert_eq!(after(601), fresh);
        assert_eq!(heal(9, None, 0.0), fresh);
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
