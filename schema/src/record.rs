//! A ledger record: everything that one accepted command, or one decision, made happen.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, EventError};

/// The body of a ledger message. The envelope is in its headers; the sequence that JetStream gave
/// it is the version of the world.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// What happened, in order; never empty in a ledger.
    pub events: Vec<Event>,
}

/// A ledger body that this build cannot read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The body is not a record.
    #[error("the body is not a record")]
    Body(#[source] serde_json::Error),
    /// The record has no event.
    #[error("the record is empty")]
    Empty,
    /// One of its events cannot be read.
    #[error("event {index} cannot be read")]
    Event {
        /// The event's place in the record.
        index: usize,
        /// Why.
        #[source]
        source: EventError,
    },
}

#[derive(Deserialize)]
struct WireRecord {
    events: Vec<WireEvent>,
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Serialize)]
struct RecordBody<'a> {
    events: &'a [Event],
}

impl Record {
    /// The bytes that are stored.
    ///
    /// # Panics
    /// Never: events are made of types that JSON can hold.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&RecordBody {
            events: &self.events,
        })
        .expect("events are JSON")
    }

    /// Reads stored bytes of any released version.
    ///
    /// # Errors
    /// When the bytes are not a record or an event in it is not known. The reader must stop then.
    pub fn decode(body: &[u8]) -> Result<Self, RecordError> {
        let wire: WireRecord = serde_json::from_slice(body).map_err(RecordError::Body)?;
        if wire.events.is_empty() {
            return Err(RecordError::Empty);
        }
        let events = wire
            .events
            .into_iter()
            .enumerate()
            .map(|(index, event)| {
                Event::decode(&event.kind, event.data)
                    .map_err(|source| RecordError::Event { index, source })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { events })
    }
}
