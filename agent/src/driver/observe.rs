//! What the watches show.

use skein_agent_core::retry::{self, Healing};
use skein_schema::name::ObjectName;
use tokio::time::Instant;

use super::Driver;
use crate::environment::fraction;
use crate::watch::WatchEvent;

impl Driver {
    pub(super) fn watched(&mut self, event: WatchEvent) {
        let WatchEvent {
            place,
            name,
            object,
            version,
        } = event;
        let Some(manifests) = self.index.get(&(place, name)).cloned() else {
            return;
        };
        for (work, index) in manifests {
            let Some(run) = self.works.get_mut(&work) else {
                continue;
            };
            if !run.observe(index, object.clone(), version) {
                continue;
            }
            if self
                .parts
                .state
                .work(&work)
                .is_some_and(|held| held.removing)
            {
                // What a removal waits for may be gone now.
                if object.is_none() {
                    self.queue.at_latest(&work, Instant::now());
                }
                continue;
            }
            // A job that is under way looks for itself when it ends.
            let heal = !run.running && run.drifted(index);
            self.unreported.insert(work.clone());
            let soon = Instant::now() + self.parts.times.report;
            self.report_at.get_or_insert(soon);
            if heal {
                self.heal(&work);
            }
        }
    }

    /// Makes a work due, because one of its objects is not as it should be.
    pub(super) fn heal(&mut self, name: &ObjectName) {
        let Some(run) = self.works.get_mut(name) else {
            return;
        };
        let now = Instant::now();
        let since_last = run.last_drift.map(|last| now.duration_since(last));
        let chance = fraction(&*self.parts.environment);
        let Healing { drifts, delay } = retry::heal(run.drifts, since_last, chance);
        run.drifts = drifts;
        run.last_drift = Some(now);
        self.parts.metrics.drifts.inc();
        tracing::info!(work = %name, ?delay, "an object of a work is not as it should be");
        self.queue.at_latest(name, now + delay);
    }
}
