//! Many appends in flight, answered in the order they were made.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};

use super::{AppendError, Ledger, NewRecord, Outcome, Tip};

/// How many appends a ledger takes at most before the first is answered. More gain nothing: see
/// the benchmarks.
pub const MAX_IN_FLIGHT: usize = 256;

/// What became of one append.
#[derive(Debug)]
pub struct Settled<T> {
    /// What the writer attached to it.
    pub ticket: T,
    /// The answer.
    pub outcome: Result<Outcome, AppendError>,
}

/// A writer that does not wait for one answer before it sends the next record: each stands on the
/// one before it.
///
/// Once one is not appended none behind it is, and the appender is *broken*: it sends no more.
/// Take all answers, read on from the ledger, decide anew, and make another appender.
///
/// To be used by one loop: `select!` on [`Appender::settled`] and, while [`Appender::has_room`],
/// on whatever brings new records. Waiting for an answer may be dropped; a push may not.
pub struct Appender<T> {
    ledger: Arc<dyn Ledger>,
    tip: Tip,
    in_flight: FuturesOrdered<BoxFuture<'static, Settled<T>>>,
    /// Answers that came while a push waited for room.
    answered: VecDeque<Settled<T>>,
    broken: bool,
}

impl<T: Send + 'static> Appender<T> {
    /// A writer whose first record shall stand on `tip`, which is what its state is the fold of.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, tip: Tip) -> Self {
        Self {
            ledger,
            tip,
            in_flight: FuturesOrdered::new(),
            answered: VecDeque::new(),
            broken: false,
        }
    }

    /// Whether another record can be sent now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.broken && self.in_flight.len() < self.ledger.max_in_flight()
    }

    /// How many answers are outstanding.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len() + self.answered.len()
    }

    /// Whether an append was not stored.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The end of the ledger as it will be when everything sent is stored.
    #[must_use]
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Sends a record, after having waited for room. On a broken appender nothing is sent and the
    /// answer is a conflict. To be awaited to its end.
    pub async fn push(&mut self, record: NewRecord, ticket: T) {
        while !self.broken && !self.has_room() {
            let Some(settled) = self.in_flight.next().await else {
                break;
            };
            self.note(&settled);
            self.answered.push_back(settled);
        }
        let after = self.tip.clone();
        if self.broken {
            let outcome = Ok(Outcome::Conflict {
                after: after.sequence,
            });
            self.in_flight
                .push_back(std::future::ready(Settled { ticket, outcome }).boxed());
            return;
        }
        self.tip = Tip {
            sequence: after.sequence + 1,
            id: Some(record.id.clone()),
        };
        let pending = self.ledger.append(record, after).await;
        self.in_flight
            .push_back(pending.map(|outcome| Settled { ticket, outcome }).boxed());
    }

    /// The next answer, in the order of the pushes; `None` when none is outstanding.
    pub async fn settled(&mut self) -> Option<Settled<T>> {
        if let Some(settled) = self.answered.pop_front() {
            return Some(settled);
        }
        let settled = self.in_flight.next().await?;
        self.note(&settled);
        Some(settled)
    }

    fn note(&mut self, settled: &Settled<T>) {
        if !matches!(settled.outcome, Ok(Outcome::Appended { .. })) {
            self.broken = true;
        }
    }
}
