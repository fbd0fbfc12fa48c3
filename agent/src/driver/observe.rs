//! What the watches and the survey show.

use std::time::Duration;

use skein_agent_core::retry;
use skein_schema::name::ObjectName;
use tokio::time::Instant;

use super::Driver;
use super::works::Seen;
use crate::environment::fraction;
use crate::watch::WatchEvent;

/// Drifts further apart than this have nothing to do with each other.
const CALM: Duration = Duration::from_secs(60);

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
            // Watches may lag behind what a job was answered.
            if version.is_some() && version <= run.versions.get(&index).copied() {
                continue;
            }
            if let Some(version) = version {
                run.versions.insert(index, version);
            }
            run.seen
                .insert(index, object.clone().map_or(Seen::Missing, Seen::Present));
            self.unreported.insert(work.clone());
            self.report_at
                .get_or_insert(Instant::now() + self.parts.times.report);
            self.heal(&work);
        }
    }

    /// Makes a work due if one of its objects is not as it was applied.
    pub(super) fn heal(&mut self, name: &ObjectName) {
        let Some(run) = self.works.get_mut(name) else {
            return;
        };
        if run.running {
            return;
        }
        let drifted = run.seen.iter().any(|(index, seen)| {
            let live = match seen {
                Seen::Present(live) => Some(live),
                Seen::Missing => None,
            };
            match run.applied.get(index) {
                Some(applied) => match (&applied.fingerprint, &applied.body) {
                    (Some(fingerprint), Some(body)) => fingerprint.differs(body, live).is_some(),
                    // Only read, or made once: whether it is there is what matters.
                    _ => live.is_none(),
                },
                // Not applied so far, and now something is there that may change that.
                None => live.is_some(),
            }
        });
        if !drifted {
            return;
        }
        let now = Instant::now();
        if run
            .last_drift
            .is_none_or(|last| now.duration_since(last) > CALM)
        {
            run.drifts = 0;
        }
        // The first drift is healed at once; two works that fight over an object calm down.
        let chance = fraction(&*self.parts.environment);
        let delay = run
            .drifts
            .checked_sub(1)
            .map_or(Duration::ZERO, |n| retry::DRIFT.delay(n, chance));
        run.drifts = run.drifts.saturating_add(1);
        run.last_drift = Some(now);
        self.parts.metrics.drifts.inc();
        tracing::info!(work = %name, ?delay, "an object of a work is not as it should be");
        self.queue.at_latest(name, now + delay);
    }
}
