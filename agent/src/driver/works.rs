//! Works and the jobs at them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use skein_agent_core::converge;
use skein_agent_core::outcome::{ApplyError, ManifestOutcome, ManifestResult, Retry};
use skein_agent_core::retry::{self, Backoff};
use skein_schema::desired::DesiredWork;
use skein_schema::kind::manifest_work::ManifestWorkStatus;
use skein_schema::name::ObjectName;
use tokio::task::JoinError;
use tokio::time::Instant;
use uuid::Uuid;

use super::work_run::{Attempt, WorkRun};
use super::{Driver, Progress};
use crate::environment::fraction;
use crate::metrics::Metrics;
use crate::outbox::About;
use crate::reconcile::{self, Outcome, ReconcileError, Reconciler, Removal};
use crate::watch::{Place, Wanted};

/// A job's end.
#[derive(Debug)]
pub(super) struct JobDone {
    name: ObjectName,
    uid: Uuid,
    generation: i64,
    duration: Duration,
    end: JobEnd,
}

#[derive(Debug)]
enum JobEnd {
    Applied(Result<Outcome, ReconcileError>),
    Removed(Result<Removal, ReconcileError>),
}

async fn job(
    reconciler: Arc<Reconciler>,
    work: DesiredWork,
    removing: bool,
    previous: Option<ManifestWorkStatus>,
) -> JobDone {
    let started = Instant::now();
    let end = if removing {
        JobEnd::Removed(reconciler.remove(&work.name, &work.spec).await)
    } else {
        JobEnd::Applied(reconciler.apply(&work, previous.as_ref()).await)
    };
    let DesiredWork {
        name,
        uid,
        generation,
        ..
    } = work;
    JobDone {
        name,
        uid,
        generation,
        duration: started.elapsed(),
        end,
    }
}

impl Driver {
    /// Starts jobs for what is due, as many as may run.
    pub(super) fn start_jobs(&mut self) {
        let now = Instant::now();
        while self.jobs.len() < self.parts.times.jobs {
            let Some(name) = self.queue.pop(now) else {
                return;
            };
            let Some(held) = self.parts.state.work(&name) else {
                continue;
            };
            let run = self.works.entry(name.clone()).or_default();
            if run.running {
                // One job at a work at a time; this one is started when that one ends.
                run.attempts = 0;
                run.about = None;
                continue;
            }
            if held.removing && run.removed == Some(held.work.uid) {
                continue;
            }
            let previous = self
                .parts
                .reported
                .works
                .get(&name)
                .filter(|report| report.uid == held.work.uid);
            let previous = previous.map(|report| report.status.clone());
            if !held.removing && converge::frozen(previous.as_ref()) {
                continue;
            }
            run.running = true;
            run.removed = None;
            // What `about` says afterwards tells whether something changed meanwhile.
            run.about = Some((held.work.uid, held.work.generation));
            let work = (*held.work).clone();
            self.jobs.spawn(job(
                Arc::clone(&self.parts.reconciler),
                work,
                held.removing,
                previous,
            ));
        }
    }

    pub(super) fn job_ended(&mut self, done: Result<JobDone, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                // Which work it was is not known: all that were running are tried again.
                tracing::error!(%error, "a job at a work panicked");
                let running: Vec<_> = self
                    .works
                    .iter()
                    .filter(|(_, run)| run.running)
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in running {
                    self.retry_later(&name, retry::APPLY);
                }
                return;
            }
        };
        self.parts
            .metrics
            .attempt_seconds
            .observe(done.duration.as_secs_f64());
        let Some(run) = self.works.get_mut(&done.name) else {
            return;
        };
        run.running = false;
        // The work was changed or woken while the job ran: what it found is history.
        let woken = run.about != Some((done.uid, done.generation));
        let current = self.parts.state.work(&done.name).is_some_and(|held| {
            held.work.uid == done.uid
                && held.work.generation == done.generation
                && held.removing == matches!(done.end, JobEnd::Removed(_))
        });
        if current {
            match done.end {
                JobEnd::Applied(result) => {
                    self.applied(&done.name, (done.uid, done.generation), result);
                }
                JobEnd::Removed(result) => self.removal_ended(&done.name, done.uid, result),
            }
        }
        if woken || !current {
            self.queue.at_latest(&done.name, Instant::now());
        }
    }

    fn applied(
        &mut self,
        name: &ObjectName,
        about: (Uuid, i64),
        result: Result<Outcome, ReconcileError>,
    ) {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.not_applied(name, about, &error),
        };
        let retry = if outcome.leaving > 0 {
            Retry::Backoff(retry::APPLY)
        } else {
            outcome.retry
        };
        let is_failed =
            |outcome: &&ManifestOutcome| matches!(outcome.result, ManifestResult::Failed(_));
        let failed = outcome.outcomes.iter().filter(is_failed).count();
        Metrics::count(
            &self.parts.metrics.attempts,
            if failed == 0 { "applied" } else { "incomplete" },
        );
        let (Some(run), Some(held)) = (self.works.get_mut(name), self.parts.state.work(name))
        else {
            return;
        };
        tracing::info!(
            work = %name, manifests = outcome.outcomes.len(), failed, leaving = outcome.leaving,
            traceparent = run.traceparent.as_deref(), "a work was applied"
        );
        run.take_in(Attempt {
            about,
            executor: held.work.spec.executor.is_some(),
            outcomes: outcome.outcomes,
            applied: outcome.applied,
        });
        let drifted = run.has_drifted();
        match retry {
            Retry::OnChange => {
                run.attempts = 0;
                let at = self.after(self.parts.times.resync);
                self.queue.at_latest(name, at);
            }
            Retry::Backoff(backoff) => self.retry_later(name, backoff),
            Retry::After(delay) => self.queue.at_latest(name, Instant::now() + delay),
        }
        self.watch_works();
        self.unreported.insert(name.clone());
        self.report();
        if drifted {
            // A watch has shown something newer than what the job was answered.
            self.heal(name);
        }
    }

    /// Nothing was tried, because what is owned could not be recorded. Where nothing is known of
    /// this generation yet, that is told of every manifest; later it is a passing trouble.
    fn not_applied(&mut self, name: &ObjectName, about: (Uuid, i64), error: &ReconcileError) {
        Metrics::count(&self.parts.metrics.attempts, "failed");
        let (Some(run), Some(held)) = (self.works.get_mut(name), self.parts.state.work(name))
        else {
            return;
        };
        tracing::warn!(
            work = %name, traceparent = run.traceparent.as_deref(),
            error = error as &dyn std::error::Error, "a work could not be applied"
        );
        if run.tried != Some(about) && run.attempts > 0 {
            run.take_in(Attempt {
                about,
                executor: held.work.spec.executor.is_some(),
                outcomes: reconcile::untried(&held.work, error),
                applied: BTreeMap::new(),
            });
            self.unreported.insert(name.clone());
            self.report();
        }
        self.retry_later(name, retry::APPLY);
    }

    fn removal_ended(
        &mut self,
        name: &ObjectName,
        uid: Uuid,
        result: Result<Removal, ReconcileError>,
    ) {
        let run = self.works.entry(name.clone()).or_default();
        let traceparent = run.traceparent.clone();
        match result {
            Ok(Removal::Done) => {
                Metrics::count(&self.parts.metrics.attempts, "removed");
                tracing::info!(work = %name, traceparent, "a work and what it owned are gone");
                *run = WorkRun::default();
                run.removed = Some(uid);
                run.traceparent.clone_from(&traceparent);
                self.unreported.remove(name);
                self.parts.reported.works.remove(name);
                self.outbox(
                    About::Removed {
                        name: name.clone(),
                        uid,
                    },
                    traceparent,
                );
                self.watch_works();
            }
            Ok(Removal::Waiting { objects }) => {
                Metrics::count(&self.parts.metrics.attempts, "removing");
                tracing::info!(work = %name, traceparent, objects, "objects of a removed work are not gone yet");
                self.retry_later(name, retry::APPLY);
            }
            Err(error) => {
                Metrics::count(&self.parts.metrics.attempts, "failed");
                tracing::warn!(
                    work = %name, traceparent, error = &error as &dyn std::error::Error,
                    "a work could not be removed"
                );
                self.retry_later(name, retry::APPLY);
            }
        }
    }

    /// Tries a work again, ever less often.
    pub(super) fn retry_later(&mut self, name: &ObjectName, backoff: Backoff) {
        let Some(run) = self.works.get_mut(name) else {
            return;
        };
        run.running = false;
        let delay = backoff.delay(run.attempts, fraction(&*self.parts.environment));
        run.attempts = run.attempts.saturating_add(1);
        self.queue.at_latest(name, Instant::now() + delay);
    }

    /// Looks for works on the cluster that the hub does not know. Only an agent that the hub has
    /// brought up to date can tell.
    pub(super) fn evict(&mut self) {
        self.evict_at = Some(self.after(self.parts.times.evict));
        while self.evictions.try_join_next().is_some() {}
        let Progress { connected, current } = *self.parts.progress.borrow();
        if !connected || !current || !self.evictions.is_empty() {
            return;
        }
        let known = self.parts.state.works().keys().cloned().collect();
        let (reconciler, now) = (
            Arc::clone(&self.parts.reconciler),
            self.parts.environment.now(),
        );
        let grace = self.parts.times.eviction_grace;
        self.evictions.spawn(async move {
            if let Err(error) = reconciler.evict(&known, grace, now).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "works that the hub does not know cannot be looked for"
                );
            }
        });
    }

    /// The hub can be asked again: works whose contents were missing are due.
    pub(super) fn retry_contents(&mut self) {
        let lacks_content = |outcome: &ManifestOutcome| {
            matches!(
                outcome.result,
                ManifestResult::Failed(ApplyError::Content(_))
            )
        };
        let waiting = |run: &WorkRun| run.outcomes.iter().any(lacks_content);
        let names: Vec<_> = self
            .works
            .iter()
            .filter(|(_, run)| waiting(run))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.wake(&name, None);
        }
    }

    /// Watches what the works consist of, and nothing else.
    pub(super) fn watch_works(&mut self) {
        let mut wanted: Wanted = BTreeMap::new();
        self.index.clear();
        for (name, run) in &self.works {
            for (index, outcome) in run.outcomes.iter().enumerate() {
                let resource = &outcome.resource;
                let unknown = resource.resource.is_empty() || resource.name.is_empty();
                if unknown || !run.shows(index) {
                    continue;
                }
                let api_version = if resource.group.is_empty() {
                    resource.version.clone()
                } else {
                    format!("{}/{}", resource.group, resource.version)
                };
                let place = Place {
                    api_version,
                    plural: resource.resource.clone(),
                    namespace: resource.namespace.clone(),
                };
                let (_, names) = wanted
                    .entry(place.clone())
                    .or_insert_with(|| (resource.kind.clone(), BTreeSet::new()));
                names.insert(resource.name.clone());
                let manifests = self
                    .index
                    .entry((place, resource.name.clone()))
                    .or_default();
                manifests.push((name.clone(), index));
            }
        }
        self.parts.watches.set(wanted);
    }
}
