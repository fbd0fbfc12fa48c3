//! What happens to a connection, told by the server in words and given types here.

use std::error::Error;

use async_nats::{ClientError, Event, ServerError};

/// Why the server does not want us (any more).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credential has ended.
    Expired,
    /// The credential was revoked.
    Revoked,
    /// The server does not know or accept it.
    Violation,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// It is there, for the first time or again. Whoever follows a subject should ask for what
    /// was missed.
    Connected,
    /// It is gone and being made again.
    Disconnected,
    /// The server refuses our credentials.
    Refused(Refusal),
    /// We may not publish on, or subscribe to, a subject.
    NotPermitted {
        /// The server's words; they name the subject.
        text: String,
    },
    /// We read too slowly; messages of a subscription were dropped.
    SlowConsumer,
    /// The server is about to leave; the client moves to another by itself.
    ServerLeaving,
    /// Closed by ourselves, for good.
    Closed,
    /// Anything else, in the words it came in.
    Other {
        /// The words.
        text: String,
    },
}

impl ConnectionEvent {
    pub(super) fn from_nats(event: &Event) -> Self {
        match event {
            Event::Connected => Self::Connected,
            Event::Disconnected => Self::Disconnected,
            Event::LameDuckMode => Self::ServerLeaving,
            Event::Draining => Self::Other {
                text: "draining".to_owned(),
            },
            Event::Closed => Self::Closed,
            Event::SlowConsumer(_) => Self::SlowConsumer,
            Event::ServerError(ServerError::AuthorizationViolation) => {
                Self::Refused(Refusal::Violation)
            }
            Event::ServerError(ServerError::SlowConsumer(_)) => Self::SlowConsumer,
            Event::ServerError(ServerError::Other(text))
            | Event::ClientError(ClientError::Other(text)) => Self::from_words(text),
            Event::ClientError(other) => Self::Other {
                text: other.to_string(),
            },
        }
    }

    /// The protocol's errors are words (`-ERR '…'`). This is the one place that reads them.
    fn from_words(text: &str) -> Self {
        let lower = text.to_lowercase();
        if lower.contains("permissions violation") {
            return Self::NotPermitted {
                text: text.to_owned(),
            };
        }
        match refusal(&lower) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Other {
                text: text.to_owned(),
            },
        }
    }

    pub(super) fn log(&self) {
        match self {
            Self::Connected => tracing::info!("connected to the bus"),
            Self::Disconnected => tracing::warn!("disconnected from the bus, reconnecting"),
            Self::Refused(refusal) => tracing::error!(?refusal, "the bus refuses the credentials"),
            Self::NotPermitted { text } => tracing::warn!(%text, "the bus does not permit this"),
            Self::SlowConsumer => tracing::warn!("messages were dropped: read too slowly"),
            Self::ServerLeaving => tracing::info!("the server is about to leave"),
            Self::Closed => tracing::debug!("the connection is closed"),
            Self::Other { text } => tracing::debug!(%text, "connection event"),
        }
    }
}

fn refusal(lower: &str) -> Option<Refusal> {
    if lower.contains("authentication expired") {
        Some(Refusal::Expired)
    } else if lower.contains("authentication revoked") {
        Some(Refusal::Revoked)
    } else if lower.contains("authorization violation") || lower.contains("failed signing nonce") {
        Some(Refusal::Violation)
    } else {
        None
    }
}

/// Whether an error of the client library, or one it came from, is the server's refusal.
pub(super) fn says_refused(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if refusal(&error.to_string().to_lowercase()).is_some() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_have_types() {
        let words = |text: &str| {
            ConnectionEvent::from_nats(&Event::ServerError(ServerError::Other(text.to_owned())))
        };
        assert_eq!(
            words("User Authentication Expired"),
            ConnectionEvent::Refused(Refusal::Expired)
        );
        assert_eq!(
            words("User Authentication Revoked"),
            ConnectionEvent::Refused(Refusal::Revoked)
        );
        assert_eq!(
            words("Account Authentication Expired"),
            ConnectionEvent::Refused(Refusal::Expired)
        );
        assert!(matches!(
            words("Permissions Violation for Publish to \"desired.a.b\""),
            ConnectionEvent::NotPermitted { .. }
        ));
        assert!(matches!(
            words("Unknown Protocol Operation"),
            ConnectionEvent::Other { .. }
        ));
        let again = Event::ClientError(ClientError::Other(
            "authorization violation: nats".to_owned(),
        ));
        assert_eq!(
            ConnectionEvent::from_nats(&again),
            ConnectionEvent::Refused(Refusal::Violation)
        );
    }
}
