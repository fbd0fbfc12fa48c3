//! When objects went that are no more: a command that comes late must not bring them back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skein_schema::object::ObjectKey;

/// Objects that were deleted in the last days, and when they last were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "ByTime", into = "ByTime")]
pub(crate) struct Gone {
    since: BTreeMap<ObjectKey, Timestamp>,
    /// The same by time: the oldest is found at once.
    by_time: ByTime,
}

type ByTime = BTreeSet<(Timestamp, ObjectKey)>;

impl Gone {
    pub(crate) fn since(&self, key: &ObjectKey) -> Option<Timestamp> {
        self.since.get(key).copied()
    }

    /// An object is gone.
    pub(crate) fn insert(&mut self, key: &ObjectKey, now: Timestamp) {
        if let Some(before) = self.since.insert(key.clone(), now) {
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((now, key.clone()));
    }

    /// Forgets what has been gone for more than `kept` seconds.
    pub(crate) fn prune(&mut self, now: Timestamp, kept: i64) {
        let kept = SignedDuration::from_secs(kept);
        while let Some((since, _)) = self.by_time.first()
            && now.duration_since(*since) > kept
            && let Some((_, key)) = self.by_time.pop_first()
        {
            self.since.remove(&key);
        }
    }
}

impl From<ByTime> for Gone {
    fn from(by_time: ByTime) -> Self {
        let since = by_time.iter().map(|(since, key)| (key.clone(), *since));
        Self {
            since: since.collect(),
            by_time,
        }
    }
}

impl From<Gone> for ByTime {
    fn from(gone: Gone) -> Self {
        gone.by_time
    }
}
