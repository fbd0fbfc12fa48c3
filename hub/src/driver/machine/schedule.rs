//! Placements decide when what they depend on has changed.

use std::sync::Arc;

use jiff::Timestamp;
use skein_hub_core::placement::{Due, Scheduler};
use skein_hub_core::{Changes, ObservedChange, Stored};
use skein_schema::name::ClusterName;

use super::{Cause, Effect, Machine};

/// Most decisions of placements between two inputs: a fleet that changes must not keep commands
/// waiting.
const DECISIONS_AT_ONCE: usize = 64;

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

    /// Records the decisions that are due.
    pub(super) fn let_placements_decide(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for _ in 0..DECISIONS_AT_ONCE {
            let due = self.scheduler.as_mut();
            let Some(Due { decision, cause }) =
                due.and_then(|scheduler| scheduler.next(&self.head, now))
            else {
                return;
            };
            let cause = cause.map_or_else(
                || Cause::hub(&self.name),
                |stored| Cause::record(&self.name, &stored),
            );
            self.record(decision, &cause, None, None, now, effects);
        }
    }
}
