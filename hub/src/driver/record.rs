//! Between decisions and ledger messages.

use std::sync::Arc;

use jiff::Timestamp;
use skein_hub_core::{Stored, Subject};
use skein_nats::ledger::{NewRecord, StoredRecord};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, EnvelopeError, EventId, Producer, SCHEMA_VERSION};
use skein_schema::name::{HubName, TokenName};
use skein_schema::record::{Record, RecordError};
use uuid::Uuid;

use super::input::{JoinCall, RenewCall};
use crate::intake::CommandRequest;

/// A stored record that this build cannot read. The reader must stop.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Its headers are no envelope, or its body is not what they say.
    #[error("the envelope cannot be read")]
    Envelope(#[from] EnvelopeError),
    /// Its body is no record.
    #[error("the record cannot be read")]
    Record(#[from] RecordError),
}

/// Reads a stored record.
///
/// Folds go by the time in the envelope, also here: the lead folds a record before the bus has said
/// when it stored it, and reading it again must give the same state.
///
/// # Errors
/// When it is damaged or newer than this build. Nothing may be skipped then.
pub fn decode(stored: &StoredRecord) -> Result<Stored, DecodeError> {
    let envelope = Envelope::from_headers(|name| stored.headers.get(name))?;
    envelope.check_body(&stored.body)?;
    let record = Record::decode(&stored.body)?;
    Ok(Stored {
        sequence: stored.sequence,
        time: envelope.time,
        envelope,
        record,
    })
}

/// What led to a decision; it goes into the record's envelope.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// Who caused it.
    pub(crate) actor: Actor,
    /// For whom, if for somebody else.
    pub(crate) on_behalf_of: Option<Actor>,
    /// The command, or the request to join or renew.
    pub(crate) command_id: Option<Uuid>,
    /// The event that it reacts to.
    pub(crate) causation_id: Option<EventId>,
    /// One id for everything that follows from one command.
    pub(crate) correlation_id: Option<Uuid>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
}

impl Cause {
    /// The hub, of its own accord.
    pub(crate) fn hub(hub: &HubName) -> Self {
        Self {
            actor: Actor::Hub(hub.clone()),
            on_behalf_of: None,
            command_id: None,
            causation_id: None,
            correlation_id: None,
            traceparent: None,
        }
    }

    /// A command.
    pub(crate) fn command(request: &CommandRequest) -> Self {
        Self {
            actor: request.actor(),
            on_behalf_of: request.on_behalf_of.clone(),
            command_id: Some(request.id),
            causation_id: None,
            correlation_id: Some(request.correlation_id),
            traceparent: request.traceparent.clone(),
        }
    }

    /// The holder of a join token.
    pub(crate) fn join(call: &JoinCall) -> Self {
        let token: TokenName = call.token.clone();
        Self::request(
            Actor::Token(token),
            call.request.request,
            call.message.headers.get("traceparent"),
        )
    }

    /// A cluster that wants a fresh credential.
    pub(crate) fn renew(call: &RenewCall) -> Self {
        let actor = Actor::Cluster(call.cluster.clone());
        Self::request(
            actor,
            call.request.request,
            call.message.headers.get("traceparent"),
        )
    }

    fn request(actor: Actor, id: Uuid, traceparent: Option<&str>) -> Self {
        Self {
            actor,
            on_behalf_of: None,
            command_id: Some(id),
            causation_id: None,
            correlation_id: Some(id),
            traceparent: traceparent
                .filter(|text| crate::trace::is_traceparent(text))
                .map(str::to_owned),
        }
    }

    /// A record that a reaction follows from: the hub acts, in the same story.
    pub(crate) fn record(hub: &HubName, stored: &Stored) -> Self {
        let last = u32::try_from(stored.record.events.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Self {
            causation_id: Some(EventId {
                sequence: stored.sequence,
                index: last,
            }),
            correlation_id: Some(stored.envelope.correlation_id),
            traceparent: stored.envelope.traceparent.clone(),
            ..Self::hub(hub)
        }
    }
}

/// Makes a record: as the folds take it, and as the ledger stores it.
pub(crate) fn encode(
    subject: &Subject,
    record: Record,
    cause: &Cause,
    hub: &HubName,
    place: Place,
) -> (Arc<Stored>, NewRecord) {
    let Place { id, sequence, now } = place;
    let body = record.encode();
    let kind = record.events.first().map_or("", |event| event.kind());
    let envelope = Envelope {
        id,
        kind: kind.to_owned(),
        source: format!("/hub/{hub}"),
        subject: subject.to_string(),
        time: now,
        actor: cause.actor.clone(),
        on_behalf_of: cause.on_behalf_of.clone(),
        command_id: cause.command_id,
        causation_id: cause.causation_id,
        correlation_id: cause.correlation_id.unwrap_or(id),
        traceparent: cause.traceparent.clone(),
        producer: Producer::this_build("skein-hub"),
        schema_version: SCHEMA_VERSION,
        digest: Digest::of(&body),
    };
    let new = NewRecord {
        id: id.to_string(),
        subject: subject.ledger_subject(),
        headers: envelope.to_headers().into(),
        body: body.into(),
    };
    (
        Arc::new(Stored {
            sequence,
            time: now,
            envelope,
            record,
        }),
        new,
    )
}

/// Where and when a record comes into being.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its id.
    pub(crate) id: Uuid,
    /// The sequence it will have.
    pub(crate) sequence: u64,
    /// The hub's clock.
    pub(crate) now: Timestamp,
}
