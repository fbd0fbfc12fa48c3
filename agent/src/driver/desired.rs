//! What comes from the hub.

use skein_agent_core::state::{Acceptance, Applied};
use skein_nats::Message;
use skein_schema::desired::{DesiredHeader, headers};
use skein_schema::name::{ObjectName, SetName};
use skein_schema::sync::SyncEnd;
use tokio::time::Instant;

use super::{DEFAULT_LEASE_SECONDS, Driver};
use crate::link::LinkError;
use crate::metrics::Metrics;
use crate::outbox::About;
use crate::uplink::{LinkEvent, Outgoing, Position};

impl Driver {
    pub(super) fn link_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => {
                self.connected(true);
                self.syncing = false;
                self.barren = 0;
                self.sync();
                self.retry_contents();
            }
            LinkEvent::Disconnected => {
                self.connected(false);
                self.syncing = false;
            }
            LinkEvent::Desired(message) => self.desired(&message),
            LinkEvent::SyncEnded(end) => self.sync_ended(end),
            LinkEvent::Trust(keys) => {
                self.parts.state.trust(keys);
                self.desired_changed = true;
                self.journal_soon();
            }
            LinkEvent::Stored(number) => self.stored(number),
            LinkEvent::NotStored(number) => self.not_stored(number),
            LinkEvent::Rejected(number) => self.rejected(number),
        }
    }

    fn connected(&mut self, connected: bool) {
        self.parts.metrics.connected.set(i64::from(connected));
        self.parts.progress.send_if_modified(|progress| {
            let changed = progress.connected != connected;
            progress.connected = connected;
            changed
        });
        self.send_at = None;
        if !connected {
            // Its answer will not come; what was not confirmed is sent again.
            self.sending = None;
        }
    }

    /// Asks for what was missed, unless that is under way.
    pub(super) fn sync(&mut self) {
        self.sync_at = self.after(self.parts.times.sync);
        if self.syncing || !self.parts.progress.borrow().connected {
            return;
        }
        self.asked = self.parts.state.rev();
        let request = Outgoing::Sync { rev: self.asked };
        // The queue is full only of what an earlier connection left behind: ask again soon.
        self.syncing = self.parts.outgoing.try_send(request).is_ok();
        if !self.syncing {
            self.sync_soon();
        }
    }

    fn sync_ended(&mut self, end: Result<SyncEnd, LinkError>) {
        self.syncing = false;
        match end {
            Ok(SyncEnd::Current { rev, clusterset }) => self.caught_up(rev, clusterset),
            Ok(SyncEnd::More) if self.parts.state.rev() > self.asked => self.sync(),
            // Nothing of it could be taken in, and the same would come again.
            Ok(SyncEnd::More) => self.sync_in_vain(),
            Ok(SyncEnd::Sent) => {
                tracing::warn!("the hub answered a catch-up as if it were a content");
            }
            Ok(SyncEnd::Refused(refusal)) => {
                tracing::warn!(code = %refusal.code, %refusal, "the hub refuses to send what was missed");
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what was missed could not be asked for"
                );
                // Soon, but not at once: a hub that is just starting needs a moment.
                self.sync_at = self.after(self.parts.times.resend);
            }
        }
    }

    /// The hub has sent all that there is up to `rev`. The agent is up to date only if it could
    /// take that in: of a hub that is newer than itself it may understand nothing.
    fn caught_up(&mut self, rev: u64, clusterset: SetName) {
        if clusterset != self.parts.position.borrow().set {
            self.parts
                .position
                .send_modify(|position| position.set = clusterset);
        }
        let have = self.parts.state.rev();
        let is_current = rev <= have;
        self.parts.progress.send_if_modified(|progress| {
            std::mem::replace(&mut progress.current, is_current) != is_current
        });
        if !is_current {
            tracing::error!(
                have,
                hub = rev,
                "what the hub has sent could not be taken in; it is asked again"
            );
            self.evict_at = None;
            self.sync_in_vain();
            return;
        }
        if rev < have {
            tracing::error!(have, hub = rev, "the hub knows less than it once signed");
        }
        self.evict_at.get_or_insert(Instant::now());
        // What came while the hub was answering may not be in its answer.
        if std::mem::take(&mut self.early) > have {
            self.sync_soon();
        }
    }

    /// A catch-up has ended without all that it was for: the next one waits, the longer the more
    /// often that happens.
    fn sync_in_vain(&mut self) {
        self.sync_soon();
        if self.parts.state.rev() == self.asked {
            self.barren = self.barren.saturating_add(1);
        }
    }

    fn desired(&mut self, message: &Message) {
        let cluster = self.parts.state.cluster().clone();
        let signature = message.headers.get(headers::SIGNATURE).unwrap_or_default();
        let header = match DesiredHeader::from_headers(cluster, |name| message.headers.get(name)) {
            Ok(header) => header,
            Err(error) => {
                self.count("malformed");
                tracing::warn!(subject = %message.subject, %error, "a desired message without its headers is left alone");
                return;
            }
        };
        match self.parts.state.accept(&header, &message.body, signature) {
            Acceptance::Applied(applied) => {
                self.count("applied");
                tracing::debug!(rev = applied.rev, traceparent = ?applied.traceparent, "a desired message was taken in");
                self.wanted(applied);
            }
            Acceptance::Partial { part, parts } => {
                self.count("partial");
                tracing::debug!(part, parts, "a part of a snapshot");
            }
            Acceptance::Stale { .. } => self.count("stale"),
            Acceptance::Gap { have, got } => {
                self.count("gap");
                tracing::info!(have, got, "desired messages were missed");
                self.early = self.early.max(got);
                self.sync();
            }
            Acceptance::Rejected(rejection) => {
                self.count("rejected");
                tracing::warn!(subject = %message.subject, %rejection, "a desired message is not the hub's or makes no sense; it is left alone");
                self.sync_soon();
            }
        }
    }

    /// Whoever plants messages must not make the agent ask all the time.
    fn sync_soon(&mut self) {
        let times = &self.parts.times;
        let wait = times.resend.saturating_mul(1 << self.barren.min(16));
        let soon = self.after(wait.min(times.sync));
        self.sync_at = self.sync_at.min(soon);
    }

    fn count(&self, result: &'static str) {
        Metrics::count(&self.parts.metrics.desired_messages, result);
    }

    fn wanted(&mut self, applied: Applied) {
        self.barren = 0;
        self.desired_changed = true;
        self.journal_soon();
        for (name, _) in &applied.forgotten {
            self.forget(name);
        }
        if applied.snapshot {
            let works = self.parts.state.works();
            let unknown: Vec<ObjectName> = self
                .works
                .keys()
                .filter(|name| !works.contains_key(*name))
                .cloned()
                .collect();
            for name in unknown {
                self.forget(&name);
            }
        }
        for (name, uid) in applied.unknown {
            self.outbox(About::Removed { name, uid }, applied.traceparent.clone());
        }
        for name in &applied.touched {
            self.wake(name, applied.traceparent.as_ref());
        }
        self.publish_position();
        self.keep_contents();
    }

    /// A work was given to us, or changed: it is due now.
    pub(super) fn wake(&mut self, name: &ObjectName, traceparent: Option<&String>) {
        let run = self.works.entry(name.clone()).or_default();
        run.attempts = 0;
        if traceparent.is_some() {
            run.traceparent = traceparent.cloned();
        }
        self.queue.at_latest(name, Instant::now());
    }

    /// The hub has no such work any more.
    fn forget(&mut self, name: &ObjectName) {
        self.works.remove(name);
        self.queue.remove(name);
        self.unreported.remove(name);
        if self.parts.reported.works.remove(name).is_some() {
            self.reported_changed = true;
        }
        self.watch_works();
    }

    pub(super) fn publish_position(&mut self) {
        let state = &self.parts.state;
        let settings = state.settings();
        self.parts
            .metrics
            .desired_rev
            .set(i64::try_from(state.rev()).unwrap_or(i64::MAX));
        self.parts
            .metrics
            .works
            .set(i64::try_from(state.works().len()).unwrap_or(i64::MAX));
        self.parts.position.send_if_modified(|position| {
            let now = Position {
                rev: state.rev(),
                set: settings.map_or_else(
                    || position.set.clone(),
                    |settings| settings.clusterset.clone(),
                ),
                lease_duration_seconds: settings.map_or(DEFAULT_LEASE_SECONDS, |settings| {
                    settings.lease_duration_seconds
                }),
            };
            let changed = *position != now;
            *position = now;
            changed
        });
        let wanted = settings
            .map(|settings| settings.managed_namespaces.clone())
            .unwrap_or_default();
        self.parts.namespaces.send_if_modified(|namespaces| {
            let changed = *namespaces != wanted;
            *namespaces = wanted;
            changed
        });
    }

    fn keep_contents(&self) {
        let works = self.parts.state.works().values();
        let wanted = works
            .flat_map(|held| &held.work.spec.workload.manifests)
            .filter_map(|manifest| Some(manifest.content()?.digest.clone()))
            .collect();
        if let Err(error) = self.parts.contents.keep_only(&wanted) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "contents that no work names are still on disk"
            );
        }
    }
}
