//! Folded state, kept so that a start need not read the whole ledger. All of it can be
//! deleted and made again.

use std::io::Cursor;

use async_nats::jetstream::Context;
use async_nats::jetstream::object_store::{GetErrorKind, ObjectMetadata, ObjectStore};
use bytes::Bytes;
use futures::StreamExt as _;
use skein_schema::digest::Digest;
use skein_schema::subject;
use tokio::io::AsyncReadExt as _;

use crate::connect::Connection;

/// The snapshots of this bus.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    jetstream: Context,
}

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The ledger sequence up to which it is folded.
    pub sequence: u64,
    /// Its size in bytes.
    pub size: usize,
    /// Its object's name.
    pub name: String,
}

/// Why a snapshot could not be written or read. None of it matters to the truth: read the ledger.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The server did not answer, or refused.
    #[error("snapshots cannot be {action} now")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The server's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored is not what was written.
    #[error("the snapshot {name} is damaged")]
    Damaged {
        /// Its object's name.
        name: String,
    },
}

fn unavailable(
    action: &'static str,
) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> SnapshotError {
    move |source| SnapshotError::Unavailable { action, source }
}

/// The name sorts as the sequence does, and holds the digest.
fn name_of(sequence: u64, digest: &Digest) -> String {
    format!("{sequence:020}-{digest}")
}

fn parse_name(name: &str) -> Option<(u64, Digest)> {
    let (sequence, digest) = name.split_once('-')?;
    Some((sequence.parse().ok()?, digest.parse().ok()?))
}

impl SnapshotStore {
    /// The store of this bus. Its stream must be there, see [`crate::topology::ensure`].
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            jetstream: connection.jetstream().clone(),
        }
    }

    async fn bucket(&self, action: &'static str) -> Result<ObjectStore, SnapshotError> {
        let bucket = self
            .jetstream
            .get_object_store(subject::SNAPSHOTS_BUCKET)
            .await;
        bucket.map_err(|error| unavailable(action)(Box::new(error)))
    }

    /// Writes the state folded up to ledger sequence `sequence`.
    ///
    /// # Errors
    /// [`SnapshotError::Unavailable`].
    pub async fn put(&self, sequence: u64, state: &[u8]) -> Result<SnapshotInfo, SnapshotError> {
        let name = name_of(sequence, &Digest::of(state));
        let bucket = self.bucket("written").await?;
        let object = ObjectMetadata {
            name: name.clone(),
            ..ObjectMetadata::default()
        };
        let written = bucket.put(object, &mut Cursor::new(state)).await;
        written.map_err(|error| unavailable("written")(Box::new(error)))?;
        Ok(SnapshotInfo {
            sequence,
            size: state.len(),
            name,
        })
    }

    /// The snapshots there are, the newest first.
    ///
    /// # Errors
    /// [`SnapshotError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<SnapshotInfo>, SnapshotError> {
        let bucket = self.bucket("listed").await?;
        let mut objects = bucket
            .list()
            .await
            .map_err(|error| unavailable("listed")(Box::new(error)))?;
        let mut found = Vec::new();
        while let Some(object) = objects.next().await {
            let object = object.map_err(|error| unavailable("listed")(Box::new(error)))?;
            if let Some((sequence, _)) = parse_name(&object.name) {
                found.push(SnapshotInfo {
                    sequence,
                    size: object.size,
                    name: object.name,
                });
            }
        }
        found.sort_by(|one, two| two.name.cmp(&one.name));
        Ok(found)
    }

    /// A snapshot's bytes, or `None` when it is gone. What comes back is what was written.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub async fn get(&self, snapshot: &SnapshotInfo) -> Result<Option<Bytes>, SnapshotError> {
        let damaged = || SnapshotError::Damaged {
            name: snapshot.name.clone(),
        };
        let (_, digest) = parse_name(&snapshot.name).ok_or_else(damaged)?;
        let bucket = self.bucket("read").await?;
        let mut object = match bucket.get(&snapshot.name).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable("read")(Box::new(error))),
        };
        let mut state = Vec::with_capacity(snapshot.size);
        object
            .read_to_end(&mut state)
            .await
            .map_err(|error| unavailable("read")(Box::new(error)))?;
        if Digest::of(&state) == digest {
            Ok(Some(state.into()))
        } else {
            Err(damaged())
        }
    }

    /// Deletes all but the newest `keep`.
    ///
    /// # Errors
    /// [`SnapshotError::Unavailable`].
    pub async fn keep(&self, keep: usize) -> Result<(), SnapshotError> {
        let bucket = self.bucket("deleted").await?;
        for snapshot in self.list().await?.into_iter().skip(keep) {
            let deleted = bucket.delete(&snapshot.name).await;
            deleted.map_err(|error| unavailable("deleted")(Box::new(error)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_their_sequences() {
        let digest = Digest::of(b"state");
        assert!(name_of(9, &digest) < name_of(10, &digest));
        assert_eq!(parse_name(&name_of(10, &digest)), Some((10, digest)));
        assert_eq!(parse_name("something-else"), None);
    }
}
