//! `events`: what happened, from the ledger.

use futures::StreamExt as _;
use skein_hub_core::{Stored, history};
use skein_nats::ledger::{Ledger as _, StoredRecord, read_range};
use skein_schema::query::{Answer, At, EventFilter, EventView};

use super::past::PastError;
use super::{Asker, Inner, QueryError};
use crate::driver::record;

/// Records read at a time when the last events are looked for from the end.
const WINDOW: u64 = 500;

impl Inner {
    pub(super) async fn events(
        &self,
        asker: &Asker,
        filter: &EventFilter,
    ) -> Result<(), QueryError> {
        let last = self.state.read().world.sequence();
        let from = match filter.since {
            None => 1,
            Some(At::Sequence(sequence)) => sequence.max(1),
            // The first record at or after the time: the one behind the last before it.
            Some(At::Time(time)) => {
                let before = time - jiff::SignedDuration::from_nanos(1);
                self.past.sequence_at(before, last).await? + 1
            }
        };
        let until = match filter.until {
            None => None,
            Some(At::Sequence(sequence)) => Some(sequence),
            Some(At::Time(time)) if time > (self.now)() => None,
            Some(At::Time(time)) => Some(self.past.sequence_at(time, last).await?),
        };
        let to = until.map_or(last, |until| until.min(last));
        match filter.last {
            Some(count) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                for event in self.last_events(filter, from, to, count).await? {
                    asker.send(&Answer::Event(Box::new(event))).await?;
                }
            }
            None => {
                let mut records = read_range(&self.ledger, from, to);
                while let Some(record) = records.next().await {
                    self.send_events(asker, filter, &record?).await?;
                }
            }
        }
        if filter.follow && until.is_none_or(|until| until > last) {
            asker.send(&Answer::Listed).await?;
            return self
                .follow(asker, filter, to.max(from.saturating_sub(1)) + 1, until)
                .await;
        }
        self.end(asker, to).await
    }

    async fn follow(
        &self,
        asker: &Asker,
        filter: &EventFilter,
        from: u64,
        until: Option<u64>,
    ) -> Result<(), QueryError> {
        let mut records = self.ledger.read(from);
        let gone = asker.gone();
        tokio::pin!(gone);
        loop {
            let record = tokio::select! {
                () = &mut gone => return Err(QueryError::Gone),
                record = records.next() => record.ok_or(QueryError::Gone)??,
            };
            if until.is_some_and(|until| record.sequence > until) {
                return self.end(asker, record.sequence - 1).await;
            }
            self.send_events(asker, filter, &record).await?;
        }
    }

    async fn send_events(
        &self,
        asker: &Asker,
        filter: &EventFilter,
        record: &StoredRecord,
    ) -> Result<(), QueryError> {
        for event in matching(filter, record)? {
            asker.send(&Answer::Event(Box::new(event))).await?;
        }
        Ok(())
    }

    /// The last `count` matching events between two sequences, found from the end.
    async fn last_events(
        &self,
        filter: &EventFilter,
        from: u64,
        to: u64,
        count: usize,
    ) -> Result<Vec<EventView>, QueryError> {
        let mut found: Vec<EventView> = Vec::new();
        let mut end = to;
        while end >= from && found.len() < count {
            let start = end.saturating_sub(WINDOW - 1).max(from);
            let mut window = Vec::new();
            let mut records = read_range(&self.ledger, start, end);
            while let Some(record) = records.next().await {
                window.extend(matching(filter, &record?)?);
            }
            window.append(&mut found);
            found = window;
            end = start - 1;
        }
        Ok(found.split_off(found.len().saturating_sub(count)))
    }
}

fn matching(filter: &EventFilter, record: &StoredRecord) -> Result<Vec<EventView>, PastError> {
    let stored = record::decode(record).map_err(|source| PastError::Record {
        sequence: record.sequence,
        source,
    })?;
    // Folds go by the writer's time; people are shown, and ask by, the bus's.
    let stored = Stored {
        time: record.time,
        ..stored
    };
    Ok(history::select(filter, &stored))
}
