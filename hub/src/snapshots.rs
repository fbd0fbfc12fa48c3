//! Folded state on the bus, so that a start need not fold the whole ledger. Disposable: without a
//! usable snapshot the ledger is folded from its beginning.
//!
//! The lead takes one after so many records or so much time, and when it stops. A snapshot at a
//! sequence is only stored when everything that follows from the records up to it was dispatched,
//! so whoever starts from it has nothing to make up for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_hub_core::snapshot;
use skein_nats::snapshots::{SnapshotError as StoreError, SnapshotInfo, SnapshotStore};
use tokio::sync::{mpsc, oneshot};

use crate::config;
use crate::dispatch::Dispatch;
use crate::metrics::Metrics;
use crate::state::{Standing, State, View};
use crate::task::{self, Stop};

/// How long dispatching may take before a snapshot is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether a snapshot is due.
const CHECK: Duration = Duration::from_secs(1);

/// What stands before the folds in a stored snapshot, as one line of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    /// The STATUS sequence that it includes.
    status_sequence: u64,
    /// When it was taken.
    taken_at: Timestamp,
}

/// A snapshot that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The folds.
    pub view: View,
    /// When it was taken: what agents reported later is not in it.
    pub taken_at: Timestamp,
}

/// Why a snapshot could not be used or stored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The object store did not give or take it.
    #[error("the object store failed")]
    Store(#[from] StoreError),
    /// It is gone.
    #[error("the snapshot at {sequence} is gone")]
    Gone {
        /// Its ledger sequence.
        sequence: u64,
    },
    /// It has no head, or one of another version.
    #[error("the head of the snapshot at {sequence} cannot be read")]
    Head {
        /// Its ledger sequence.
        sequence: u64,
    },
    /// Its folds are damaged, or of another version.
    #[error("the snapshot at {sequence} cannot be read")]
    Folds {
        /// Its ledger sequence.
        sequence: u64,
        /// What is wrong with it.
        #[source]
        source: snapshot::SnapshotError,
    },
    /// Its content is of another sequence than its name says.
    #[error("the snapshot at {sequence} holds the state at {found}")]
    Misnamed {
        /// The sequence of its name.
        sequence: u64,
        /// The sequence found.
        found: u64,
    },
    /// Encoding or decoding panicked.
    #[error("the work on a snapshot failed")]
    Work(#[from] tokio::task::JoinError),
    /// What follows from the ledger was not dispatched in time.
    #[error("the dispatcher is behind")]
    Behind,
}

/// Reads a snapshot.
///
/// # Errors
/// When it is gone, damaged, or of another version.
pub async fn load(store: &SnapshotStore, info: &SnapshotInfo) -> Result<Loaded, SnapshotError> {
    let sequence = info.sequence;
    let bytes = store
        .get(info)
        .await?
        .ok_or(SnapshotError::Gone { sequence })?;
    task::blocking(move || decode(sequence, &bytes)).await?
}

fn encode(view: &View, taken_at: Timestamp) -> Vec<u8> {
    let head = Head {
        status_sequence: view.status_sequence,
        taken_at,
    };
    let mut bytes = serde_json::to_vec(&head).expect("numbers and times are JSON");
    bytes.push(b'\n');
    bytes.extend_from_slice(&snapshot::encode(&view.world, &view.observed));
    bytes
}

fn decode(sequence: u64, bytes: &[u8]) -> Result<Loaded, SnapshotError> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(SnapshotError::Head { sequence })?;
    let head: Head =
        serde_json::from_slice(&bytes[..end]).map_err(|_| SnapshotError::Head { sequence })?;
    let (world, observed) = snapshot::decode(&bytes[end + 1..])
        .map_err(|source| SnapshotError::Folds { sequence, source })?;
    if world.sequence() != sequence {
        return Err(SnapshotError::Misnamed {
            sequence,
            found: world.sequence(),
        });
    }
    let view = View {
        world,
        observed,
        status_sequence: head.status_sequence,
    };
    Ok(Loaded {
        view,
        taken_at: head.taken_at,
    })
}

/// The newest snapshot that can be used and does not go beyond `last`, if any.
///
/// # Errors
/// When the store cannot be listed.
pub async fn newest(store: &SnapshotStore, last: u64) -> Result<Option<Loaded>, StoreError> {
    for info in store
        .list()
        .await?
        .into_iter()
        .filter(|info| info.sequence <= last)
    {
        match load(store, &info).await {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(error) => {
                tracing::error!(error = %crate::report(&error), "a snapshot is passed over");
            }
        }
    }
    Ok(None)
}

/// The task that takes snapshots while this hub leads.
#[derive(Debug)]
pub struct Snapshots {
    /// Where they are stored.
    pub store: SnapshotStore,
    /// What is stored.
    pub state: Arc<State>,
    /// Says when all is dispatched.
    pub dispatch: mpsc::Sender<Dispatch>,
    /// When, and how many are kept.
    pub config: config::Snapshots,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl Snapshots {
    /// Takes snapshots until told to stop, and a last one then.
    ///
    /// # Errors
    /// Never: a snapshot that fails is logged and tried again.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut check = tokio::time::interval(CHECK);
        let (mut last, mut taken_at) = (self.state.read().world.sequence(), (self.now)());
        loop {
            tokio::select! {
                () = stop.wait() => break,
                _ = check.tick() => {}
            }
            let sequence = self.state.read().world.sequence();
            let age =
                u64::try_from((self.now)().duration_since(taken_at).as_secs()).unwrap_or_default();
            let due = sequence - last >= self.config.records
                || (sequence > last && age >= self.config.seconds);
            if due && self.leads() {
                (last, taken_at) = (self.take_and_log().await.unwrap_or(last), (self.now)());
            }
        }
        if self.leads() && self.state.read().world.sequence() > last {
            self.take_and_log().await;
        }
        Ok(())
    }

    fn leads(&self) -> bool {
        *self.state.standing().borrow() == Standing::Leading
    }

    async fn take_and_log(&self) -> Option<u64> {
        match self.take().await {
            Ok(info) => {
                self.metrics.count(&self.metrics.snapshots, "stored");
                tracing::info!(
                    sequence = info.sequence,
                    bytes = info.size,
                    "snapshot stored"
                );
                Some(info.sequence)
            }
            Err(error) => {
                self.metrics.count(&self.metrics.snapshots, "failed");
                tracing::warn!(error = %crate::report(&error), "no snapshot was stored");
                None
            }
        }
    }

    async fn take(&self) -> Result<SnapshotInfo, SnapshotError> {
        let (view, taken_at) = (self.state.read().clone(), (self.now)());
        let sequence = view.world.sequence();
        let dispatched = async {
            // The driver hands a record's changes to the dispatcher before it announces the record.
            self.state.reached(sequence).await;
            let (done, settled) = oneshot::channel();
            self.dispatch
                .send(Dispatch::Settle(done))
                .await
                .map_err(|_| SnapshotError::Behind)?;
            settled.await.map_err(|_| SnapshotError::Behind)
        };
        tokio::time::timeout(PATIENCE, dispatched)
            .await
            .map_err(|_| SnapshotError::Behind)??;
        let bytes = task::blocking(move || encode(&view, taken_at)).await?;
        let info = self.store.put(sequence, &bytes).await?;
        self.store.keep(self.config.keep).await?;
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00.5Z".parse().unwrap()
    }

    #[test]
    fn a_snapshot_is_read_back() {
        let view = View {
            status_sequence: 7,
            ..View::default()
        };
        let loaded = decode(0, &encode(&view, now())).unwrap();
        assert_eq!((loaded.view.status_sequence, loaded.taken_at), (7, now()));
        assert_eq!(loaded.view.world, view.world);
    }

    #[test]
    fn a_damaged_or_misnamed_snapshot_is_told_apart() {
        let good = encode(&View::default(), now());
        assert!(matches!(
            decode(3, &good),
            Err(SnapshotError::Misnamed {
                sequence: 3,
                found: 0
            })
        ));
        assert!(matches!(decode(0, b""), Err(SnapshotError::Head { .. })));
        assert!(matches!(
            decode(0, b"{\"version\":9}\n"),
            Err(SnapshotError::Head { .. })
        ));
        assert!(matches!(
            decode(0, &good[..good.len() - 3]),
            Err(SnapshotError::Folds { .. })
        ));
    }
}
