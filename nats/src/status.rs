//! What agents report.

use async_nats::jetstream::Context;
use bytes::Bytes;
use futures::stream::BoxStream;
use skein_schema::subject;

use crate::connect::{Connection, PublishError, RequestError};
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
    /// The stream cannot take it now: no room, no leader, or an answer that makes no sense.
    #[error("a report on {subject} was not stored: {reason}")]
    NotStored {
        /// The subject.
        subject: String,
        /// The server's words.
        reason: String,
    },
    /// The stream refuses it for what it is, e.g. because it is too large.
    #[error("a report on {subject} was refused: {reason}")]
    Refused {
        /// The subject.
        subject: String,
        /// The server's words.
        reason: String,
    },
}

impl ReportError {
    /// Whether the same report would be refused again, however often it is sent.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Request(RequestError::Publish(PublishError::TooLarge { .. }))
        )
    }
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
    judge(subject, &answer.body)
}

/// What the stream's acknowledgement says. It puts what is wrong with a message itself into the
/// codes that HTTP has for bad requests.
fn judge(subject: &str, answer: &[u8]) -> Result<(), ReportError> {
    let subject = || subject.to_owned();
    let answer: serde_json::Value =
        serde_json::from_slice(answer).map_err(|error| ReportError::NotStored {
            subject: subject(),
            reason: error.to_string(),
        })?;
    let Some(error) = answer.get("error") else {
        return match answer.get("seq") {
            Some(_) => Ok(()),
            None => Err(ReportError::NotStored {
                subject: subject(),
                reason: "the answer has no sequence".to_owned(),
            }),
        };
    };
    let reason = error["description"].as_str().unwrap_or_default().to_owned();
    match error["code"].as_u64() {
        Some(400..=499) => Err(ReportError::Refused {
            subject: subject(),
            reason,
        }),
        _ => Err(ReportError::NotStored {
            subject: subject(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_good_is_told_from_trouble_that_passes() {
        let judge = |answer: &str| judge("status.default.c1", answer.as_bytes());
        assert!(judge(r#"{"stream":"STATUS","seq":7}"#).is_ok());
        let large = r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"stream":"STATUS","seq":0}"#;
        let large = judge(large).unwrap_err();
        assert!(
            large.is_final() && large.to_string().contains("size"),
            "{large}"
        );
        let passing = [
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#,
            r#"{"error":{"description":"who knows"}}"#,
            "{}",
            "no JSON",
        ];
        for answer in passing {
            assert!(!judge(answer).unwrap_err().is_final(), "{answer}");
        }
    }
}
