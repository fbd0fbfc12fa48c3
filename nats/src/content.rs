//! Manifests by digest: each stored once, however many clusters it goes to.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::DirectGetErrorKind;
use bytes::Bytes;
use skein_schema::digest::Digest;
use skein_schema::subject;

use crate::connect::Connection;
use crate::message::Headers;
use crate::publish::{self, StoreMessageError};

/// The CONTENT stream.
#[derive(Clone, Debug)]
pub struct ContentStore {
    jetstream: Context,
}

/// Why a content could not be stored, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It was not stored.
    #[error("the content {digest} was not stored")]
    Store {
        /// Its digest.
        digest: Digest,
        /// Why.
        #[source]
        source: StoreMessageError,
    },
    /// The server did not answer.
    #[error("the content {digest} cannot be {action} now")]
    Unavailable {
        /// Its digest.
        digest: Digest,
        /// What was tried.
        action: &'static str,
        /// The server's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored is not what its name says.
    #[error("what is stored as {digest} has the digest {found}")]
    Damaged {
        /// The name.
        digest: Digest,
        /// The digest found.
        found: Digest,
    },
}

impl ContentStore {
    /// The store of this bus. Its stream must be there, see [`crate::topology::ensure`].
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
        }
    }

    /// Stores a content, unless it is there; answers its digest.
    ///
    /// # Errors
    /// [`ContentError::Store`].
    pub async fn put(&self, content: Bytes) -> Result<Digest, ContentError> {
        let digest = Digest::of(&content);
        let subject = subject::content(&digest);
        let stored =
            publish::store(&self.jetstream, &subject, &Headers::new(), content, Some(0)).await;
        match stored.await {
            // Somebody has stored it: there is only one content of this digest.
            Ok(_) | Err(StoreMessageError::Conflict { .. }) => Ok(digest),
            Err(source) => Err(ContentError::Store { digest, source }),
        }
    }

    /// A content, or `None` when it is not stored (or, with several servers, not yet known by the
    /// one that answered). What comes back has the digest asked for.
    ///
    /// # Errors
    /// [`ContentError::Unavailable`] or [`ContentError::Damaged`].
    pub async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, ContentError> {
        let unavailable =
            |source: Box<dyn std::error::Error + Send + Sync>| ContentError::Unavailable {
                digest: *digest,
                action: "read",
                source,
            };
        let stream = self
            .jetstream
            .get_stream_no_info(subject::CONTENT_STREAM)
            .await;
        let stream = stream.map_err(|error| unavailable(Box::new(error)))?;
        let body = match stream
            .direct_get_last_for_subject(subject::content(digest))
            .await
        {
            Ok(message) => message.payload,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(Box::new(error))),
        };
        let found = Digest::of(&body);
        if found == *digest {
            Ok(Some(body))
        } else {
            Err(ContentError::Damaged {
                digest: *digest,
                found,
            })
        }
    }

    /// Removes a content that nothing names any more. Removing one that is not there is no error.
    ///
    /// # Errors
    /// [`ContentError::Unavailable`].
    pub async fn remove(&self, digest: &Digest) -> Result<(), ContentError> {
        let unavailable =
            |source: Box<dyn std::error::Error + Send + Sync>| ContentError::Unavailable {
                digest: *digest,
                action: "removed",
                source,
            };
        let stream = self
            .jetstream
            .get_stream_no_info(subject::CONTENT_STREAM)
            .await;
        let stream = stream.map_err(|error| unavailable(Box::new(error)))?;
        let purged = stream.purge().filter(subject::content(digest)).await;
        purged
            .map(|_| ())
            .map_err(|error| unavailable(Box::new(error)))
    }
}
