//! What clusters are told: stored in order, copied to `live.desired.…` by the server once
//! stored, and read back for those who missed something.

use std::collections::BTreeMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Serialize;
use skein_schema::subject;

use crate::connect::Connection;
use crate::message::{Headers, StoredMessage};
use crate::publish::{self, PendingStore};
use crate::reader::{self, ReadError};

/// The most messages of one page.
pub const PAGE: usize = 256;

/// The most bytes of one page.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The DESIRED stream.
#[derive(Clone, Debug)]
pub struct DesiredStream {
    jetstream: Context,
}

/// Some messages of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order they were stored.
    pub messages: Vec<StoredMessage>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl DesiredStream {
    /// The stream of this bus. It must be there, see [`crate::topology::ensure`].
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
        }
    }

    /// Stores a message. Many may be sent before the first is answered; they are stored in the
    /// order of the calls. With `last_on_subject` only if that is the sequence of the last one
    /// on the subject (0: none), so that nothing is stored twice.
    pub async fn publish(
        &self,
        subject: &str,
        headers: &Headers,
        body: Bytes,
        last_on_subject: Option<u64>,
    ) -> PendingStore {
        publish::store(&self.jetstream, subject, headers, body, last_on_subject).await
    }

    /// Stores a message that takes the place of all before it on its subject: the first part of a
    /// snapshot.
    pub async fn publish_and_roll_up(
        &self,
        subject: &str,
        headers: &Headers,
        body: Bytes,
    ) -> PendingStore {
        let headers = headers.clone().with("Nats-Rollup", "sub");
        publish::store(&self.jetstream, subject, &headers, body, None).await
    }

    /// The last message of each subject, by subject, without bodies: where a dispatcher goes on.
    ///
    /// # Errors
    /// [`ReadError`] when the server stops answering; to be asked again.
    pub async fn last_per_subject(&self) -> Result<BTreeMap<String, StoredMessage>, ReadError> {
        let found = reader::last_per_subject(
            &self.jetstream,
            subject::DESIRED_STREAM,
            subject::DESIRED_ALL,
        )
        .await?;
        Ok(found
            .into_iter()
            .map(|message| (message.subject.clone(), message))
            .collect())
    }

    /// The messages of one subject from a stream sequence on, at most `limit` (and [`PAGE`], and
    /// 4 MiB). With several servers one that lags may answer: what it misses is not in the page
    /// yet.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when the server does not answer.
    pub async fn page(&self, subject: &str, from: u64, limit: usize) -> Result<Page, ReadError> {
        #[derive(Serialize)]
        struct Get<'a> {
            seq: u64,
            next_by_subj: &'a str,
            batch: usize,
            max_bytes: usize,
        }
        let stream = subject::DESIRED_STREAM;
        let unavailable =
            |error: Box<dyn std::error::Error + Send + Sync>| ReadError::Unavailable {
                stream,
                source: error,
            };
        let get = Get {
            seq: from.max(1),
            next_by_subj: subject,
            batch: limit.min(PAGE),
            max_bytes: PAGE_BYTES,
        };
        let body = serde_json::to_vec(&get).expect("plain data is JSON");
        let client = self.jetstream.client();
        let inbox = client.new_inbox();
        let mut answers = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| unavailable(Box::new(error)))?;
        let asked = client
            .publish_with_reply(subject::direct_get(stream), inbox, body.into())
            .await;
        asked.map_err(|error| unavailable(Box::new(error)))?;

        let mut page = Page {
            messages: Vec::new(),
            more: false,
        };
        loop {
            let answer =
                tokio::time::timeout(std::time::Duration::from_secs(5), answers.next()).await;
            let Ok(Some(answer)) = answer else {
                return Err(unavailable("it did not answer in time".into()));
            };
            match answer.status.map(|status| status.as_u16()) {
                // The end of the batch.
                Some(204) => return Ok(page),
                // Nothing (more) on this subject.
                Some(404) => {
                    return Ok(Page {
                        more: false,
                        ..page
                    });
                }
                Some(other) => {
                    return Err(unavailable(
                        format!("it answered with status {other}").into(),
                    ));
                }
                None => {}
            }
            page.more = waiting(&answer) > 0;
            let message =
                StreamMessage::try_from(answer).map_err(|error| unavailable(Box::new(error)))?;
            page.messages.extend(StoredMessage::from_get(message));
        }
    }
}

/// How many messages there are behind this one.
fn waiting(answer: &async_nats::Message) -> u64 {
    let header = answer
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Nats-Num-Pending"));
    header
        .and_then(|value| value.as_str().parse().ok())
        .unwrap_or(0)
}
