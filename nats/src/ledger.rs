//! The ledger: one ordered list of records, to which records are only ever added.
//!
//! The port is [`Ledger`]; [`JetStreamLedger`] keeps it on the bus, [`MemoryLedger`] in
//! memory for simulations and tests. One suite, [`conformance`], says what both promise.
//!
//! An append says what it stands on: the sequence *and* the id of the record before it.
//! The sequence alone would not do for appends in flight. Take three, standing on 10, 11
//! and 12, and a record of another writer that takes 11 first: the one on 10 is refused,
//! but the one on 11 would be accepted, right behind a record its writer has never seen.
//! With the id it is refused as well, and so are all behind it. A ledger that cannot
//! check the id takes one append at a time, see [`Ledger::max_in_flight`].

mod appender;
pub mod conformance;
mod jetstream;
mod memory;
mod witness;

pub use appender::{Appender, MAX_IN_FLIGHT, Settled};
pub use jetstream::JetStreamLedger;
pub use memory::MemoryLedger;
pub use witness::{Fenced, Witness, WitnessError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use skein_schema::digest::Digest;

use crate::message::{Headers, StoredMessage, content_digest};
pub use crate::reader::ReadError;

/// A record as the ledger keeps it.
pub type StoredRecord = StoredMessage;

/// A record to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its id, unique for ever: the envelope's. By it a writer knows its own record again.
    pub id: String,
    /// The subject, `ledger.…`.
    pub subject: String,
    /// The envelope.
    pub headers: Headers,
    /// The events.
    pub body: Bytes,
}

impl NewRecord {
    /// The digest it will have when it is stored, see [`StoredMessage::digest`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        content_digest(&self.subject, &self.id, &self.body)
    }

    /// Whether `stored` is this record.
    fn is(&self, stored: &StoredRecord) -> bool {
        stored.id() == Some(self.id.as_str()) && stored.digest() == self.digest()
    }
}

/// The end of the ledger: what the next append stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tip {
    /// The last record's sequence; 0 when there is none.
    pub sequence: u64,
    /// The last record's id; none when there is no record.
    pub id: Option<String>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Appended {
        /// Its sequence.
        sequence: u64,
    },
    /// It is not stored: what it stands on is not, or is no longer, the end of the ledger. Somebody
    /// else wrote, or an append before it was refused. Read on from there, then decide anew.
    Conflict {
        /// The sequence it stood on.
        after: u64,
    },
}

/// Why it cannot be said, or will never be, what became of an append.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The server refused it for what it is: too large, or no room.
    #[error("the ledger does not take a record after {after}: {reason}")]
    Rejected {
        /// The sequence it stood on.
        after: u64,
        /// The server's words.
        reason: String,
    },
    /// For a long time neither the record nor another one could be seen in its place. It may be
    /// stored, or be stored yet. Whoever wrote it must not write on before having read on.
    #[error("it is not known whether a record was stored after {after}: {reason}")]
    Unknown {
        /// The sequence it stood on.
        after: u64,
        /// The last thing that went wrong.
        reason: String,
    },
}

/// The answer to an append, when it comes.
pub type Pending = BoxFuture<'static, Result<Outcome, AppendError>>;

/// A ledger.
pub trait Ledger: Send + Sync + 'static {
    /// Adds a record behind `after`.
    ///
    /// When the outer future is done the record is on its way, behind all those sent before; the
    /// inner one answers what became of it. An answer that does not come is looked for: the
    /// record is read back, and sent again if its place is still free.
    fn append(&self, record: NewRecord, after: Tip) -> BoxFuture<'_, Pending>;

    /// How many appends may be in flight at once. It is known for sure once [`Self::tip`] has
    /// answered, and 1 until then.
    fn max_in_flight(&self) -> usize;

    /// The records from a sequence on, and then those that come, for ever. Sequences are 1, 2, 3
    /// and so on without gaps; the stream ends after an error.
    fn read(&self, from: u64) -> BoxStream<'static, Result<StoredRecord, ReadError>>;

    /// One record, with everything considered that was acknowledged before the call.
    fn get(&self, sequence: u64) -> BoxFuture<'_, Result<Option<StoredRecord>, ReadError>>;

    /// The end of the ledger, with everything considered that was acknowledged before the call.
    fn tip(&self) -> BoxFuture<'_, Result<Tip, ReadError>>;
}

/// The records from `from` to `to`, both included; then it ends. `to` must exist.
pub fn read_range(
    ledger: &dyn Ledger,
    from: u64,
    to: u64,
) -> BoxStream<'static, Result<StoredRecord, ReadError>> {
    let from = from.max(1);
    let count = usize::try_from((to + 1).saturating_sub(from)).unwrap_or(usize::MAX);
    if count == 0 {
        futures::stream::empty().boxed()
    } else {
        ledger.read(from).take(count).boxed()
    }
}
