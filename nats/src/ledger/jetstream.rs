//! The ledger on the bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::header;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use skein_schema::subject;

use super::{
    AppendError, Ledger, MAX_IN_FLIGHT, NewRecord, Outcome, Pending, ReadError, StoredRecord, Tip,
};
use crate::connect::Connection;
use crate::message::StoredMessage;
use crate::publish;
use crate::reader::{self, Follow};

/// How long an append whose answer did not come is looked for.
const SEARCH: Duration = Duration::from_secs(60);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// The ledger on the bus. Clones share it.
#[derive(Clone, Debug)]
pub struct JetStreamLedger {
    jetstream: Context,
    search: Duration,
    /// Whether the stream is on one server only. Found out by [`Ledger::tip`].
    ///
    /// Servers up to 2.15.2 stop a *replicated* stream for good when the id that a message expects
    /// before it is another one. So there no id is sent, and one append is in flight at a time:
    /// for that the sequence alone is enough.
    single: Arc<AtomicBool>,
}

/// What an answer to a publish says.
enum Answer {
    Stored { sequence: u64 },
    WrongTip,
    Rejected { reason: String },
    None { reason: String },
}

impl JetStreamLedger {
    /// The ledger that hubs of this bus share. The streams must be there, see
    /// [`crate::topology::ensure`].
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
            search: SEARCH,
            single: Arc::default(),
        }
    }

    /// The same, looking no longer than `search` for an append whose answer did not come.
    #[must_use]
    pub fn with_search(self, search: Duration) -> Self {
        Self { search, ..self }
    }

    async fn send(
        &self,
        record: &NewRecord,
        after: &Tip,
    ) -> Result<PublishAckFuture, PublishError> {
        let mut message = PublishMessage::build()
            .payload(record.body.clone())
            .headers(record.headers.to_nats())
            .message_id(&record.id)
            .expected_last_sequence(after.sequence);
        if let Some(id) = &after.id
            && self.single.load(Ordering::Relaxed)
        {
            message = message.header(header::NATS_EXPECTED_LAST_MESSAGE_ID, id.as_str());
        }
        self.jetstream
            .send_publish(record.subject.clone(), message)
            .await
    }

    /// Waits for the answer; where none comes, finds out.
    async fn settle(
        self,
        record: NewRecord,
        after: Tip,
        sent: Result<PublishAckFuture, PublishError>,
    ) -> Result<Outcome, AppendError> {
        let begin = Instant::now();
        let conflict = Outcome::Conflict {
            after: after.sequence,
        };
        let mut certain = true;
        let mut answer = read_answer(sent).await;
        loop {
            let reason = match answer {
                Answer::Stored { sequence } => return Ok(Outcome::Appended { sequence }),
                Answer::Rejected { reason } => {
                    return Err(AppendError::Rejected {
                        after: after.sequence,
                        reason,
                    });
                }
                Answer::WrongTip if certain => return Ok(conflict),
                // What is in our place may be our own record, stored by an earlier try.
                Answer::WrongTip => "the server has another tip".to_owned(),
                Answer::None { reason } => reason,
            };
            certain = false;
            let place = after.sequence + 1;
            match self.get(place).await {
                Ok(Some(stored)) if record.is(&stored) => {
                    return Ok(Outcome::Appended { sequence: place });
                }
                Ok(Some(_)) => return Ok(conflict),
                // The place is free although the server has another tip: what we stand on is
                // not there.
                Ok(None) if self.stands_on_nothing(&after).await => return Ok(conflict),
                Ok(None) | Err(_) if begin.elapsed() > self.search => {
                    return Err(AppendError::Unknown {
                        after: after.sequence,
                        reason,
                    });
                }
                Ok(None) => {
                    tracing::debug!(after = after.sequence, %reason, "sending a record again");
                    answer = read_answer(self.send(&record, &after).await).await;
                    if matches!(answer, Answer::WrongTip | Answer::None { .. }) {
                        crate::pause::pause(PAUSE).await;
                    }
                }
                Err(error) => {
                    answer = Answer::None {
                        reason: error.to_string(),
                    };
                    crate::pause::pause(PAUSE).await;
                }
            }
        }
    }

    /// Whether the record that an append stands on is known not to be there, or to be another.
    async fn stands_on_nothing(&self, after: &Tip) -> bool {
        if after.sequence == 0 {
            return false;
        }
        match self.get(after.sequence).await {
            Ok(Some(stored)) => after.id.is_some() && stored.id() != after.id.as_deref(),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

async fn read_answer(sent: Result<PublishAckFuture, PublishError>) -> Answer {
    let answered = match sent {
        Ok(acknowledgement) => acknowledgement.await,
        Err(error) => Err(error),
    };
    let error = match answered {
        Ok(stored) => {
            return Answer::Stored {
                sequence: stored.sequence,
            };
        }
        Err(error) => error,
    };
    match error.kind() {
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => {
            Answer::WrongTip
        }
        PublishErrorKind::MaxPayloadExceeded => Answer::Rejected {
            reason: error.to_string(),
        },
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending => Answer::None {
            reason: error.to_string(),
        },
        PublishErrorKind::Other if publish::is_refusal(&error) => Answer::Rejected {
            reason: with_source(&error),
        },
        PublishErrorKind::Other => Answer::None {
            reason: with_source(&error),
        },
    }
}

fn with_source(error: &PublishError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

impl Ledger for JetStreamLedger {
    #[expect(
        clippy::async_yields_async,
        reason = "sent and answered are two moments, see the trait"
    )]
    fn append(&self, record: NewRecord, after: Tip) -> BoxFuture<'_, Pending> {
        async move {
            let sent = self.send(&record, &after).await;
            self.clone().settle(record, after, sent).boxed()
        }
        .boxed()
    }

    fn max_in_flight(&self) -> usize {
        if self.single.load(Ordering::Relaxed) {
            MAX_IN_FLIGHT
        } else {
            1
        }
    }

    fn read(&self, from: u64) -> BoxStream<'static, Result<StoredRecord, ReadError>> {
        let stream = subject::LEDGER_STREAM;
        reader::follow(
            self.jetstream.clone(),
            Follow {
                stream,
                filter: String::new(),
                from,
                contiguous: true,
            },
        )
    }

    fn get(&self, sequence: u64) -> BoxFuture<'_, Result<Option<StoredRecord>, ReadError>> {
        async move {
            if sequence == 0 {
                return Ok(None);
            }
            let name = subject::LEDGER_STREAM;
            let stream = self.jetstream.get_stream_no_info(name).await;
            let stream = stream.map_err(|error| ReadError::unavailable(name, error))?;
            // Not Direct Get: that may be answered by a follower that does not know yet.
            match stream.get_raw_message(sequence).await {
                Ok(message) => Ok(StoredMessage::from_get(message)),
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(ReadError::unavailable(name, error)),
            }
        }
        .boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, ReadError>> {
        async move {
            let bounds = reader::bounds(&self.jetstream, subject::LEDGER_STREAM).await?;
            self.single.store(bounds.replicas == 1, Ordering::Relaxed);
            let last = if bounds.last == 0 {
                None
            } else {
                self.get(bounds.last).await?
            };
            let id = last.and_then(|record| record.id().map(str::to_owned));
            Ok(Tip {
                sequence: bounds.last,
                id,
            })
        }
        .boxed()
    }
}
