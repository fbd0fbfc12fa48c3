//! Placements decide when what they depend on has changed.

use std::sync::Arc;

use jiff::Timestamp;
use skein_hub_core::placement::{Due, Scheduler};
use skein_hub_core::{Changes, ObservedChange, Stored};
use skein_schema::name::ClusterName;

use super::{Cause, Effect, Machine};

/// Most placements that look at their clusters between two inputs: a fleet that changes must not
/// keep commands waiting.
const LOOKS_AT_ONCE: usize = 64;
/// After so many steps of expressions the next input is looked at first.
const STEPS_AT_ONCE: u64 = 2_000_000;
/// While so many records are on their way, no placement decides.
const RECORDS_ON_THEIR_WAY: usize = 128;

impl Machine {
    /// Begins to let placements decide.
    pub(super) fn start_scheduling(&mut self, now: Timestamp) {
        let view = self.state.read();
        self.scheduler = Some(Scheduler::new(&self.head, &view.observed, now));
    }

    /// A record has changed the head.
    pub(super) fn schedule_after(
        &mut self,
        changes: &Changes,
        stored: &Arc<Stored>,
        now: Timestamp,
    ) {
        if let Some(scheduler) = &mut self.scheduler {
            let view = self.state.read();
            scheduler.recorded(&self.head, &view.observed, changes, stored, now);
        }
    }

    /// A cluster has reported. Of works, placements know nothing.
    pub(super) fn schedule_reported(
        &mut self,
        cluster: &ClusterName,
        changes: &[ObservedChange],
        now: Timestamp,
    ) {
        if let Some(scheduler) = &mut self.scheduler
            && changes.contains(&ObservedChange::Cluster)
        {
            let view = self.state.read();
            scheduler.reported(&self.head, &view.observed, cluster, now);
        }
    }

    /// When a placement is to decide next. While too much is on its way, the next acknowledgement
    /// comes first.
    pub(super) fn placements_deadline(&self) -> Option<Timestamp> {
        let scheduler = self.scheduler.as_ref();
        let scheduler = scheduler.filter(|_| self.pending.len() < RECORDS_ON_THEIR_WAY);
        scheduler.and_then(Scheduler::next_deadline)
    }

    /// Records the decisions that are due.
    pub(super) fn let_placements_decide(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut steps = 0;
        for _ in 0..LOOKS_AT_ONCE {
            if steps > STEPS_AT_ONCE || self.pending.len() >= RECORDS_ON_THEIR_WAY {
                return;
            }
            let scheduler = self.scheduler.as_mut();
            let Some(look) = scheduler.and_then(|scheduler| scheduler.next(&self.head, now)) else {
                return;
            };
            steps += look.steps;
            let Some(Due { decision, cause }) = look.due else {
                continue;
            };
            let cause = cause.map_or_else(
                || Cause::hub(&self.name),
                |stored| Cause::record(&self.name, &stored),
            );
            self.record(decision, &cause, None, None, now, effects);
        }
    }
}
