//! Manifests that are named by digest: fetched from the hub, checked, and kept on disk as long as a
//! work names them, so that they are there when the hub is not.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use serde_json::{Map, Value};
use skein_schema::code::Refusal;
use skein_schema::digest::Digest;
use skein_schema::sync::{SyncEnd, SyncRequest};

use crate::link::{LinkError, SyncAnswer};
use crate::state_dir::{StateDir, StateDirError};
use crate::uplink::LinkHandle;

const FOLDER: &str = "content";

/// A manifest cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The work names it by something that is no digest.
    #[error("{digest:?} is not a digest")]
    Digest {
        /// What it was named by.
        digest: String,
    },
    /// It is not on disk and the hub cannot be asked.
    #[error("content {digest} is not here and the hub is not connected")]
    Disconnected {
        /// Which.
        digest: Digest,
    },
    /// The hub was asked and did not answer to the end.
    #[error("content {digest} could not be fetched")]
    Fetch {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: LinkError,
    },
    /// The hub does not give it.
    #[error("the hub does not give content {digest}")]
    Refused {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// What came is not what was asked for.
    #[error("what came as content {digest} has another digest")]
    Forged {
        /// Which.
        digest: Digest,
    },
    /// It is not a JSON object.
    #[error("content {digest} is not a JSON object")]
    NotAnObject {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The disk fails.
    #[error(transparent)]
    Storage(#[from] StateDirError),
}

/// The contents on disk, and the way to the others.
#[derive(Clone)]
pub struct Contents {
    dir: StateDir,
    link: LinkHandle,
}

impl Contents {
    /// Contents below the state folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(dir: &StateDir, link: LinkHandle) -> Result<Self, StateDirError> {
        Ok(Self {
            dir: dir.folder(FOLDER)?,
            link,
        })
    }

    /// A manifest by its digest's text.
    ///
    /// # Errors
    /// When it is neither here nor to be had.
    pub async fn get(&self, digest: &str) -> Result<Map<String, Value>, ContentError> {
        let digest: Digest = digest.parse().map_err(|_| ContentError::Digest {
            digest: digest.to_owned(),
        })?;
        let name = digest.to_string();
        let bytes = match self.dir.read(&name)? {
            // A damaged file is as good as none.
            Some(bytes) if Digest::of(&bytes) == digest => bytes,
            _ => {
                let bytes = self.fetch(digest).await?;
                self.dir.write(&name, &bytes)?;
                bytes
            }
        };
        serde_json::from_slice(&bytes)
            .map_err(|source| ContentError::NotAnObject { digest, source })
    }

    async fn fetch(&self, digest: Digest) -> Result<Vec<u8>, ContentError> {
        let failed = |source| ContentError::Fetch { digest, source };
        let (link, set) = self
            .link
            .current()
            .ok_or(ContentError::Disconnected { digest })?;
        let mut answers = link
            .sync(&set, &SyncRequest::Content { digest })
            .await
            .map_err(failed)?;
        let mut found = None;
        while let Some(answer) = answers.next().await {
            match answer.map_err(failed)? {
                SyncAnswer::Content(bytes) => found = Some(bytes),
                SyncAnswer::End(SyncEnd::Refused(refusal)) => {
                    return Err(ContentError::Refused { digest, refusal });
                }
                SyncAnswer::End(_) => break,
                SyncAnswer::Desired(_) => {}
            }
        }
        let bytes = found.ok_or(ContentError::Disconnected { digest })?;
        if Digest::of(&bytes) != digest {
            return Err(ContentError::Forged { digest });
        }
        Ok(bytes.to_vec())
    }

    /// Deletes what no work names any more: the folder is never larger than what is wanted.
    ///
    /// # Errors
    /// When the folder cannot be read or a file stays.
    pub fn keep_only(&self, wanted: &BTreeSet<String>) -> Result<(), StateDirError> {
        for name in self.dir.names()? {
            if !wanted.contains(&name) {
                self.dir.remove(&name)?;
            }
        }
        Ok(())
    }
}
