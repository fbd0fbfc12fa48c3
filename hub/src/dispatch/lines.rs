//! How far each cluster's desired messages have come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{PoisonError, RwLock};

use skein_schema::name::{ClusterName, SetName};
use tokio::sync::watch;

/// How many of a line's messages can be found again by their revision. An agent that is further
/// behind gets the whole state.
const RECENT: usize = 32;

/// One cluster's line of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The set whose subject it is on.
    pub set: SetName,
    /// The newest revision that the stream has acknowledged.
    pub stored: u64,
    /// The ledger sequence that the newest acknowledged revision stands for.
    pub stored_sequence: u64,
    /// The newest revision given to a message, stored or on its way.
    pub assigned: u64,
    /// The ledger sequence that the newest revision includes.
    pub sequence: u64,
    /// Where the stream has the newest messages on this set's subject: revision and stream
    /// sequence, oldest first.
    pub recent: VecDeque<(u64, u64)>,
}

impl Line {
    /// A line whose newest message has this revision and ledger sequence.
    #[must_use]
    pub fn new(set: SetName, rev: u64, sequence: u64) -> Self {
        Self {
            set,
            stored: rev,
            stored_sequence: sequence,
            assigned: rev,
            sequence,
            recent: VecDeque::new(),
        }
    }

    /// The stream's sequence of the message with this revision, while it is remembered.
    #[must_use]
    pub fn sequence_of(&self, rev: u64) -> Option<u64> {
        self.recent
            .iter()
            .rev()
            .find(|(known, _)| *known == rev)
            .map(|(_, sequence)| *sequence)
    }
}

/// All lines; the dispatcher writes, catch-up reads.
#[derive(Debug)]
pub struct Lines {
    lines: RwLock<BTreeMap<ClusterName, Line>>,
    version: watch::Sender<u64>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            lines: RwLock::default(),
            version: watch::channel(0).0,
        }
    }
}

impl Lines {
    /// A cluster's line, if it was ever sent anything.
    #[must_use]
    pub fn get(&self, cluster: &ClusterName) -> Option<Line> {
        self.lines
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(cluster)
            .cloned()
    }

    /// Tells when any line changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// A message with this line was stored, at this sequence of the stream. An older one than is
    /// known changes nothing.
    pub fn stored(&self, cluster: &ClusterName, line: &Line, place: u64) {
        self.change(cluster, |old| {
            let mut new = match old {
                Some(old) if old.stored >= line.stored => return old,
                Some(mut old) => {
                    if old.set != line.set {
                        old.recent.clear();
                    }
                    Line {
                        set: line.set.clone(),
                        stored: line.stored,
                        stored_sequence: line.stored_sequence,
                        assigned: old.assigned.max(line.assigned),
                        sequence: old.sequence.max(line.sequence),
                        recent: old.recent,
                    }
                }
                None => line.clone(),
            };
            new.recent.push_back((line.stored, place));
            if new.recent.len() > RECENT {
                new.recent.pop_front();
            }
            new
        });
    }

    /// A message with this line is on its way.
    pub fn assigned(&self, cluster: &ClusterName, line: &Line) {
        self.change(cluster, |old| match old {
            Some(old) => Line {
                assigned: line.assigned,
                sequence: line.sequence,
                ..old
            },
            None => Line {
                stored: 0,
                stored_sequence: 0,
                ..line.clone()
            },
        });
    }

    fn change(&self, cluster: &ClusterName, change: impl FnOnce(Option<Line>) -> Line) {
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        let line = change(lines.get(cluster).cloned());
        lines.insert(cluster.clone(), line);
        drop(lines);
        self.version.send_modify(|version| *version += 1);
    }
}
