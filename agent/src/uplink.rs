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
use crate::registration::{Asked, Introduction, Joining, Registration, RegistrationError};

/// Longest wait between two attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

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
    /// How long the bus has to refuse the credential before the token is tried. A bus that is just
    /// being started or told of its accounts refuses for a moment.
    pub refusal_grace: Duration,
}

/// Why the uplink has ended.
#[derive(Debug)]
pub enum UplinkEnd {
    /// The hub has ended the membership.
    Revoked,
    /// Joining again has made the cluster a member of another hub. Its credential is stored; what
    /// is known of works is the former hub's.
    OtherHub,
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
    /// The hub that the driver's state is of.
    pub hub_id: String,
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

/// A time in which the bus refuses the credential.
struct Refusals {
    /// From when on it is more than a bus that is just starting.
    count_from: Instant,
    /// The wish to join again.
    joining: Option<Joining>,
}

impl Refusals {
    fn counting_from(count_from: Instant) -> Self {
        Self {
            count_from,
            joining: None,
        }
    }
}

impl Uplink {
    /// Connects and serves until the membership ends.
    pub async fn run(mut self) -> UplinkEnd {
        let mut backoff = Backoff::new(Duration::from_millis(250), LONGEST_WAIT);
        let mut refusals: Option<Refusals> = None;
        loop {
            let Some(membership) = self.store.current() else {
                return UplinkEnd::Revoked;
            };
            match self.bus.connect(self.link_settings(&membership)).await {
                Ok(link) => {
                    backoff.reset();
                    refusals = None;
                    self.handle.send_replace(Some(Arc::clone(&link)));
                    let end = serve::serve(&mut self, &link).await;
                    self.handle.send_replace(None);
                    match end {
                        serve::ServeEnd::Refused(RefusalReason::Revoked) => {
                            tracing::error!(cluster = %membership.credential.cluster, "the hub has ended this cluster's membership");
                            return UplinkEnd::Revoked;
                        }
                        serve::ServeEnd::Refused(reason) => {
                            tell_of_refusal(&membership, reason);
                            refusals = Some(Refusals::counting_from(Instant::now()));
                        }
                        serve::ServeEnd::Failed(error) => return UplinkEnd::Failed(error),
                        // The driver has gone; so do we, when the agent stops.
                        serve::ServeEnd::DriverGone => std::future::pending().await,
                    }
                }
                Err(LinkError::Refused(_)) => {
                    refusals.get_or_insert_with(|| {
                        tell_of_refusal(&membership, RefusalReason::Unclear);
                        Refusals::counting_from(Instant::now() + self.times.refusal_grace)
                    });
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
            if let Some(lasting) = refusals
                .as_mut()
                .filter(|refusals| refusals.count_from <= Instant::now())
            {
                match self.join_again(&mut lasting.joining).await {
                    Ok(true) => refusals = None,
                    Ok(false) => {}
                    Err(end) => return end,
                }
            }
            backoff.wait(&*self.environment).await;
        }
    }

    /// Asks once to be let in again, where there is a token: the cluster is kept as it should be
    /// meanwhile, and the credential that is refused is tried again after this. Says whether there
    /// is a fresh one.
    async fn join_again(&mut self, joining: &mut Option<Joining>) -> Result<bool, UplinkEnd> {
        let Some((token, introduction)) = &self.rejoin else {
            return Ok(false);
        };
        let failed = |error: RegistrationError| UplinkEnd::Failed(error.into());
        let joining = match joining {
            Some(joining) => joining,
            None => {
                tracing::warn!(cluster = %introduction.cluster, "asking to be let in again");
                let fresh = self.registration.joining(token, introduction);
                joining.insert(fresh.map_err(failed)?)
            }
        };
        match joining.ask().await {
            Ok(Asked::Joined(membership)) if membership.credential.hub_id != self.hub_id => {
                Err(UplinkEnd::OtherHub)
            }
            Ok(Asked::Joined(membership)) => {
                let keys = membership.credential.signing_keys;
                // A driver that has gone is found out by the next connection.
                let _ = self.events.send(LinkEvent::Trust(keys)).await;
                Ok(true)
            }
            Ok(Asked::Waits(_) | Asked::Unanswered) => Ok(false),
            Err(RegistrationError::Link(error)) => {
                // A token that is of no use takes nothing from the credential that there is.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the join token cannot be used to join again"
                );
                self.rejoin = None;
                Ok(false)
            }
            Err(error) => Err(failed(error)),
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

/// The bus refuses the credential, and has not said that it was revoked. It may be the bus that has
/// forgotten: nothing that is here is given up for that.
fn tell_of_refusal(membership: &Membership, reason: RefusalReason) {
    let credential = &membership.credential;
    tracing::error!(
        cluster = %credential.cluster, expires_at = %credential.expires_at, ?reason,
        "the bus refuses the credential; it is kept and tried again, and the join token with it if there is one"
    );
}
