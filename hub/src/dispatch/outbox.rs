//! Changes of desired state that the DESIRED stream does not hold yet, as far as is known.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use skein_schema::desired::DesiredChange;
use skein_schema::name::ClusterName;

use super::lines::{Line, Lines};
use crate::driver::effect::Outgoing;

/// A change that waits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    /// The ledger sequence that caused it.
    pub(crate) sequence: u64,
    /// The trace context of what led here.
    pub(crate) traceparent: Option<String>,
    /// What to do.
    pub(crate) changes: Vec<DesiredChange>,
}

/// The changes of all clusters, in ledger order each.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: BTreeMap<ClusterName, VecDeque<Waiting>>,
    lines: Arc<Lines>,
}

impl Outbox {
    pub(crate) fn new(lines: Arc<Lines>) -> Self {
        Self {
            waiting: BTreeMap::new(),
            lines,
        }
    }

    pub(crate) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    /// How many changes wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    pub(crate) fn clusters(&self) -> Vec<ClusterName> {
        self.waiting.keys().cloned().collect()
    }

    /// Takes up what a record changes, except where the stream includes it already.
    pub(crate) fn add(&mut self, outgoing: Outgoing) {
        for (cluster, (_, changes)) in outgoing.clusters {
            let included = self
                .lines
                .get(&cluster)
                .is_some_and(|line| line.sequence >= outgoing.sequence);
            if included || changes.is_empty() {
                continue;
            }
            self.waiting.entry(cluster).or_default().push_back(Waiting {
                sequence: outgoing.sequence,
                traceparent: outgoing.traceparent.clone(),
                changes,
            });
        }
    }

    /// The stream holds this: what it includes waits no longer.
    pub(crate) fn stored(&mut self, cluster: &ClusterName, line: &Line, place: u64) {
        self.lines.stored(cluster, line, place);
        if let Some(waiting) = self.waiting.get_mut(cluster) {
            waiting.retain(|change| change.sequence > line.sequence);
            if waiting.is_empty() {
                self.waiting.remove(cluster);
            }
        }
    }

    /// Hands out a cluster's changes for publishing.
    pub(crate) fn take(&mut self, cluster: &ClusterName) -> VecDeque<Waiting> {
        self.waiting.remove(cluster).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_schema::name::SetName;

    fn cluster() -> ClusterName {
        ClusterName::new("c1").unwrap()
    }

    fn outgoing(sequence: u64) -> Outgoing {
        let changes = vec![DesiredChange::Moved {
            clusterset: SetName::default_set(),
        }];
        let clusters = BTreeMap::from([(cluster(), (SetName::default_set(), changes))]);
        Outgoing {
            sequence,
            traceparent: None,
            clusters,
        }
    }

    fn line(rev: u64, sequence: u64) -> Line {
        Line::new(SetName::default_set(), rev, sequence)
    }

    #[test]
    fn what_the_stream_holds_does_not_wait() {
        let mut outbox = Outbox::new(Arc::default());
        outbox.add(outgoing(5));
        outbox.add(outgoing(6));
        outbox.add(outgoing(9));
        assert_eq!(outbox.len(), 3);
        outbox.stored(&cluster(), &line(1, 6), 100);
        assert_eq!(outbox.len(), 1, "5 and 6 are included");
        outbox.add(outgoing(6));
        assert_eq!(outbox.len(), 1, "read again after a restart, known already");
        assert_eq!(outbox.take(&cluster())[0].sequence, 9);
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn an_old_line_does_not_turn_a_new_one_back() {
        let lines = Lines::default();
        lines.assigned(&cluster(), &line(7, 40));
        lines.stored(&cluster(), &line(5, 30), 100);
        let found = lines.get(&cluster()).unwrap();
        assert_eq!((found.stored, found.assigned, found.sequence), (5, 7, 40));
        lines.stored(&cluster(), &line(4, 20), 99);
        let found = lines.get(&cluster()).unwrap();
        assert_eq!(
            (found.stored, found.sequence_of(5), found.sequence_of(4)),
            (5, Some(100), None)
        );
    }
}
