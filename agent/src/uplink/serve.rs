//! One connection's life: everything that goes through it, in one loop.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use skein_schema::status::Heartbeat;
use skein_schema::sync::{SyncEnd, SyncRequest};
use tokio::time::Instant;

use super::{LinkEvent, Outgoing, Uplink, UplinkError};
use crate::environment::jittered;
use crate::inventory::KubeHealth;
use crate::link::{Link, LinkError, LinkState, RefusalReason, SyncAnswer};

/// How a connection's life ended.
pub(super) enum ServeEnd {
    /// The bus refuses the credential and goes on doing so.
    Refused(RefusalReason),
    /// Nothing can be done about it here.
    Failed(UplinkError),
    /// Nobody listens any more.
    DriverGone,
}

type Answers = BoxStream<'static, Result<SyncAnswer, LinkError>>;
type Report = BoxFuture<'static, (u64, Result<(), LinkError>)>;

/// A connection, and what is under way on it.
struct Serving<'a> {
    uplink: &'a mut Uplink,
    link: &'a Arc<dyn Link>,
    /// A catch-up.
    answers: Option<Answers>,
    /// A status that waits for its confirmation.
    report: Option<Report>,
    /// When a refusal counts, and what it is for.
    refusal: Option<(Instant, RefusalReason)>,
    beat_at: Instant,
}

/// Serves a connection until it ends.
pub(super) async fn serve(uplink: &mut Uplink, link: &Arc<dyn Link>) -> ServeEnd {
    let (answers, report, refusal, beat_at) = (None, None, None, Instant::now());
    let mut serving = Serving {
        uplink,
        link,
        answers,
        report,
        refusal,
        beat_at,
    };
    serving.run().await.unwrap_or_else(|end| end)
}

impl Serving<'_> {
    async fn run(&mut self) -> Result<ServeEnd, ServeEnd> {
        let mut state = self.link.state();
        // Listen first, ask then: what is published in between is seen twice rather than never.
        let desired = self.link.desired().await;
        let mut desired = desired.map_err(|error| ServeEnd::Failed(UplinkError::Link(error)))?;
        let mut renewal = self.renewal();
        let mut health = self.uplink.health.clone();
        health.mark_unchanged();
        state.mark_changed();
        loop {
            tokio::select! {
                changed = state.changed() => {
                    changed.map_err(|_| ServeEnd::Refused(RefusalReason::Unclear))?;
                    let now = state.borrow_and_update().clone();
                    self.changed(&now).await?;
                }
                Some(message) = desired.next() => self.tell(LinkEvent::Desired(message)).await?,
                answer = next(&mut self.answers) => self.answered(answer).await?,
                (number, stored) = maybe(&mut self.report) => self.reported(number, stored).await?,
                wanted = self.uplink.outgoing.recv() => {
                    self.send(wanted.ok_or(ServeEnd::DriverGone)?).await?;
                }
                () = tokio::time::sleep_until(self.beat_at) => self.beat().await,
                Ok(()) = health.changed() => self.beat_at = Instant::now(),
                renewed = &mut renewal => {
                    let keys = renewed.map_err(ServeEnd::Failed)?;
                    self.tell(LinkEvent::Trust(keys)).await?;
                    // The fresh credential is used by connecting anew; subscriptions are kept.
                    self.link.reconnect().await;
                    renewal = self.renewal();
                }
                reason = refused(self.refusal) => return Ok(ServeEnd::Refused(reason)),
            }
        }
    }

    async fn tell(&mut self, event: LinkEvent) -> Result<(), ServeEnd> {
        self.uplink
            .events
            .send(event)
            .await
            .map_err(|_| ServeEnd::DriverGone)
    }

    async fn changed(&mut self, state: &LinkState) -> Result<(), ServeEnd> {
        match state {
            LinkState::Connected { .. } => {
                self.refusal = None;
                self.beat_at = Instant::now();
                self.tell(LinkEvent::Connected).await
            }
            LinkState::Disconnected => {
                self.refusal = None;
                self.tell(LinkEvent::Disconnected).await
            }
            LinkState::Refused(RefusalReason::Revoked) => {
                // There is nothing unclear about it.
                Err(ServeEnd::Refused(RefusalReason::Revoked))
            }
            LinkState::Refused(reason) => {
                let deadline = Instant::now() + self.uplink.times.refusal_grace;
                self.refusal.get_or_insert((deadline, *reason));
                self.tell(LinkEvent::Disconnected).await
            }
        }
    }

    async fn answered(
        &mut self,
        answer: Option<Result<SyncAnswer, LinkError>>,
    ) -> Result<(), ServeEnd> {
        let ended = match answer {
            Some(Ok(SyncAnswer::Desired(message))) => {
                return self.tell(LinkEvent::Desired(message)).await;
            }
            // Not asked for here.
            Some(Ok(SyncAnswer::Content(_))) => return Ok(()),
            Some(Ok(SyncAnswer::End(end))) => Ok(end),
            Some(Err(error)) => Err(error),
            // Cut short: what came has been passed on, the rest is asked for again.
            None => Ok(SyncEnd::More),
        };
        self.answers = None;
        self.tell(LinkEvent::SyncEnded(ended)).await
    }

    async fn reported(
        &mut self,
        number: u64,
        stored: Result<(), LinkError>,
    ) -> Result<(), ServeEnd> {
        self.report = None;
        match stored {
            Ok(()) => self.tell(LinkEvent::Stored(number)).await,
            Err(error) => {
                tracing::warn!(
                    number,
                    error = &error as &dyn std::error::Error,
                    "a status is not known to be stored"
                );
                let event = match error {
                    LinkError::Rejected(_) => LinkEvent::Rejected(number),
                    _ => LinkEvent::NotStored(number),
                };
                self.tell(event).await
            }
        }
    }

    async fn send(&mut self, wanted: Outgoing) -> Result<(), ServeEnd> {
        let set = self.uplink.position.borrow().set.clone();
        match wanted {
            Outgoing::Sync { rev } => {
                let request = SyncRequest::Desired {
                    session: self.uplink.session,
                    rev,
                };
                match self.link.sync(&set, &request).await {
                    Ok(answers) => self.answers = Some(answers),
                    Err(error) => self.tell(LinkEvent::SyncEnded(Err(error))).await?,
                }
            }
            Outgoing::Status {
                number,
                headers,
                body,
            } => {
                let link = Arc::clone(self.link);
                self.report = Some(Box::pin(async move {
                    (number, link.status(&set, headers, body).await)
                }));
            }
        }
        Ok(())
    }

    /// Renews the credential once, when its time has come; gives the hub's signing keys.
    fn renewal(&self) -> BoxFuture<'static, Result<BTreeMap<String, String>, UplinkError>> {
        let registration = self.uplink.registration.clone();
        let position = self.uplink.position.clone();
        let link = Arc::clone(self.link);
        Box::pin(async move {
            let Some(membership) = registration.store.current() else {
                return std::future::pending().await;
            };
            let set = || position.borrow().set.clone();
            let renewed = registration.renew(&*link, &membership, set).await?;
            Ok(renewed.credential.signing_keys)
        })
    }

    async fn beat(&mut self) {
        self.beat_at = Instant::now() + self.beat_interval();
        if !matches!(*self.link.state().borrow(), LinkState::Connected { .. }) {
            // A heartbeat that waits for the bus would tell of a past moment.
            return;
        }
        let position = self.uplink.position.borrow().clone();
        let (kube_api_healthy, message) = match self.uplink.health.borrow().clone() {
            KubeHealth::Healthy => (true, None),
            KubeHealth::Unhealthy(message) => (false, Some(message)),
        };
        let beat = Heartbeat {
            session: self.uplink.session,
            time: self.uplink.environment.now(),
            rev: position.rev,
            kube_api_healthy,
            message,
        };
        match self.link.beat(&position.set, &beat).await {
            Ok(()) => {
                self.uplink.metrics.heartbeats.inc();
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no heartbeat was sent"
                );
            }
        }
    }

    /// The time to the next heartbeat: as set, but never further apart than the lease allows.
    fn beat_interval(&self) -> Duration {
        let lease = self.uplink.position.borrow().lease_duration_seconds.max(1);
        let interval = self
            .uplink
            .times
            .heartbeat
            .min(Duration::from_secs(lease.into()));
        jittered(&*self.uplink.environment, interval, 0.25)
    }
}

/// The next answer of a catch-up that is under way.
async fn next(answers: &mut Option<Answers>) -> Option<Result<SyncAnswer, LinkError>> {
    match answers {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

/// The end of what is under way, if anything is.
async fn maybe<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Done when a refusal has lasted long enough to count; says what it is for.
async fn refused(refusal: Option<(Instant, RefusalReason)>) -> RefusalReason {
    match refusal {
        Some((deadline, reason)) => {
            tokio::time::sleep_until(deadline).await;
            reason
        }
        None => std::future::pending().await,
    }
}
