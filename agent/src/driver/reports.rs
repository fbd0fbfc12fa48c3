//! What goes to the hub.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use skein_agent_core::aggregate::{Observation, ObserveOptions};
use skein_agent_core::outcome::ManifestResult;
use skein_agent_core::report::{self, Reporting};
use skein_nats::Headers;
use skein_schema::kind::condition;
use skein_schema::kind::managed_cluster::CONDITION_JOINED;
use skein_schema::kind::manifest_work::{CONDITION_STATUS_FEEDBACK_SYNCED, ManifestWorkStatus};
use skein_schema::status::{ClusterReport, StatusMessage, StatusUpdate};

use super::work_run::{Seen, WorkRun};
use super::{Driver, clip};
use crate::inventory::Inventory;
use crate::metrics::Metrics;
use crate::outbox::{About, BATCH, Batch};
use crate::uplink::Outgoing;

impl Driver {
    /// Looks at the works that were touched, and puts what is new into the outbox.
    pub(super) fn report(&mut self) {
        self.report_at = None;
        let now = self.parts.environment.now();
        for name in std::mem::take(&mut self.unreported) {
            let (Some(held), Some(run)) = (self.parts.state.work(&name), self.works.get(&name))
            else {
                continue;
            };
            let work = &held.work;
            if held.removing || run.tried != Some((work.uid, work.generation)) {
                // The outcomes are of an older generation, or of a work that goes: a job is due.
                continue;
            }
            let previous = self
                .parts
                .reported
                .works
                .get(&name)
                .filter(|report| report.uid == work.uid);
            let withheld = withheld(run);
            let mut seen = seen(run);
            seen.extend(withheld.clone());
            let mut status = report::status(&Reporting {
                work,
                outcomes: &run.outcomes,
                seen: &seen,
                previous: previous.map(|report| &report.status),
                options: ObserveOptions::default(),
                now,
            });
            withdraw_feedback(&mut status, &withheld);
            let Some(report) = report::report(work, status, previous) else {
                continue;
            };
            let traceparent = run.traceparent.clone();
            self.parts.reported.works.insert(name.clone(), report);
            self.outbox(About::Work(name), traceparent);
        }
    }

    pub(super) fn inventoried(&mut self, inventory: Inventory) {
        let before = self.parts.reported.cluster.take().unwrap_or_default();
        let mut conditions = before.conditions.clone();
        condition::set(
            &mut conditions,
            Condition {
                type_: CONDITION_JOINED.to_owned(),
                status: "True".to_owned(),
                reason: CONDITION_JOINED.to_owned(),
                message: "the agent has taken up its credential".to_owned(),
                last_transition_time: Time(self.parts.environment.now()),
                observed_generation: None,
            },
        );
        let report = ClusterReport {
            kubernetes_version: inventory.kubernetes_version,
            capacity: inventory.capacity,
            allocatable: inventory.allocatable,
            claims: inventory.claims,
            managed_namespaces: inventory.managed_namespaces,
            conditions,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let changed = report != before;
        self.parts.reported.cluster = Some(report.clone());
        if changed {
            self.outbox(About::Cluster(Box::new(report)), None);
        }
    }

    pub(super) fn outbox(&mut self, about: About, traceparent: Option<String>) {
        self.parts.reported.outbox.push(about, traceparent);
        self.reported_changed = true;
        self.journal_soon();
        self.show_outbox();
    }

    fn show_outbox(&self) {
        let entries = self.parts.reported.outbox.len();
        self.parts
            .metrics
            .outbox
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Sends what waits, one message at a time, so that the hub gets it in order.
    pub(super) fn send_next(&mut self) {
        if self.sending.is_some()
            || self.send_at.is_some()
            || !self.parts.progress.borrow().connected
        {
            return;
        }
        let Some(batch) = self.parts.reported.outbox.next_batch(self.most) else {
            return;
        };
        let (batch, updates) = self.fill(batch);
        self.number += 1;
        let traceparent = batch
            .entries
            .first()
            .and_then(|entry| entry.traceparent.clone());
        let mut headers = Headers::new();
        if let Some(traceparent) = &traceparent {
            headers.insert("traceparent", traceparent);
        }
        let message = StatusMessage {
            session: self.parts.session,
            number: self.number,
            rev: self.parts.state.rev(),
            time: self.parts.environment.now(),
            traceparent,
            updates,
        };
        let body = serde_json::to_vec(&message)
            .expect("a status is JSON")
            .into();
        let outgoing = Outgoing::Status {
            number: self.number,
            headers,
            body,
        };
        match self.parts.outgoing.try_send(outgoing) {
            Ok(()) => self.sending = Some((self.number, batch)),
            // Full only of what an earlier connection left behind.
            Err(_) => self.send_at = Some(self.after(self.parts.times.resend)),
        }
    }

    /// The first entries of a batch, as many as one message can hold, and what they say.
    fn fill(&self, mut batch: Batch) -> (Batch, Vec<StatusUpdate>) {
        let (mut updates, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for entry in &batch.entries {
            let update = self.update(&entry.about);
            bytes += update.as_ref().map_or(0, clip::size);
            if bytes > clip::MESSAGE && taken > 0 {
                break;
            }
            taken += 1;
            updates.extend(update);
        }
        batch.entries.truncate(taken);
        (batch, updates)
    }

    fn update(&self, about: &About) -> Option<StatusUpdate> {
        match about {
            About::Cluster(report) => Some(StatusUpdate::Cluster(report.clone())),
            About::Work(name) => {
                // Forgotten since: there is nothing to tell.
                let report = self.parts.reported.works.get(name)?.clone();
                Some(StatusUpdate::Work(Box::new(clip::fit(
                    report,
                    clip::MESSAGE,
                ))))
            }
            About::Removed { name, uid } => Some(StatusUpdate::WorkRemoved {
                name: name.clone(),
                uid: *uid,
            }),
        }
    }

    pub(super) fn stored(&mut self, number: u64) {
        let Some((_, batch)) = self.sending.take_if(|(sending, _)| *sending == number) else {
            return;
        };
        Metrics::count(&self.parts.metrics.status_messages, "stored");
        self.most = BATCH;
        self.done_with(&batch);
    }

    fn done_with(&mut self, batch: &Batch) {
        self.parts.reported.outbox.done(batch);
        self.reported_changed = true;
        self.journal_soon();
        self.show_outbox();
    }

    /// The bus will never take the message. Reports behind it must not wait for ever: ever fewer
    /// are sent at once until the culprit stands alone, and that one is left out.
    pub(super) fn rejected(&mut self, number: u64) {
        let Some((_, batch)) = self.sending.take_if(|(sending, _)| *sending == number) else {
            return;
        };
        Metrics::count(&self.parts.metrics.status_messages, "refused");
        if let [entry] = batch.entries.as_slice() {
            tracing::error!(
                about = %entry.about, traceparent = entry.traceparent.as_deref(),
                "the bus refuses a report for good; it is left out until there is news"
            );
            self.most = BATCH;
            self.done_with(&batch);
        } else {
            self.most = (batch.entries.len() / 2).max(1);
        }
    }

    pub(super) fn not_stored(&mut self, number: u64) {
        if self
            .sending
            .take_if(|(sending, _)| *sending == number)
            .is_some()
        {
            Metrics::count(&self.parts.metrics.status_messages, "not_stored");
            self.send_at = Some(self.after(self.parts.times.resend));
        }
    }
}

/// The objects as they were last seen, by ordinal.
fn seen(run: &WorkRun) -> BTreeMap<i32, Observation<'_>> {
    let seen = run.seen().filter_map(|(index, seen)| {
        let observation = match seen {
            Seen::Present(live) => Observation::Present(live),
            Seen::Missing => Observation::Missing,
        };
        Some((i32::try_from(index).ok()?, observation))
    });
    seen.collect()
}

/// Why objects that the work's executor has no right to are not looked at, by ordinal.
fn withheld(run: &WorkRun) -> BTreeMap<i32, Observation<'static>> {
    let outcomes = run.outcomes.iter().enumerate();
    let hidden = outcomes.filter(|(index, _)| !run.shows(*index));
    let why = hidden.filter_map(|(index, outcome)| {
        let ManifestResult::Failed(error) = &outcome.result else {
            return None;
        };
        let observation = Observation::Failed(error.to_string());
        Some((i32::try_from(index).ok()?, observation))
    });
    why.collect()
}

/// Takes back what an earlier generation, or an executor with more rights, has told of objects.
fn withdraw_feedback(status: &mut ManifestWorkStatus, of: &BTreeMap<i32, Observation<'_>>) {
    for entry in &mut status.resource_status.manifests {
        if of.contains_key(&entry.resource_meta.ordinal) {
            entry.status_feedback.values.clear();
            let is_feedback = |kind: &str| kind == CONDITION_STATUS_FEEDBACK_SYNCED;
            entry.conditions.retain(|c| !is_feedback(&c.type_));
        }
    }
}
