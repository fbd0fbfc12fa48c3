//! Who leads: a lease that ends by itself when its holder does not renew it.
//!
//! The lease is a message with a time to live, so the server's clock alone decides when
//! it ends. It only keeps two hubs from working against each other; nothing is safe
//! *because* of it, since every append says what it stands on. The token rises with each
//! new holder, and marks what was done under a lease.

use std::time::Duration;

use async_nats::header;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use bytes::Bytes;
use skein_schema::subject;

use crate::connect::Connection;

/// A lease by name, for one candidate.
#[derive(Debug)]
pub struct Lease {
    jetstream: Context,
    subject: String,
    holder: String,
    ttl: Duration,
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    token: u64,
    /// The sequence of the last renewal.
    sequence: u64,
}

/// What asking for a lease answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// We hold it.
    Held {
        /// Rises with each new holder.
        token: u64,
    },
    /// Somebody else holds it.
    HeldBy {
        /// The name it gave itself; unknown when it has just ended.
        holder: Option<String>,
    },
}

/// Why it is not known who holds a lease.
#[derive(Debug, thiserror::Error)]
#[error("it is not known who holds the lease {subject}")]
pub struct LeaseError {
    subject: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Lease {
    /// Stands for the lease `name` as `holder`. A lease that is not renewed for `ttl` ends; the
    /// server counts in whole seconds, and at least one.
    #[must_use]
    pub fn new(
        connection: &Connection,
        name: &str,
        holder: impl Into<String>,
        ttl: Duration,
    ) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
            subject: format!("$KV.{}.{}", subject::LEASES_BUCKET, subject::escape(name)),
            holder: holder.into(),
            ttl: ttl.max(Duration::from_secs(1)),
            held: None,
        }
    }

    /// Takes the lease when it is free, and renews it when we hold it. To be called about three
    /// times in its time to live. After an error a holder must act as if it held nothing.
    ///
    /// # Errors
    /// [`LeaseError`] when the server does not answer.
    pub async fn claim(&mut self) -> Result<Claim, LeaseError> {
        let last = self.held.map_or(0, |held| held.sequence);
        match self.write(last).await? {
            Some(sequence) => {
                let token = self.held.map_or(sequence, |held| held.token);
                self.held = Some(Held { token, sequence });
                Ok(Claim::Held { token })
            }
            // Ours has ended: it may be free, or another's.
            None if self.held.take().is_some() => match self.write(0).await? {
                Some(sequence) => {
                    self.held = Some(Held {
                        token: sequence,
                        sequence,
                    });
                    Ok(Claim::Held { token: sequence })
                }
                None => self.another().await,
            },
            None => self.another().await,
        }
    }

    async fn another(&self) -> Result<Claim, LeaseError> {
        Ok(Claim::HeldBy {
            holder: self.holder().await?,
        })
    }

    /// Gives the lease up, so that others need not wait for its end.
    ///
    /// # Errors
    /// [`LeaseError`] when the server does not answer; it then ends by itself.
    pub async fn release(&mut self) -> Result<(), LeaseError> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        let stream = self
            .jetstream
            .get_stream_no_info(stream_name())
            .await
            .map_err(|error| self.error(error))?;
        // Up to our own renewal, and not what another wrote after it.
        let purged = stream
            .purge()
            .filter(self.subject.clone())
            .sequence(held.sequence + 1)
            .await;
        purged.map(|_| ()).map_err(|error| self.error(error))
    }

    /// Writes the holder if `last` is the last message; answers its sequence, or `None` if not.
    async fn write(&self, last: u64) -> Result<Option<u64>, LeaseError> {
        let message = PublishMessage::build()
            .payload(Bytes::from(self.holder.clone()))
            .expected_last_subject_sequence(last)
            .header(header::NATS_MESSAGE_TTL, format!("{}s", self.ttl.as_secs()));
        let sent = self
            .jetstream
            .send_publish(self.subject.clone(), message)
            .await;
        let sent = sent.map_err(|error| self.error(error))?;
        match sent.await {
            Ok(stored) => Ok(Some(stored.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn holder(&self) -> Result<Option<String>, LeaseError> {
        let stream = self
            .jetstream
            .get_stream_no_info(stream_name())
            .await
            .map_err(|error| self.error(error))?;
        match stream.get_last_raw_message_by_subject(&self.subject).await {
            Ok(message) => Ok(Some(String::from_utf8_lossy(&message.payload).into_owned())),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    fn error(&self, source: impl std::error::Error + Send + Sync + 'static) -> LeaseError {
        LeaseError {
            subject: self.subject.clone(),
            source: Box::new(source),
        }
    }
}

fn stream_name() -> String {
    format!("KV_{}", subject::LEASES_BUCKET)
}
