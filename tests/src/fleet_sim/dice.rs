//! The one source of chance in a run: everything that could go one way or another asks it.

use uuid::Uuid;

use crate::sim_cluster::random::Random;

/// Seeded chance.
#[derive(Debug, Clone)]
pub(super) struct Dice(Random);

impl Dice {
    /// The same seed throws the same dice.
    pub(super) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// Dice of their own, which follow from these.
    pub(super) fn split(&mut self) -> Self {
        Self(Random::new(self.0.next()))
    }

    /// A number below `end`, 0 if that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.next() % end.max(1)
    }

    /// A number from `start` to `end`, both included.
    pub(super) fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start + 1)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.0.chance(probability)
    }

    /// A place in a list that is not empty.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a usize")
    }

    /// A UUIDv7 of this millisecond.
    pub(super) fn uuid(&mut self, now: jiff::Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let chance = self.bytes();
        let mut tail = [0; 10];
        tail.copy_from_slice(&chance[..10]);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    /// 32 bytes, e.g. of a key.
    pub(super) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.0.next().to_le_bytes());
        }
        bytes
    }
}
