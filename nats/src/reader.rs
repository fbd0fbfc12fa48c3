//! Reading streams: in order, from a sequence, over every interruption.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull, push};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{Context, ErrorCode};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};

use crate::message::StoredMessage;

/// Why a stream cannot be read on. Interruptions are none: they are waited out.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream is not there.
    #[error("the stream {stream} does not exist")]
    Missing {
        /// Its name.
        stream: &'static str,
    },
    /// Messages that must be there are not. Nothing is skipped over.
    #[error("the stream {stream} has no message {expected}; the next one is {found}")]
    Gap {
        /// Its name.
        stream: &'static str,
        /// The sequence that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The server did not answer a question about the stream.
    #[error("the stream {stream} cannot be read now")]
    Unavailable {
        /// Its name.
        stream: &'static str,
        /// Its answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ReadError {
    pub(crate) fn unavailable(
        stream: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            stream,
            source: source.into(),
        }
    }
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    pub(crate) stream: &'static str,
    /// Subjects to read; all when empty.
    pub(crate) filter: String,
    /// The first sequence wanted.
    pub(crate) from: u64,
    /// Whether every sequence must be there.
    pub(crate) contiguous: bool,
}

/// How long to wait before a reader is made anew, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

struct Reader {
    jetstream: Context,
    what: Follow,
    messages: Option<push::Ordered>,
    failures: u32,
    ended: bool,
}

/// All messages from a sequence on, and then those that come, for ever. It ends only after an
/// error that waiting does not mend.
pub(crate) fn follow(
    jetstream: Context,
    what: Follow,
) -> BoxStream<'static, Result<StoredMessage, ReadError>> {
    let what = Follow {
        from: what.from.max(1),
        ..what
    };
    let reader = Reader {
        jetstream,
        what,
        messages: None,
        failures: 0,
        ended: false,
    };
    futures::stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        Some((item, reader))
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Option<Result<StoredMessage, ReadError>> {
        if self.ended {
            return None;
        }
        loop {
            let Some(messages) = &mut self.messages else {
                if let Err(error) = self.open().await {
                    self.ended = true;
                    return Some(Err(error));
                }
                continue;
            };
            match messages.next().await {
                Some(Ok(message)) => {
                    self.failures = 0;
                    let Some(message) = StoredMessage::from_delivery(&message) else {
                        continue;
                    };
                    return Some(self.accept(message));
                }
                Some(Err(error)) => self.interrupted(&error.to_string()).await,
                None => self.interrupted("the subscription ended").await,
            }
        }
    }

    fn accept(&mut self, message: StoredMessage) -> Result<StoredMessage, ReadError> {
        let expected = self.what.from;
        if self.what.contiguous && message.sequence != expected {
            self.ended = true;
            return Err(ReadError::Gap {
                stream: self.what.stream,
                expected,
                found: message.sequence,
            });
        }
        self.what.from = message.sequence + 1;
        Ok(message)
    }

    async fn interrupted(&mut self, reason: &str) {
        tracing::debug!(stream = self.what.stream, reason, "reading is interrupted");
        self.messages = None;
        self.wait().await;
    }

    async fn wait(&mut self) {
        self.failures += 1;
        let wait = Duration::from_millis(50)
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST_WAIT);
        crate::pause::pause(wait).await;
    }

    /// Makes a consumer; an error is one that waiting does not mend.
    async fn open(&mut self) -> Result<(), ReadError> {
        let config = push::OrderedConfig {
            deliver_subject: self.jetstream.client().new_inbox(),
            filter_subject: self.what.filter.clone(),
            replay_policy: ReplayPolicy::Instant,
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.what.from,
            },
            ..push::OrderedConfig::default()
        };
        let consumer = self
            .jetstream
            .create_consumer_on_stream(config, self.what.stream)
            .await;
        let reason = match consumer {
            Ok(consumer) => match consumer.messages().await {
                Ok(messages) => {
                    self.messages = Some(messages);
                    return Ok(());
                }
                Err(error) => error.to_string(),
            },
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(answer)
                    if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    return Err(ReadError::Missing {
                        stream: self.what.stream,
                    });
                }
                _ => error.to_string(),
            },
        };
        self.interrupted(&reason).await;
        Ok(())
    }
}

/// The last message of each subject, without bodies, in the order they were stored.
pub(crate) async fn last_per_subject(
    jetstream: &Context,
    stream: &'static str,
    filter: &str,
) -> Result<Vec<StoredMessage>, ReadError> {
    let config = pull::Config {
        filter_subject: filter.to_owned(),
        deliver_policy: DeliverPolicy::LastPerSubject,
        ack_policy: AckPolicy::None,
        headers_only: true,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(30),
        ..pull::Config::default()
    };
    let created = jetstream.create_consumer_on_stream(config, stream).await;
    let consumer = created.map_err(|error| ReadError::unavailable(stream, error))?;
    let waiting = usize::try_from(consumer.cached_info().num_pending).unwrap_or(usize::MAX);
    let mut found = Vec::with_capacity(waiting.min(100_000));
    if waiting == 0 {
        return Ok(found);
    }
    let messages = consumer
        .stream()
        .max_messages_per_batch(1_000)
        .messages()
        .await;
    let mut messages = messages.map_err(|error| ReadError::unavailable(stream, error))?;
    while found.len() < waiting {
        match next_in(&mut messages, Duration::from_secs(20)).await {
            Some(Ok(message)) => found.extend(StoredMessage::from_delivery(&message)),
            Some(Err(error)) => return Err(ReadError::unavailable(stream, error)),
            None => return Err(ReadError::unavailable(stream, "it stopped sending")),
        }
    }
    Ok(found)
}

async fn next_in<S: Stream + Unpin>(stream: &mut S, patience: Duration) -> Option<S::Item> {
    tokio::time::timeout(patience, stream.next())
        .await
        .ok()
        .flatten()
}

/// The sequences a stream has: the first and the last. The last keeps its place when messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest message there is; one more than the last when there is none.
    pub first: u64,
    /// The newest message there was; 0 when there never was one.
    pub last: u64,
    /// How many servers keep the stream.
    pub replicas: usize,
}

/// A stream's bounds, as its leader knows them.
pub(crate) async fn bounds(jetstream: &Context, stream: &'static str) -> Result<Bounds, ReadError> {
    match jetstream.get_stream(stream).await {
        Ok(found) => {
            let state = &found.cached_info().state;
            Ok(Bounds {
                first: state.first_sequence.max(1),
                last: state.last_sequence,
                replicas: found.cached_info().config.num_replicas,
            })
        }
        Err(error) => Err(match error.kind() {
            GetStreamErrorKind::JetStream(ref answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                ReadError::Missing { stream }
            }
            _ => ReadError::unavailable(stream, error),
        }),
    }
}
