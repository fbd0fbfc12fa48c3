//! Which work is due when.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

/// Names with the time at which each is due; a name is in it once.
#[derive(Debug)]
pub(super) struct Queue<K: Ord + Clone> {
    by_time: BTreeSet<(Instant, K)>,
    times: BTreeMap<K, Instant>,
}

impl<K: Ord + Clone> Queue<K> {
    pub(super) fn new() -> Self {
        Self {
            by_time: BTreeSet::new(),
            times: BTreeMap::new(),
        }
    }

    /// Makes it due at `at`, or earlier if it is already.
    pub(super) fn at_latest(&mut self, key: &K, at: Instant) {
        if self.times.get(key).is_none_or(|known| at < *known) {
            self.remove(key);
            self.by_time.insert((at, key.clone()));
            self.times.insert(key.clone(), at);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(at) = self.times.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due by `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = self.by_time.first()?.clone();
        if at > now {
            return None;
        }
        self.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_time_counts_and_each_comes_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::new();
        queue.at_latest(&"a", at(5));
        queue.at_latest(&"b", at(3));
        queue.at_latest(&"a", at(1));
        queue.at_latest(&"a", at(9));
        assert_eq!(queue.next(), Some(at(1)));
        assert_eq!(queue.pop(at(0)), None);
        assert_eq!(queue.pop(at(4)), Some("a"));
        assert_eq!(queue.pop(at(4)), Some("b"));
        assert_eq!(queue.next(), None);
    }
}
