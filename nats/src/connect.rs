//! One way to connect, for hubs, agents and the command line.
//!
//! A [`Connection`] reconnects for ever, with jitter, and takes its credentials anew
//! each time, so that a renewed credential is used without anybody's doing. A server
//! that refuses the credentials is never just another reason to wait: it is an error
//! at the first connection, and afterwards an event that [`Connection::refused`]
//! waits for.

mod credentials;
mod event;
mod messaging;
mod settings;

pub use credentials::{CredentialError, CredentialSource, Credentials, UserCredentials};
pub use event::{ConnectionEvent, Refusal};
pub use messaging::{Answers, PublishError, RequestError, Subscription};
pub use settings::{Retry, Settings, Tls};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::ConnectErrorKind;
use tokio::sync::{broadcast, watch};

/// How long a first connection is tried before the next try, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server does not let us in. Trying again does not help; other credentials do.
    #[error("the server at {servers} refused the credentials")]
    Refused {
        /// Where it was tried.
        servers: String,
    },
    /// Our own credentials could not be read or used.
    #[error("the credentials for {servers} cannot be used")]
    Credentials {
        /// Where it was tried.
        servers: String,
        /// What is wrong with them.
        #[source]
        source: CredentialError,
    },
    /// Nobody answers there, or in time.
    #[error("no server can be reached at {servers}")]
    Unreachable {
        /// Where it was tried.
        servers: String,
        /// The last answer.
        #[source]
        source: async_nats::ConnectError,
    },
    /// There is no secure connection to be had.
    #[error("no secure connection to {servers}")]
    Tls {
        /// Where it was tried.
        servers: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An address that is none.
    #[error("{servers} is not a server's address")]
    Address {
        /// The addresses.
        servers: String,
        /// The reason.
        #[source]
        source: async_nats::ConnectError,
    },
}

/// A connection to the bus. Cheap to clone; it ends when [`Connection::close`] is called or the
/// last clone is dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    client: async_nats::Client,
    jetstream: async_nats::jetstream::Context,
    events: broadcast::Sender<ConnectionEvent>,
    refusal: watch::Receiver<Option<Refusal>>,
}

/// Connects.
///
/// With [`Retry::Forever`] it waits for a server to appear; credentials that are refused end it
/// in any case.
///
/// # Errors
/// [`ConnectError`], by what has to be changed.
pub async fn connect(settings: &Settings) -> Result<Connection, ConnectError> {
    let mut attempt = 0;
    loop {
        match connect_once(settings).await {
            Err(ConnectError::Unreachable { servers, source })
                if settings.retry == Retry::Forever =>
            {
                attempt += 1;
                let wait = settings::delay(attempt, LONGEST_WAIT);
                tracing::warn!(%servers, error = %source, ?wait, "no server can be reached, trying again");
                crate::pause::pause(wait).await;
            }
            other => return other,
        }
    }
}

async fn connect_once(settings: &Settings) -> Result<Connection, ConnectError> {
    let servers = settings.servers.join(",");
    // Read once here, so that credentials that cannot be used are told from refused ones.
    settings
        .credentials
        .current()
        .map_err(|source| ConnectError::Credentials {
            servers: servers.clone(),
            source,
        })?;

    let (events, _) = broadcast::channel(64);
    let (refused, refusal) = watch::channel(None);
    let connected = Arc::new(AtomicBool::new(false));
    let (sender, was_connected) = (events.clone(), Arc::clone(&connected));
    let options = settings
        .to_options(connected)
        .map_err(|source| ConnectError::Tls {
            servers: servers.clone(),
            source,
        })?
        .event_callback(move |event| {
            let event = ConnectionEvent::from_nats(&event);
            event.log();
            match &event {
                ConnectionEvent::Connected => {
                    was_connected.store(true, Ordering::Relaxed);
                    refused.send_replace(None);
                }
                ConnectionEvent::Refused(refusal) => {
                    refused.send_replace(Some(refusal.clone()));
                }
                _ => {}
            }
            // Nobody has to listen.
            let _ = sender.send(event);
            std::future::ready(())
        });
    let client = options
        .connect(settings.servers.clone())
        .await
        .map_err(|error| classify(servers, error))?;
    let mut jetstream = async_nats::jetstream::new(client.clone());
    jetstream.set_timeout(settings.request_timeout);
    Ok(Connection {
        client,
        jetstream,
        events,
        refusal,
    })
}

fn classify(servers: String, source: async_nats::ConnectError) -> ConnectError {
    match source.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            ConnectError::Refused { servers }
        }
        ConnectErrorKind::ServerParse => ConnectError::Address { servers, source },
        ConnectErrorKind::Tls => ConnectError::Tls {
            servers,
            source: Box::new(source),
        },
        ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => {
            if event::says_refused(&source) {
                ConnectError::Refused { servers }
            } else {
                ConnectError::Unreachable { servers, source }
            }
        }
    }
}

impl Connection {
    /// What happens to the connection from now on. A receiver that falls 64 behind misses some.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ConnectionEvent> {
        self.events.subscribe()
    }

    /// Whether messages can be sent now; while not, they wait in memory.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Waits until a server refuses our credentials: they expired, were revoked, or never were
    /// good. The connection goes on trying; whoever cannot get others should give up.
    pub async fn refused(&self) -> Refusal {
        let mut refusal = self.refusal.clone();
        let seen = refusal
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|seen| seen.clone());
        match seen {
            Some(refusal) => refusal,
            // The connection was closed by ourselves.
            None => std::future::pending().await,
        }
    }

    /// Connects anew, with the credentials as they are now. Subscriptions are kept.
    pub async fn reconnect(&self) {
        if self.client.force_reconnect().await.is_err() {
            tracing::debug!("a closed connection is not reconnected");
        }
    }

    /// Sends what waits, ends all subscriptions, and closes. Waits at most five seconds.
    pub async fn close(&self) {
        let mut events = self.events();
        if self.client.drain().await.is_err() {
            return;
        }
        let closed = async {
            while !matches!(
                events.recv().await,
                Ok(ConnectionEvent::Closed) | Err(broadcast::error::RecvError::Closed)
            ) {}
        };
        if tokio::time::timeout(Duration::from_secs(5), closed)
            .await
            .is_err()
        {
            tracing::warn!("the connection did not close in five seconds");
        }
    }

    /// The version of the server we are connected to.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    pub(crate) fn jetstream(&self) -> &async_nats::jetstream::Context {
        &self.jetstream
    }

    /// The client library's own handle, for what only tests of this crate do to it.
    #[doc(hidden)]
    #[must_use]
    pub fn raw(&self) -> async_nats::Client {
        self.client.clone()
    }
}
