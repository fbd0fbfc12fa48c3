//! Storing a message, with an answer of a type.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::message::Headers;

/// Why a message was not stored, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum StoreMessageError {
    /// Something else than expected is the last on its subject. Nothing was stored.
    #[error("the last message on {subject} is another one")]
    Conflict {
        /// The subject.
        subject: String,
    },
    /// The server refused it for what it is: too large, or no room.
    #[error("a message on {subject} was refused")]
    Rejected {
        /// The subject.
        subject: String,
        /// The server's answer.
        #[source]
        source: async_nats::jetstream::context::PublishError,
    },
    /// No answer came: it may be stored. Storing it again is for the caller to decide.
    #[error("it is not known whether a message on {subject} was stored")]
    Unknown {
        /// The subject.
        subject: String,
        /// What went wrong.
        #[source]
        source: async_nats::jetstream::context::PublishError,
    },
}

/// The answer, when it comes: the sequence it was stored at.
pub type PendingStore = BoxFuture<'static, Result<u64, StoreMessageError>>;

/// Sends a message; when the outer future is done it is on its way, behind those sent before.
pub(crate) async fn store(
    jetstream: &Context,
    subject: &str,
    headers: &Headers,
    body: Bytes,
    last_on_subject: Option<u64>,
) -> PendingStore {
    let mut message = PublishMessage::build()
        .headers(headers.to_nats())
        .payload(body);
    if let Some(last) = last_on_subject {
        message = message.expected_last_subject_sequence(last);
    }
    let subject = subject.to_owned();
    let sent = jetstream.send_publish(subject.clone(), message).await;
    async move {
        let answer = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        let source = match answer {
            Ok(stored) => return Ok(stored.sequence),
            Err(source) => source,
        };
        Err(match source.kind() {
            PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => {
                StoreMessageError::Conflict { subject }
            }
            PublishErrorKind::MaxPayloadExceeded => StoreMessageError::Rejected { subject, source },
            PublishErrorKind::Other if is_refusal(&source) => {
                StoreMessageError::Rejected { subject, source }
            }
            _ => StoreMessageError::Unknown { subject, source },
        })
    }
    .boxed()
}

/// Whether an error is the server's definite answer, and not a lack of a leader or a connection.
pub(crate) fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let answer = error
        .source()
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    answer.is_some_and(|answer| answer.code() != 503)
}
