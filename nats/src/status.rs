//! What agents report.

use async_nats::jetstream::Context;
use bytes::Bytes;
use futures::stream::BoxStream;
use skein_schema::subject;

use crate::connect::{Connection, RequestError};
use crate::message::{Headers, StoredMessage};
use crate::reader::{self, Bounds, Follow, ReadError};

/// The STATUS stream, as hubs read it.
#[derive(Clone, Debug)]
pub struct StatusStream {
    jetstream: Context,
}

impl StatusStream {
    /// The stream of this bus. It must be there, see [`crate::topology::ensure`].
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
        }
    }

    /// The reports from a sequence on, and then those that come, for ever. Old ones may be gone:
    /// sequences rise, and need not be without gaps.
    #[must_use]
    pub fn read(&self, from: u64) -> BoxStream<'static, Result<StoredMessage, ReadError>> {
        let (stream, filter) = (subject::STATUS_STREAM, String::new());
        reader::follow(
            self.jetstream.clone(),
            Follow {
                stream,
                filter,
                from,
                contiguous: false,
            },
        )
    }

    /// The oldest and the newest sequence.
    ///
    /// # Errors
    /// [`ReadError`] when the server does not answer.
    pub async fn bounds(&self) -> Result<Bounds, ReadError> {
        reader::bounds(&self.jetstream, subject::STATUS_STREAM).await
    }
}

/// Why a report is not stored, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It could not be sent, or no answer came. It may be stored; sent again, it is known by its
    /// number.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The stream refused it: too large, or no room.
    #[error("a report on {subject} was refused: {reason}")]
    Refused {
        /// The subject.
        subject: String,
        /// The server's words.
        reason: String,
    },
}

/// Reports as an agent does, which has no JetStream of its own, and waits until the report is
/// stored.
///
/// # Errors
/// [`ReportError`].
pub async fn report(
    connection: &Connection,
    subject: &str,
    headers: Headers,
    body: Bytes,
) -> Result<(), ReportError> {
    let answer = connection.request(subject, headers, body).await?;
    let refused = |reason| ReportError::Refused {
        subject: subject.to_owned(),
        reason,
    };
    match serde_json::from_slice::<serde_json::Value>(&answer.body) {
        Ok(answer) if answer.get("seq").is_some() && answer.get("error").is_none() => Ok(()),
        Ok(answer) => Err(refused(answer["error"]["description"].to_string())),
        Err(error) => Err(refused(error.to_string())),
    }
}
