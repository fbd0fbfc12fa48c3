//! Publishing, asking and listening: NATS without storage.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_nats::{RequestErrorKind, StatusCode};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::Connection;
use crate::message::{Headers, Message};

/// How long a message to ourselves may be away before it is sent again.
const ECHO_PATIENCE: Duration = Duration::from_secs(2);

/// Why a message could not be sent. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is larger than the server takes.
    #[error("a message of {size} bytes on {subject} is larger than the bus takes")]
    TooLarge {
        /// Where to.
        subject: String,
        /// The body's size.
        size: usize,
    },
    /// The connection is closed, or the subject is none.
    #[error("cannot send on {subject}")]
    Send {
        /// Where to.
        subject: String,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nobody listens: no hub is up, or we may not ask this.
    #[error("nobody answers on {subject}")]
    NobodyThere {
        /// What was asked.
        subject: String,
    },
    /// No answer came in time. The request may have been acted on.
    #[error("no answer on {subject} in time")]
    TimedOut {
        /// What was asked.
        subject: String,
    },
    /// The request could not be sent.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Connection {
    /// Sends a message, without knowing who gets it. While disconnected it waits in memory.
    ///
    /// # Errors
    /// [`PublishError`] when it is too large or the connection is closed.
    pub async fn publish(
        &self,
        subject: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<(), PublishError> {
        let size = body.len();
        let sent = if headers.is_empty() {
            self.client.publish(subject.to_owned(), body).await
        } else {
            self.client
                .publish_with_headers(subject.to_owned(), headers.to_nats(), body)
                .await
        };
        sent.map_err(|source| publish_error(subject, size, source))
    }

    /// Asks, and waits for one answer.
    ///
    /// # Errors
    /// [`RequestError`] when there is none.
    pub async fn request(
        &self,
        subject: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<Message, RequestError> {
        let size = body.len();
        let request = async_nats::Request::new()
            .headers(headers.to_nats())
            .payload(body);
        match self.client.send_request(subject.to_owned(), request).await {
            Ok(answer) => Ok(Message::from_nats(answer)),
            Err(error) => Err(request_error(subject, size, error)),
        }
    }

    /// Asks, and lets any number of answers come.
    ///
    /// # Errors
    /// [`RequestError::Publish`] when the request could not be sent.
    pub async fn request_many(
        &self,
        subject: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<Answers, RequestError> {
        let size = body.len();
        let inbox = self.client.new_inbox();
        let send = |source| {
            RequestError::Publish(PublishError::Send {
                subject: subject.to_owned(),
                source,
            })
        };
        let subscriber = self
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| send(Box::new(error)))?;
        self.client
            .publish_with_reply_and_headers(subject.to_owned(), inbox, headers.to_nats(), body)
            .await
            .map_err(|error| publish_error(subject, size, error))?;
        Ok(Answers {
            subject: subject.to_owned(),
            subscriber,
        })
    }

    /// Answers a message that wants an answer; one that does not is left alone.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn respond(
        &self,
        to: &Message,
        headers: Headers,
        body: Bytes,
    ) -> Result<(), PublishError> {
        match &to.reply {
            Some(reply) => self.publish(reply, headers, body).await,
            None => Ok(()),
        }
    }

    /// Listens on a subject, which may hold wildcards.
    ///
    /// # Errors
    /// [`PublishError::Send`] when the connection is closed or the subject is none. That we *may*
    /// not listen is told by [`super::ConnectionEvent::NotPermitted`].
    pub async fn subscribe(&self, subject: &str) -> Result<Subscription, PublishError> {
        let subscribed = self.client.subscribe(subject.to_owned()).await;
        subscribed
            .map(Subscription)
            .map_err(|source| PublishError::Send {
                subject: subject.to_owned(),
                source: Box::new(source),
            })
    }

    /// Listens on a subject together with others: each message goes to one of the queue.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub async fn queue_subscribe(
        &self,
        subject: &str,
        queue: &str,
    ) -> Result<Subscription, PublishError> {
        let subscribed = self
            .client
            .queue_subscribe(subject.to_owned(), queue.to_owned())
            .await;
        subscribed
            .map(Subscription)
            .map_err(|source| PublishError::Send {
                subject: subject.to_owned(),
                source: Box::new(source),
            })
    }

    /// Waits until the server has read all that was sent so far, and everything that it had sent us
    /// until then has come in: a message to our own inbox comes back. While disconnected it waits for
    /// the connection.
    ///
    /// # Errors
    /// [`PublishError::Send`] when the connection is closed.
    pub async fn round_trip(&self) -> Result<(), PublishError> {
        let inbox = self.client.new_inbox();
        let mut echo = self.subscribe(&inbox).await?;
        loop {
            self.publish(&inbox, Headers::new(), Bytes::new()).await?;
            match tokio::time::timeout(ECHO_PATIENCE, echo.next()).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {
                    return Err(PublishError::Send {
                        subject: inbox,
                        source: "the connection is closed".into(),
                    });
                }
                // A connection that broke in between has lost the message.
                Err(_) => {}
            }
        }
    }
}

/// Messages on a subject, until it is dropped or the connection is closed.
#[derive(Debug)]
pub struct Subscription(async_nats::Subscriber);

impl Subscription {
    /// Ends it after what the server has sent until now was read.
    pub async fn drain(&mut self) {
        if let Err(error) = self.0.drain().await {
            tracing::debug!(%error, "a closed subscription is not drained");
        }
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0
            .poll_next_unpin(context)
            .map(|next| next.map(Message::from_nats))
    }
}

/// The answers to one request, as they come.
#[derive(Debug)]
pub struct Answers {
    subject: String,
    subscriber: async_nats::Subscriber,
}

impl Answers {
    /// The next answer, waiting `patience` for it.
    ///
    /// # Errors
    /// [`RequestError::NobodyThere`] or [`RequestError::TimedOut`].
    pub async fn next(&mut self, patience: Duration) -> Result<Message, RequestError> {
        match tokio::time::timeout(patience, self.subscriber.next()).await {
            Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                Err(RequestError::NobodyThere {
                    subject: self.subject.clone(),
                })
            }
            Ok(Some(message)) => Ok(Message::from_nats(message)),
            Ok(None) | Err(_) => Err(RequestError::TimedOut {
                subject: self.subject.clone(),
            }),
        }
    }
}

fn publish_error(subject: &str, size: usize, error: async_nats::PublishError) -> PublishError {
    let subject = subject.to_owned();
    match error.kind() {
        async_nats::client::PublishErrorKind::MaxPayloadExceeded => {
            PublishError::TooLarge { subject, size }
        }
        _ => PublishError::Send {
            subject,
            source: Box::new(error),
        },
    }
}

fn request_error(subject: &str, size: usize, error: async_nats::RequestError) -> RequestError {
    let subject = subject.to_owned();
    match error.kind() {
        RequestErrorKind::NoResponders => RequestError::NobodyThere { subject },
        RequestErrorKind::TimedOut => RequestError::TimedOut { subject },
        RequestErrorKind::MaxPayloadExceeded => PublishError::TooLarge { subject, size }.into(),
        RequestErrorKind::InvalidSubject | RequestErrorKind::Other => PublishError::Send {
            subject,
            source: Box::new(error),
        }
        .into(),
    }
}
