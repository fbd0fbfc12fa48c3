//! The task that owns the connection: it passes on what comes from the hub, in order, and sends
//! what the driver wants sent. It decides nothing about works.

mod serve;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use skein_nats::{Headers, Message};
use skein_schema::join::JoinToken;
use skein_schema::name::SetName;
use skein_schema::sync::SyncEnd;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::credential::{CredentialStore, Membership};
use crate::environment::{Backoff, SharedEnvironment};
use crate::inventory::KubeHealth;
use crate::link::{Bus, Link, LinkError, LinkSettings, LinkState, RefusalReason};
use crate::metrics::Metrics;
use crate::registration::{Introduction, JoinProgress, Registration, RegistrationError};

/// What the hub, or the way to it, tells the driver.
#[derive(Debug)]
pub enum LinkEvent {
    /// Messages flow (again). Something may have been missed.
    Connected,
    /// They do not.
    Disconnected,
    /// A desired message, live or caught up. Nobody has checked it.
    Desired(Message),
    /// A fresh credential came; these are the hub's signing keys by id.
    Trust(BTreeMap<String, String>),
    /// A catch-up is over.
    SyncEnded(Result<SyncEnd, LinkError>),
    /// The status with this number is stored.
    Stored(u64),
    /// The status with this number is not known to be stored.
    NotStored(u64),
    /// The status with this number is refused, and would be however often it is sent.
    Rejected(u64),
}

/// What the driver wants sent.
#[derive(Debug)]
pub enum Outgoing {
    /// Ask for everything after this revision.
    Sync {
        /// The revision.
        rev: u64,
    },
    /// A status. The next one comes after this one's fate is known.
    Status {
        /// Its number.
        number: u64,
        /// Its headers.
        headers: Headers,
        /// Its body.
        body: Bytes,
    },
}

/// Where the agent stands; heartbeats and subjects are made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The desired revision it has.
    pub rev: u64,
    /// The cluster's set.
    pub set: SetName,
    /// OCM's lease duration, in seconds; heartbeats are not further apart than that.
    pub lease_duration_seconds: u32,
}

/// The connection of the moment, for those who ask the hub something on their own.
#[derive(Clone)]
pub struct LinkHandle {
    link: watch::Receiver<Option<Arc<dyn Link>>>,
    position: watch::Receiver<Position>,
}

impl LinkHandle {
    /// A handle, and the place where the uplink puts its connection.
    #[must_use]
    pub fn new(
        position: watch::Receiver<Position>,
    ) -> (Self, watch::Sender<Option<Arc<dyn Link>>>) {
        let (sender, link) = watch::channel(None);
        (Self { link, position }, sender)
    }

    /// The connection and the set's name for its subjects, if messages flow.
    #[must_use]
    pub fn current(&self) -> Option<(Arc<dyn Link>, SetName)> {
        let link = self.link.borrow().clone()?;
        let connected = matches!(*link.state().borrow(), LinkState::Connected { .. });
        connected.then(|| (link, self.position.borrow().set.clone()))
    }
}

/// Times of the uplink.
#[derive(Debug, Clone, Copy)]
pub struct UplinkTimes {
    /// Between heartbeats, before a jitter of a quarter.
    pub heartbeat: Duration,
    /// How long the bus has to refuse the credential before it counts as ended. A bus that is just
    /// being started or told of its accounts refuses for a moment.
    pub refusal_grace: Duration,
}

/// Why the uplink has ended.
#[derive(Debug)]
pub enum UplinkEnd {
    /// The hub has ended the membership.
    Revoked,
    /// Nothing can be done about it here.
    Failed(UplinkError),
}

/// Why the uplink cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The connection's settings cannot work.
    #[error("the bus cannot be used")]
    Link(#[source] LinkError),
    /// The credential cannot be renewed or kept.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
}

/// The uplink's parts.
pub struct Uplink {
    /// Connects.
    pub bus: Arc<dyn Bus>,
    /// Clock and dice.
    pub environment: SharedEnvironment,
    /// Joins again and renews.
    pub registration: Registration,
    /// The membership.
    pub store: Arc<CredentialStore>,
    /// The token to join again with, when the credential ended while the agent was cut off.
    pub rejoin: Option<(JoinToken, Introduction)>,
    /// Where the connection is put for others.
    pub handle: watch::Sender<Option<Arc<dyn Link>>>,
    /// Where the agent stands.
    pub position: watch::Receiver<Position>,
    /// How the cluster's API server is.
    pub health: watch::Receiver<KubeHealth>,
    /// To the driver.
    pub events: mpsc::Sender<LinkEvent>,
    /// From the driver.
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// The agent's run.
    pub session: Uuid,
    /// Times.
    pub times: UplinkTimes,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Uplink {
    /// Connects and serves until the membership ends.
    pub async fn run(mut self) -> UplinkEnd {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        let mut refused_since: Option<Instant> = None;
        loop {
            let Some(membership) = self.store.current() else {
                return UplinkEnd::Revoked;
            };
            match self.bus.connect(self.link_settings(&membership)).await {
                Ok(link) => {
                    backoff.reset();
                    refused_since = None;
                    self.handle.send_replace(Some(Arc::clone(&link)));
                    let end = serve::serve(&mut self, &link).await;
                    self.handle.send_replace(None);
                    match end {
                        serve::ServeEnd::Refused(reason) => {
                            if let Some(end) = self.refused(reason).await {
                                return end;
                            }
                        }
                        serve::ServeEnd::Failed(error) => return UplinkEnd::Failed(error),
                        // The driver has gone; so do we, when the agent stops.
                        serve::ServeEnd::DriverGone => std::future::pending().await,
                    }
                }
                Err(LinkError::Refused(_)) => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.times.refusal_grace {
                        refused_since = None;
                        if let Some(end) = self.refused(RefusalReason::Unclear).await {
                            return end;
                        }
                    }
                }
                Err(error @ LinkError::Settings(_)) => {
                    return UplinkEnd::Failed(UplinkError::Link(error));
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the bus cannot be reached"
                    );
                }
            }
            backoff.wait(&*self.environment).await;
        }
    }

    /// The bus has refused the credential for long enough. An ended one is replaced by joining
    /// again while the cluster is kept as it should be; a revoked one ends the membership.
    async fn refused(&self, reason: RefusalReason) -> Option<UplinkEnd> {
        let membership = self.store.current()?;
        let over = self.environment.now() >= membership.credential.expires_at;
        let ended = match reason {
            RefusalReason::Expired => false,
            RefusalReason::Revoked => true,
            RefusalReason::Unclear => !over,
        };
        if ended {
            tracing::error!(cluster = %membership.credential.cluster, "the hub has ended this cluster's membership");
            return Some(UplinkEnd::Revoked);
        }
        let Some((token, introduction)) = &self.rejoin else {
            tracing::error!(expired_at = %membership.credential.expires_at, "the credential has ended and there is no token to join again with");
            return None;
        };
        tracing::warn!("the credential has ended while the hub was out of reach; joining again");
        let log = |progress: JoinProgress| tracing::info!(?progress, "joining again");
        match self.registration.join(token, introduction, log).await {
            Ok(membership) => {
                let keys = membership.credential.signing_keys;
                // A driver that has gone is found out by the next connection.
                let _ = self.events.send(LinkEvent::Trust(keys)).await;
                None
            }
            Err(error) => Some(UplinkEnd::Failed(error.into())),
        }
    }

    fn link_settings(&self, membership: &Membership) -> LinkSettings {
        LinkSettings {
            cluster: membership.credential.cluster.clone(),
            servers: if self.registration.servers.is_empty() {
                membership.servers.clone()
            } else {
                self.registration.servers.clone()
            },
            certificate_authority: membership.bus_authority.clone(),
            credentials: Arc::clone(&self.store) as Arc<_>,
        }
    }
}
