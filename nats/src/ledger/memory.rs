//! A ledger in memory, for simulations and tests.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Ledger, MAX_IN_FLIGHT, NewRecord, Outcome, Pending, ReadError, StoredRecord, Tip};
use crate::message::MESSAGE_ID;

/// What a record's time is taken from.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A ledger in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryLedger {
    records: Arc<Mutex<Vec<StoredRecord>>>,
    length: watch::Sender<u64>,
    clock: Clock,
}

impl fmt::Debug for MemoryLedger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MemoryLedger")
            .field("records", &*self.length.borrow())
            .finish()
    }
}

impl MemoryLedger {
    /// An empty one; records get their time from `clock`.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            records: Arc::default(),
            length: watch::Sender::new(0),
            clock: Arc::new(clock),
        }
    }

    fn records(&self) -> MutexGuard<'_, Vec<StoredRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, record: NewRecord, after: &Tip) -> Outcome {
        let mut records = self.records();
        let tip = tip_of(&records);
        if tip.sequence != after.sequence || (after.id.is_some() && tip.id != after.id) {
            return Outcome::Conflict {
                after: after.sequence,
            };
        }
        let sequence = tip.sequence + 1;
        records.push(StoredRecord {
            sequence,
            subject: record.subject,
            headers: record.headers.with(MESSAGE_ID, record.id),
            body: record.body,
            time: (self.clock)(),
        });
        self.length.send_replace(sequence);
        Outcome::Appended { sequence }
    }
}

fn tip_of(records: &[StoredRecord]) -> Tip {
    records.last().map_or_else(Tip::default, |last| Tip {
        sequence: last.sequence,
        id: last.id().map(str::to_owned),
    })
}

fn find(records: &[StoredRecord], sequence: u64) -> Option<StoredRecord> {
    let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
    records.get(index).cloned()
}

impl Ledger for MemoryLedger {
    fn append(&self, record: NewRecord, after: Tip) -> BoxFuture<'_, Pending> {
        let outcome = self.store(record, &after);
        ready(ready(Ok(outcome)).boxed()).boxed()
    }

    fn max_in_flight(&self) -> usize {
        MAX_IN_FLIGHT
    }

    fn read(&self, from: u64) -> BoxStream<'static, Result<StoredRecord, ReadError>> {
        let (ledger, length) = (self.clone(), self.length.subscribe());
        futures::stream::unfold(
            (ledger, length, from.max(1)),
            |(ledger, mut length, next)| async move {
                // The sender lives in the ledger, which this stream holds.
                length.wait_for(|length| *length >= next).await.ok()?;
                let record = find(&ledger.records(), next)?;
                Some((Ok(record), (ledger, length, next + 1)))
            },
        )
        .boxed()
    }

    fn get(&self, sequence: u64) -> BoxFuture<'_, Result<Option<StoredRecord>, ReadError>> {
        ready(Ok(find(&self.records(), sequence))).boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, ReadError>> {
        ready(Ok(tip_of(&self.records()))).boxed()
    }
}
