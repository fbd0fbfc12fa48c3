//! Where time, chance and ids come from. Everything below asks here, so that a test decides them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

/// The agent's clock and dice. `app.rs` has the real one.
pub trait Environment: Send + Sync + 'static {
    /// Now, by this machine's clock. It may be wrong: nothing but texts and relative times may be
    /// made of it.
    fn now(&self) -> Timestamp;

    /// 64 random bits.
    fn random(&self) -> u64;
}

/// A shared [`Environment`].
pub type SharedEnvironment = Arc<dyn Environment>;

/// A UUIDv7 of the environment's time and randomness.
#[must_use]
pub fn new_id(environment: &dyn Environment) -> Uuid {
    let millis = u64::try_from(environment.now().as_millisecond()).unwrap_or_default();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&environment.random().to_be_bytes());
    random[8..].copy_from_slice(&environment.random().to_be_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A number from 0 (included) to 1 (excluded).
#[must_use]
pub fn fraction(environment: &dyn Environment) -> f64 {
    // 53 bits are what a double holds exactly.
    (environment.random() >> 11) as f64 / (1_u64 << 53) as f64
}

/// `period` made longer or shorter by at most `share` of it, so that a fleet does not act at once.
#[must_use]
pub fn jittered(environment: &dyn Environment, period: Duration, share: f64) -> Duration {
    period.mul_f64(1.0 + share * (2.0 * fraction(environment) - 1.0))
}

/// Waiting times that double from `first` to `last`, each with a jitter of a quarter.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    attempts: u32,
}

impl Backoff {
    /// Starts with `first` and stays at `last`.
    #[must_use]
    pub fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            attempts: 0,
        }
    }

    /// How long to wait now.
    pub fn next(&mut self, environment: &dyn Environment) -> Duration {
        let wait = self
            .first
            .saturating_mul(1 << self.attempts.min(20))
            .min(self.last);
        self.attempts = self.attempts.saturating_add(1);
        jittered(environment, wait, 0.25)
    }

    /// Waits so long.
    pub async fn wait(&mut self, environment: &dyn Environment) {
        let until = tokio::time::Instant::now() + self.next(environment);
        tokio::time::sleep_until(until).await;
    }

    /// How often [`Self::next`] was asked since the last success.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Something worked: start anew.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Environment for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(1_790_000_000).unwrap()
        }

        fn random(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let second = Duration::from_secs(1);
        assert_eq!(
            jittered(&Fixed(0), second, 0.25),
            Duration::from_millis(750)
        );
        let longest = jittered(&Fixed(u64::MAX), second, 0.25);
        assert!(longest > Duration::from_millis(1249) && longest <= Duration::from_millis(1250));
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_starts_anew() {
        let middle = Fixed(1 << 63);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits: Vec<_> = (0..5).map(|_| backoff.next(&middle).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.next(&middle).as_secs(), 1);
    }

    #[test]
    fn ids_are_version_seven() {
        assert_eq!(new_id(&Fixed(7)).get_version_num(), 7);
    }
}
