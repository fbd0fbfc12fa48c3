//! The link over NATS: one connection, plain subscriptions, no JetStream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_nats::connect::{
    ConnectError, Connection, ConnectionEvent, Credentials, PublishError, Refusal, RequestError,
    Retry, Settings, Tls, UserCredentials, connect,
};
use skein_nats::{Headers, Message};
use skein_schema::join::{JoinAnswer, JoinRequest, JoinToken, RenewRequest};
use skein_schema::name::{ClusterName, SetName};
use skein_schema::status::Heartbeat;
use skein_schema::subject;
use skein_schema::sync::{PART_HEADER, SyncPart, SyncRequest};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::{Bus, JoinLink, Link, LinkError, LinkSettings, LinkState, RefusalReason, SyncAnswer};

/// Longest silence between two answers to one catch-up request.
const SYNC_PATIENCE: Duration = Duration::from_secs(10);

/// Connects by NATS.
#[derive(Debug, Clone, Copy, Default)]
pub struct NatsBus;

impl Bus for NatsBus {
    fn bootstrap<'a>(
        &'a self,
        token: &'a JoinToken,
        servers: &'a [String],
    ) -> BoxFuture<'a, Result<Box<dyn JoinLink>, LinkError>> {
        Box::pin(async move {
            let credentials = UserCredentials {
                jwt: token.jwt.clone(),
                seed: token.seed.clone(),
            };
            let mut settings = Settings::new(
                servers.to_vec(),
                format!("skein-agent join {}", token.token),
                Credentials::Fixed(credentials),
                subject::join_inbox_prefix(token.token.as_str()),
            );
            settings.retry = Retry::No;
            settings.tls = tls(token.certificate_authority.as_ref());
            let connection = connect(&settings).await.map_err(from_connect)?;
            Ok(Box::new(NatsJoin {
                subject: subject::join(&token.token),
                connection,
            }) as Box<dyn JoinLink>)
        })
    }

    fn connect(&self, settings: LinkSettings) -> BoxFuture<'_, Result<Arc<dyn Link>, LinkError>> {
        Box::pin(async move {
            let mut nats = Settings::new(
                settings.servers,
                format!("skein-agent {}", settings.cluster),
                Credentials::Source(settings.credentials),
                subject::inbox_prefix(settings.cluster.as_str()),
            );
            nats.tls = tls(settings.certificate_authority.as_ref());
            let connection = connect(&nats).await.map_err(from_connect)?;
            Ok(Arc::new(NatsLink::new(settings.cluster, connection)) as Arc<dyn Link>)
        })
    }
}

fn tls(authority: Option<&String>) -> Option<Tls> {
    authority.map(|authority| Tls {
        authority: Some(authority.clone()),
        client: None,
    })
}

struct NatsJoin {
    subject: String,
    connection: Connection,
}

impl JoinLink for NatsJoin {
    fn join<'a>(
        &'a self,
        request: &'a JoinRequest,
    ) -> BoxFuture<'a, Result<JoinAnswer, LinkError>> {
        Box::pin(ask(&self.connection, &self.subject, request))
    }
}

struct NatsLink {
    cluster: ClusterName,
    connection: Connection,
    state: watch::Receiver<LinkState>,
    /// Ends with the link.
    _follower: JoinSet<()>,
}

impl NatsLink {
    fn new(cluster: ClusterName, connection: Connection) -> Self {
        let (sender, state) = watch::channel(LinkState::Connected { times: 1 });
        let mut follower = JoinSet::new();
        follower.spawn(follow(connection.clone(), connection.events(), sender));
        Self {
            cluster,
            connection,
            state,
            _follower: follower,
        }
    }
}

/// Turns what happens to the connection into its state.
async fn follow(
    connection: Connection,
    mut events: broadcast::Receiver<ConnectionEvent>,
    state: watch::Sender<LinkState>,
) {
    let mut times = 1;
    loop {
        let next = match events.recv().await {
            Ok(ConnectionEvent::Connected) => {
                times += 1;
                LinkState::Connected { times }
            }
            Ok(ConnectionEvent::Disconnected | ConnectionEvent::Closed) => LinkState::Disconnected,
            Ok(ConnectionEvent::Refused(refusal)) => LinkState::Refused(reason(&refusal)),
            Ok(_) => continue,
            // We fell behind: what counts is how it is now. A reconnection may be among what was
            // missed, so it counts as one.
            Err(broadcast::error::RecvError::Lagged(_)) if connection.is_connected() => {
                times += 1;
                LinkState::Connected { times }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => LinkState::Disconnected,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        // A refusal is followed by the disconnection it causes: the reason is worth more.
        state.send_if_modified(|now| {
            let hides = match (&*now, &next) {
                (LinkState::Refused(_), LinkState::Disconnected) => true,
                // What the server says at the next attempt is less clear.
                (LinkState::Refused(known), LinkState::Refused(RefusalReason::Unclear)) => {
                    *known != RefusalReason::Unclear
                }
                _ => false,
            };
            let changed = !hides && *now != next;
            if changed {
                *now = next;
            }
            changed
        });
    }
}

fn reason(refusal: &Refusal) -> RefusalReason {
    match refusal {
        Refusal::Expired => RefusalReason::Expired,
        Refusal::Revoked => RefusalReason::Revoked,
        Refusal::Violation => RefusalReason::Unclear,
    }
}

impl Link for NatsLink {
    fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    fn desired(&self) -> BoxFuture<'_, Result<BoxStream<'static, Message>, LinkError>> {
        Box::pin(async move {
            let subject = subject::live_desired_of(&self.cluster);
            let subscription = self
                .connection
                .subscribe(&subject)
                .await
                .map_err(from_publish)?;
            // What came earlier is asked for on the same connection, so the server reads it after this.
            Ok(subscription.boxed())
        })
    }

    fn sync<'a>(
        &'a self,
        set: &'a SetName,
        request: &'a SyncRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<SyncAnswer, LinkError>>, LinkError>> {
        Box::pin(async move {
            let subject = subject::sync(set, &self.cluster);
            let answers = self
                .connection
                .request_many(&subject, Headers::new(), to_bytes(request))
                .await
                .map_err(from_request)?;
            // The stream is over after the end of the answers or the first error.
            let stream = futures::stream::unfold(Some(answers), |answers| async move {
                let mut answers = answers?;
                let next = match answers.next(SYNC_PATIENCE).await {
                    Ok(message) => sync_answer(message),
                    Err(error) => Err(from_request(error)),
                };
                let over = matches!(next, Ok(SyncAnswer::End(_)) | Err(_));
                Some((next, (!over).then_some(answers)))
            });
            Ok(stream.boxed())
        })
    }

    fn status<'a>(
        &'a self,
        set: &'a SetName,
        headers: Headers,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            let subject = subject::status(set, &self.cluster);
            let stored =
                skein_nats::status::report(&self.connection, &subject, headers, body).await;
            stored.map_err(|error| {
                if error.is_final() {
                    LinkError::Rejected(error.into())
                } else {
                    LinkError::Unreachable(error.into())
                }
            })
        })
    }

    fn beat<'a>(
        &'a self,
        set: &'a SetName,
        beat: &'a Heartbeat,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            let subject = subject::beat(set, &self.cluster);
            self.connection
                .publish(&subject, Headers::new(), to_bytes(beat))
                .await
                .map_err(from_publish)
        })
    }

    fn renew<'a>(
        &'a self,
        set: &'a SetName,
        request: &'a RenewRequest,
    ) -> BoxFuture<'a, Result<JoinAnswer, LinkError>> {
        Box::pin(async move {
            let subject = subject::renew(set, &self.cluster);
            ask(&self.connection, &subject, request).await
        })
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.connection.reconnect())
    }
}

fn sync_answer(message: Message) -> Result<SyncAnswer, LinkError> {
    match message.headers.get(PART_HEADER).and_then(SyncPart::parse) {
        Some(SyncPart::Desired) => Ok(SyncAnswer::Desired(message)),
        Some(SyncPart::Content) => Ok(SyncAnswer::Content(message.body)),
        Some(SyncPart::End) => serde_json::from_slice(&message.body)
            .map(SyncAnswer::End)
            .map_err(LinkError::Answer),
        None => Err(LinkError::Answer(serde::de::Error::custom(format_args!(
            "header {PART_HEADER} is missing or unknown"
        )))),
    }
}

async fn ask<Q: Serialize, A: DeserializeOwned>(
    connection: &Connection,
    subject: &str,
    question: &Q,
) -> Result<A, LinkError> {
    let answer = connection
        .request(subject, Headers::new(), to_bytes(question))
        .await
        .map_err(from_request)?;
    serde_json::from_slice(&answer.body).map_err(LinkError::Answer)
}

fn to_bytes<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value)
        .expect("messages of the schema are JSON")
        .into()
}

fn from_connect(error: ConnectError) -> LinkError {
    match error {
        ConnectError::Refused { .. } => LinkError::Refused(error.into()),
        ConnectError::Unreachable { .. } => LinkError::Unreachable(error.into()),
        ConnectError::Credentials { .. }
        | ConnectError::Tls { .. }
        | ConnectError::Address { .. } => LinkError::Settings(error.into()),
    }
}

fn from_request(error: RequestError) -> LinkError {
    LinkError::Unreachable(error.into())
}

fn from_publish(error: PublishError) -> LinkError {
    LinkError::Unreachable(error.into())
}
