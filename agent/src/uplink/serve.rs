//! One connection's life: everything that goes through it, in one loop.

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
use crate::link::{Link, LinkError, LinkState, SyncAnswer};

/// How a connection's life ended.
pub(super) enum ServeEnd {
    /// The bus refuses the credential and goes on doing so.
    Refused {
        /// It says that the credential's time is over.
        expired: bool,
    },
    /// Nothing can be done about it here.
    Failed(UplinkError),
    /// Nobody listens any more.
    DriverGone,
}

type Answers = BoxStream<'static, Result<SyncAnswer, LinkError>>;

/// Serves a connection until it ends.
pub(super) async fn serve(uplink: &mut Uplink, link: &Arc<dyn Link>) -> ServeEnd {
    match try_serve(uplink, link).await {
        Ok(end) => end,
        Err(Gone) => ServeEnd::DriverGone,
    }
}

/// The driver's end of the channel is closed.
struct Gone;

async fn try_serve(uplink: &mut Uplink, link: &Arc<dyn Link>) -> Result<ServeEnd, Gone> {
    let mut state = link.state();
    // Listen first, ask then: what is published in between is seen twice rather than never.
    let mut desired = match link.desired().await {
        Ok(desired) => desired,
        Err(error) => return Ok(ServeEnd::Failed(UplinkError::Link(error))),
    };
    let registration = uplink.registration.clone();
    let mut renewal = Some(renew(uplink, &registration, link));
    let mut answers: Option<Answers> = None;
    let mut status: Option<BoxFuture<'_, (u64, Result<(), LinkError>)>> = None;
    let mut refusal: Option<(Instant, bool)> = None;
    let mut beat_at = Instant::now();
    let mut health = uplink.health.clone();
    health.mark_unchanged();
    state.mark_changed();

    loop {
        tokio::select! {
            changed = state.changed() => {
                if changed.is_err() { return Ok(ServeEnd::Refused { expired: false }); }
                let now = state.borrow_and_update().clone();
                match now {
                    LinkState::Connected { .. } => {
                        refusal = None;
                        beat_at = Instant::now();
                        uplink.tell(LinkEvent::Connected).await?;
                    }
                    LinkState::Disconnected => {
                        refusal = None;
                        uplink.tell(LinkEvent::Disconnected).await?;
                    }
                    LinkState::Refused { expired } => {
                        refusal.get_or_insert((Instant::now() + uplink.times.refusal_grace, expired));
                        uplink.tell(LinkEvent::Disconnected).await?;
                    }
                }
            }
            Some(message) = desired.next() => uplink.tell(LinkEvent::Desired(message)).await?,
            answer = next(&mut answers) => {
                let ended = match answer {
                    Some(Ok(SyncAnswer::Desired(message))) => {
                        uplink.tell(LinkEvent::Desired(message)).await?;
                        None
                    }
                    // Not asked for here.
                    Some(Ok(SyncAnswer::Content(_))) => None,
                    Some(Ok(SyncAnswer::End(end))) => Some(Ok(end)),
                    Some(Err(error)) => Some(Err(error)),
                    None => Some(Ok(SyncEnd::More)),
                };
                if let Some(ended) = ended {
                    answers = None;
                    uplink.tell(LinkEvent::SyncEnded(ended)).await?;
                }
            }
            (number, stored) = maybe(&mut status) => {
                status = None;
                match stored {
                    Ok(()) => uplink.tell(LinkEvent::Stored(number)).await?,
                    Err(error) => {
                        tracing::warn!(number, error = &error as &dyn std::error::Error, "a status is not known to be stored");
                        uplink.tell(LinkEvent::NotStored(number)).await?;
                    }
                }
            }
            wanted = uplink.outgoing.recv() => {
                let set = uplink.position.borrow().set.clone();
                match wanted.ok_or(Gone)? {
                    Outgoing::Sync { rev } => {
                        let request = SyncRequest::Desired { session: uplink.session, rev };
                        match link.sync(&set, &request).await {
                            Ok(stream) => answers = Some(stream),
                            Err(error) => uplink.tell(LinkEvent::SyncEnded(Err(error))).await?,
                        }
                    }
                    Outgoing::Status { number, headers, body } => {
                        let link = Arc::clone(link);
                        status = Some(Box::pin(async move { (number, link.status(&set, headers, body).await) }));
                    }
                }
            }
            () = tokio::time::sleep_until(beat_at) => {
                beat(uplink, &**link).await;
                beat_at = Instant::now() + beat_interval(uplink);
            }
            Ok(()) = health.changed() => beat_at = Instant::now(),
            renewed = maybe(&mut renewal) => {
                match renewed {
                    // The fresh credential is used by connecting anew; subscriptions are kept.
                    Ok(()) => {
                        link.reconnect().await;
                        renewal = Some(renew(uplink, &registration, link));
                    }
                    Err(error) => return Ok(ServeEnd::Failed(error)),
                }
            }
            () = until(refusal.map(|(deadline, _)| deadline)) => {
                let expired = refusal.is_some_and(|(_, expired)| expired);
                return Ok(ServeEnd::Refused { expired });
            }
        }
    }
}

impl Uplink {
    async fn tell(&self, event: LinkEvent) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }
}

/// Renews the credential once, when its time has come.
fn renew<'a>(
    uplink: &Uplink,
    registration: &'a crate::registration::Registration,
    link: &Arc<dyn Link>,
) -> BoxFuture<'a, Result<(), UplinkError>> {
    let (store, position, link) = (
        Arc::clone(&uplink.store),
        uplink.position.clone(),
        Arc::clone(link),
    );
    Box::pin(async move {
        match store.current() {
            Some(membership) => {
                registration
                    .renew(&*link, &membership, || position.borrow().set.clone())
                    .await?;
                Ok(())
            }
            None => std::future::pending().await,
        }
    })
}

async fn beat(uplink: &Uplink, link: &dyn Link) {
    let connected = matches!(*link.state().borrow(), LinkState::Connected { .. });
    if !connected {
        // A heartbeat that waits for the bus would tell of a past moment.
        return;
    }
    let position = uplink.position.borrow().clone();
    let (kube_api_healthy, message) = match uplink.health.borrow().clone() {
        KubeHealth::Healthy => (true, None),
        KubeHealth::Unhealthy(message) => (false, Some(message)),
    };
    let beat = Heartbeat {
        session: uplink.session,
        time: uplink.now(),
        rev: position.rev,
        kube_api_healthy,
        message,
    };
    match link.beat(&position.set, &beat).await {
        Ok(()) => {
            uplink.metrics.heartbeats.inc();
        }
        Err(error) => tracing::debug!(
            error = &error as &dyn std::error::Error,
            "no heartbeat was sent"
        ),
    }
}

/// The time to the next heartbeat: as set, but never further apart than the lease allows.
fn beat_interval(uplink: &Uplink) -> Duration {
    let lease = Duration::from_secs(u64::from(
        uplink.position.borrow().lease_duration_seconds.max(1),
    ));
    jittered(
        &*uplink.environment,
        uplink.times.heartbeat.min(lease),
        0.25,
    )
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

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
