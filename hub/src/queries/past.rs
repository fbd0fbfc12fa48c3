//! The folds as they were: from the nearest snapshot, and the records behind it.
//!
//! What was meant at a sequence is the fold of LEDGER up to it. What was seen then is the fold of
//! STATUS up to the same moment: the two are joined by time.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use skein_nats::ledger::{JetStreamLedger, Ledger as _, ReadError, StoredRecord, read_range};
use skein_nats::snapshots::SnapshotStore;
use skein_nats::status::StatusStream;
use skein_schema::code::{Code, Refusal};
use skein_schema::query::At;
use tokio::sync::{Mutex, Semaphore};

use super::QueryError;
use crate::driver::record;
use crate::snapshots;
use crate::state::{State, View};
use crate::status;
use crate::task;

/// How many pasts are folded at a time.
const AT_A_TIME: usize = 2;
/// How many pasts are remembered: people look at several kinds of the same moment.
const REMEMBERED: usize = 4;
/// Records that one step of folding takes to a thread of its own.
const CHUNK: usize = 2_000;

/// Why the past could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum PastError {
    /// A stream could not be read.
    #[error("a stream could not be read")]
    Read(#[from] ReadError),
    /// A record of the past cannot be decoded.
    #[error("record {sequence} cannot be decoded")]
    Record {
        /// Its sequence.
        sequence: u64,
        /// Why.
        #[source]
        source: record::DecodeError,
    },
    /// Folding panicked.
    #[error("folding the past failed")]
    Fold(#[from] tokio::task::JoinError),
}

/// Makes past states.
#[derive(Debug)]
pub(super) struct Past {
    ledger: JetStreamLedger,
    statuses: StatusStream,
    snapshots: SnapshotStore,
    room: Semaphore,
    remembered: Mutex<VecDeque<(Point, Arc<View>)>>,
}

/// A point in the past: a sequence and the moment that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    sequence: u64,
    time: Timestamp,
}

impl Past {
    pub(super) fn new(
        ledger: JetStreamLedger,
        statuses: StatusStream,
        snapshots: SnapshotStore,
    ) -> Self {
        let remembered = Mutex::new(VecDeque::new());
        Self {
            ledger,
            statuses,
            snapshots,
            room: Semaphore::new(AT_A_TIME),
            remembered,
        }
    }

    /// The folds at a point.
    pub(super) async fn at(&self, at: At, state: &State) -> Result<Arc<View>, QueryError> {
        let last = state.read().world.sequence();
        let point = self.point(at, last).await?;
        if let Some(view) = self.recall(point).await {
            return Ok(view);
        }
        let _room = self
            .room
            .acquire()
            .await
            .expect("the semaphore is never closed");
        // Somebody else may have folded it meanwhile.
        if let Some(view) = self.recall(point).await {
            return Ok(view);
        }
        let view = Arc::new(self.fold(point).await?);
        let mut remembered = self.remembered.lock().await;
        remembered.push_front((point, Arc::clone(&view)));
        remembered.truncate(REMEMBERED);
        Ok(view)
    }

    async fn recall(&self, point: Point) -> Option<Arc<View>> {
        let remembered = self.remembered.lock().await;
        remembered
            .iter()
            .find(|(at, _)| *at == point)
            .map(|(_, view)| Arc::clone(view))
    }

    /// The sequence of the last record at or before a time, and of a sequence its time.
    async fn point(&self, at: At, last: u64) -> Result<Point, QueryError> {
        let out_of_range = |message: String| {
            QueryError::from(Refusal::new(Code::OutOfRange, message).with_hint(format!(
                "the ledger has the sequences 1 to {last}; `skein events` shows their times"
            )))
        };
        match at {
            At::Sequence(sequence) if sequence == 0 || sequence > last => Err(out_of_range(
                format!("the ledger has no sequence {sequence}"),
            )),
            At::Sequence(sequence) => {
                let time = self.time(sequence).await?;
                let time =
                    time.ok_or_else(|| out_of_range(format!("sequence {sequence} is not kept")))?;
                Ok(Point { sequence, time })
            }
            At::Time(time) => match self.sequence_at(time, last).await? {
                0 => Err(out_of_range(format!("the ledger begins after {time}"))),
                sequence => Ok(Point { sequence, time }),
            },
        }
    }

    async fn time(&self, sequence: u64) -> Result<Option<Timestamp>, PastError> {
        Ok(self.ledger.get(sequence).await?.map(|record| record.time))
    }

    /// The last sequence stored at or before `time`; 0 when there is none.
    pub(super) async fn sequence_at(&self, time: Timestamp, last: u64) -> Result<u64, PastError> {
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.time(middle).await? {
                Some(stored) if stored <= time => low = middle,
                _ => high = middle - 1,
            }
        }
        Ok(low)
    }

    async fn fold(&self, point: Point) -> Result<View, PastError> {
        let mut view = self.nearest(point).await;
        tracing::debug!(
            sequence = point.sequence,
            from = view.world.sequence(),
            "folding the past"
        );
        let from = view.world.sequence() + 1;
        let mut records = read_range(&self.ledger, from, point.sequence).ready_chunks(CHUNK);
        while let Some(chunk) = records.next().await {
            let chunk = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
            view = task::blocking(move || fold_records(view, &chunk)).await??;
        }
        let last = self.statuses.bounds().await?.last;
        if view.status_sequence >= last {
            return Ok(view);
        }
        let mut reports = self
            .statuses
            .read(view.status_sequence + 1)
            .ready_chunks(CHUNK);
        while let Some(chunk) = reports.next().await {
            let chunk = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
            let over = chunk
                .last()
                .is_some_and(|report| report.time > point.time || report.sequence >= last);
            view = task::blocking(move || fold_reports(view, &chunk, point.time)).await?;
            if over {
                break;
            }
        }
        Ok(view)
    }

    /// The nearest snapshot before a point, or nothing. What agents had reported when it was taken
    /// is only of use when it was taken before the point, too.
    async fn nearest(&self, point: Point) -> View {
        match snapshots::newest(&self.snapshots, point.sequence).await {
            Ok(Some(loaded)) if loaded.taken_at <= point.time => loaded.view,
            Ok(Some(loaded)) => View {
                world: loaded.view.world,
                ..View::default()
            },
            Ok(None) => View::default(),
            Err(error) => {
                tracing::warn!(error = %crate::report(&error), "snapshots cannot be listed, folding from the beginning");
                View::default()
            }
        }
    }
}

fn fold_records(mut view: View, records: &[StoredRecord]) -> Result<View, PastError> {
    for record in records {
        let stored = record::decode(record).map_err(|source| PastError::Record {
            sequence: record.sequence,
            source,
        })?;
        view.world.evolve(&stored);
    }
    Ok(view)
}

fn fold_reports(mut view: View, reports: &[StoredRecord], until: Timestamp) -> View {
    for report in reports.iter().filter(|report| report.time <= until) {
        if let Ok((cluster, message)) = status::decode(report) {
            view.observed
                .evolve(&cluster, &message, report.sequence, report.time);
        }
        view.status_sequence = report.sequence;
    }
    view
}
