//! The commands that wait for a decision, in the order they came.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::message::{AckKind, Acker};
use async_nats::jetstream::{Context, Message as Delivery};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use skein_schema::subject;

use crate::connect::Connection;
use crate::message::{Headers, StoredMessage};
use crate::reader::ReadError;

/// How long a command that was handed out may stay without an answer before it is handed out
/// again. Deciding takes milliseconds; a lead that dies holds up its commands this long.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// How many commands may be handed out and unanswered.
const MAX_PENDING: i64 = 4_096;

/// How many commands are asked for at a time.
const BATCH: usize = 256;

/// A command as it was stored. Who sent it stands in its subject, which the bus has checked.
pub struct QueuedCommand {
    /// Its place in the queue.
    pub sequence: u64,
    /// `cmd.<user>.<verb>`.
    pub subject: String,
    /// Its envelope, as the sender wrote it.
    pub headers: Headers,
    /// Its body, as the sender wrote it.
    pub body: Bytes,
    /// When it was stored, by the server's clock.
    pub time: Timestamp,
    /// How often it has been handed out; more than once after a crash or a lost acknowledgement.
    pub deliveries: u32,
    acker: Acker,
}

impl std::fmt::Debug for QueuedCommand {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("QueuedCommand")
            .field("sequence", &self.sequence)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl QueuedCommand {
    /// Takes it out of the queue: its decision is in the ledger, or it was refused for good. Should
    /// this get lost it comes again, and is known by its id.
    pub async fn done(&self) {
        if let Err(error) = self.acker.ack().await {
            tracing::debug!(sequence = self.sequence, %error, "a command's end was not told");
        }
    }

    /// Gives it back, for another hub to take at once.
    pub async fn give_back(&self) {
        if let Err(error) = self.acker.ack_with(AckKind::Nak(None)).await {
            tracing::debug!(sequence = self.sequence, %error, "a command was not given back");
        }
    }
}

/// The queue, as the hub that leads sees it. Dropping it leaves to others what was not done.
pub struct CommandQueue {
    jetstream: Context,
    messages: Option<pull::Stream>,
}

impl std::fmt::Debug for CommandQueue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("CommandQueue").finish_non_exhaustive()
    }
}

impl CommandQueue {
    /// The queue of this bus. Its consumer is made when it is missing, as soon as the bus lets it.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
            messages: None,
        }
    }

    /// The next commands, at most `limit`: waits for one, then takes those that are there. Waits
    /// out interruptions. Safe to drop: what it would have returned comes again.
    pub async fn next_batch(&mut self, limit: usize) -> Vec<QueuedCommand> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            let Some(messages) = &mut self.messages else {
                if let Err(error) = self.listen().await {
                    tracing::warn!(%error, "the command queue is interrupted");
                    crate::pause::pause(Duration::from_millis(500)).await;
                }
                continue;
            };
            let mut next = messages.next().await;
            loop {
                match next {
                    Some(Ok(delivery)) => batch.extend(queued(delivery)),
                    Some(Err(error)) => {
                        tracing::debug!(%error, "the command queue is interrupted");
                        self.messages = None;
                        break;
                    }
                    None => {
                        self.messages = None;
                        break;
                    }
                }
                if batch.len() >= limit {
                    break;
                }
                match messages.next().now_or_never() {
                    Some(another) => next = another,
                    None => break,
                }
            }
        }
        batch
    }

    async fn listen(&mut self) -> Result<(), ReadError> {
        let stream = subject::COMMANDS_STREAM;
        let unavailable = |error| ReadError::unavailable(stream, error);
        let config = pull::Config {
            durable_name: Some(subject::COMMANDS_DURABLE.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: MAX_PENDING,
            ..pull::Config::default()
        };
        let consumer = self
            .jetstream
            .create_consumer_on_stream(config, stream)
            .await;
        let consumer = consumer.map_err(|error| {
            unavailable(Box::<dyn std::error::Error + Send + Sync>::from(error))
        })?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .heartbeat(Duration::from_secs(5))
            .messages()
            .await;
        self.messages = Some(messages.map_err(|error| unavailable(error.into()))?);
        Ok(())
    }
}

fn queued(delivery: Delivery) -> Option<QueuedCommand> {
    let deliveries = u32::try_from(delivery.info().ok()?.delivered).unwrap_or(u32::MAX);
    let StoredMessage {
        sequence,
        subject,
        headers,
        body,
        time,
    } = StoredMessage::from_delivery(&delivery)?;
    let (_, acker) = delivery.split();
    Some(QueuedCommand {
        sequence,
        subject,
        headers,
        body,
        time,
        deliveries,
        acker,
    })
}
