//! What has to be reported, in the order of the last changes.
//!
//! A status is a level, not an event: while the hub cannot be reached, a newer report about the
//! same work replaces the older one. So the outbox never holds more than one entry per work and one
//! for the cluster, however long the agent is cut off.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};
use skein_schema::name::ObjectName;
use skein_schema::status::ClusterReport;
use uuid::Uuid;

/// Most updates in one message.
pub const BATCH: usize = 32;

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum About {
    /// The cluster; the report itself.
    Cluster(Box<ClusterReport>),
    /// The newest report of a work; it is looked up when it is sent.
    Work(ObjectName),
    /// A work that is gone.
    Removed {
        /// Its name.
        name: ObjectName,
        /// Its uid.
        uid: Uuid,
    },
}

impl About {
    /// Whether a newer entry makes an older one needless.
    fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Cluster(_), Self::Cluster(_)) => true,
            (Self::Work(name), Self::Work(old)) => name == old,
            (Self::Removed { name, .. }, Self::Work(old)) => name == old,
            (
                Self::Removed { name, uid },
                Self::Removed {
                    name: old,
                    uid: old_uid,
                },
            ) => name == old && uid == old_uid,
            _ => false,
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(_) => f.write_str("the cluster"),
            Self::Work(name) => write!(f, "work {name}"),
            Self::Removed { name, .. } => write!(f, "the removal of work {name}"),
        }
    }
}

/// One thing to report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Rises with each entry; tells whether it was replaced while it was on its way.
    ticket: u64,
    /// What it is about.
    pub about: About,
    /// Trace context of the command that it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The entries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    next_ticket: u64,
    entries: VecDeque<Entry>,
}

/// Entries that go in one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Them, in order, all of one trace.
    pub entries: Vec<Entry>,
}

impl Outbox {
    /// Adds an entry at the end; older ones that it makes needless go.
    pub fn push(&mut self, about: About, traceparent: Option<String>) {
        self.entries.retain(|entry| !about.replaces(&entry.about));
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.entries.push_back(Entry {
            ticket,
            about,
            traceparent,
        });
    }

    /// The next entries to send, if there are any: the oldest ones with one trace context, at most
    /// so many, and at least one.
    #[must_use]
    pub fn next_batch(&self, most: usize) -> Option<Batch> {
        let first = self.entries.front()?;
        let same_trace = |entry: &&Entry| entry.traceparent == first.traceparent;
        Some(Batch {
            entries: self
                .entries
                .iter()
                .take_while(same_trace)
                .take(most.clamp(1, BATCH))
                .cloned()
                .collect(),
        })
    }

    /// These are done with. An entry that was replaced meanwhile has yet to be sent.
    pub fn done(&mut self, batch: &Batch) {
        self.entries
            .retain(|entry| !batch.entries.iter().any(|sent| sent.ticket == entry.ticket));
    }

    /// How many entries wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(name: &str) -> About {
        About::Work(ObjectName::new(name).unwrap())
    }

    fn removed(name: &str) -> About {
        About::Removed {
            name: ObjectName::new(name).unwrap(),
            uid: Uuid::nil(),
        }
    }

    fn abouts(outbox: &Outbox) -> Vec<About> {
        outbox.next_batch(BATCH).map_or_else(Vec::new, |batch| {
            batch.entries.into_iter().map(|e| e.about).collect()
        })
    }

    #[test]
    fn a_newer_report_replaces_the_older_and_goes_to_the_end() {
        let mut outbox = Outbox::default();
        for about in [work("a"), work("b"), work("a"), removed("b"), work("c")] {
            outbox.push(about, None);
        }
        assert_eq!(abouts(&outbox), [work("a"), removed("b"), work("c")]);
    }

    #[test]
    fn what_was_replaced_on_its_way_is_sent_again() {
        let mut outbox = Outbox::default();
        outbox.push(work("a"), None);
        outbox.push(work("b"), None);
        let batch = outbox.next_batch(BATCH).unwrap();
        outbox.push(work("a"), None);
        outbox.done(&batch);
        assert_eq!(abouts(&outbox), [work("a")]);
        outbox.done(&batch);
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn a_batch_can_be_as_small_as_one_entry() {
        let mut outbox = Outbox::default();
        outbox.push(work("a"), None);
        outbox.push(work("b"), None);
        for (most, entries) in [(0, 1), (1, 1), (2, 2), (3, 2)] {
            assert_eq!(outbox.next_batch(most).unwrap().entries.len(), entries);
        }
    }

    #[test]
    fn a_batch_has_one_trace() {
        let mut outbox = Outbox::default();
        outbox.push(work("a"), Some("t1".into()));
        outbox.push(work("b"), Some("t1".into()));
        outbox.push(work("c"), None);
        assert_eq!(abouts(&outbox), [work("a"), work("b")]);
        let batch = outbox.next_batch(BATCH).unwrap();
        outbox.done(&batch);
        assert_eq!(abouts(&outbox), [work("c")]);
    }

    #[test]
    fn it_is_kept_over_a_restart() {
        let mut outbox = Outbox::default();
        outbox.push(removed("a"), Some("t".into()));
        outbox.push(About::Cluster(Box::default()), None);
        let text = serde_json::to_string(&outbox).unwrap();
        assert_eq!(serde_json::from_str::<Outbox>(&text).unwrap(), outbox);
    }
}
