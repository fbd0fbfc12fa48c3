//! The past as people look at it: events in one line each, and what differs between two points in
//! time.

use serde_json::Value;
use skein_schema::envelope::EventId;
use skein_schema::event::Event;
use skein_schema::name::{ObjectName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::query::{At, EventFilter, EventView};
use skein_schema::resource::{KindName, Resource};

use crate::ledger::Stored;
use crate::world::World;

mod summary;

/// The events of a record, in order, without their data.
#[must_use]
pub fn events(stored: &Stored) -> Vec<EventView> {
    views(stored, false)
}

/// The events of a record that a filter lets through, in order, with their data if it says so. Its
/// `last` and `follow` are the caller's.
#[must_use]
pub fn select(filter: &EventFilter, stored: &Stored) -> Vec<EventView> {
    let views = views(stored, filter.data)
        .into_iter()
        .zip(&stored.record.events);
    views
        .filter(|(view, event)| matches(filter, stored, event, view))
        .map(|(view, _)| view)
        .collect()
}

fn views(stored: &Stored, data: bool) -> Vec<EventView> {
    let envelope = &stored.envelope;
    let events = stored.record.events.iter().zip(0..);
    events
        .map(|(event, index)| EventView {
            id: EventId {
                sequence: stored.sequence,
                index,
            },
            kind: event.kind().to_owned(),
            time: stored.time,
            actor: envelope.actor.clone(),
            object: object_of(event).map_or_else(
                || subject_of(event, &envelope.subject),
                |key| key.to_string(),
            ),
            summary: summary::of(event),
            command_id: envelope.command_id,
            causation_id: envelope.causation_id,
            traceparent: envelope.traceparent.clone(),
            data: data.then(|| data_of(event)),
        })
        .collect()
}

fn data_of(event: &Event) -> Value {
    match serde_json::to_value(event) {
        Ok(Value::Object(mut tagged)) => tagged.remove("data").unwrap_or_default(),
        _ => Value::Null,
    }
}

/// Whether a filter lets an event through.
#[must_use]
pub fn matches(filter: &EventFilter, stored: &Stored, event: &Event, view: &EventView) -> bool {
    let from = filter.since.is_none_or(|since| match since {
        At::Sequence(sequence) => stored.sequence >= sequence,
        At::Time(time) => stored.time >= time,
    });
    let until = filter.until.is_none_or(|until| match until {
        At::Sequence(sequence) => stored.sequence <= sequence,
        At::Time(time) => stored.time <= time,
    });
    let about = |kind: Option<KindName>,
                 workspace: Option<&Workspace>,
                 name: Option<&ObjectName>| {
        let key = object_of(event);
        (kind.is_none() && workspace.is_none() && name.is_none())
            || key.is_some_and(|key| {
                kind.is_none_or(|kind| key.kind == kind)
                    && workspace.is_none_or(|workspace| key.workspace.as_ref() == Some(workspace))
                    && name.is_none_or(|name| key.name == *name)
            })
    };
    from && until
        && about(filter.kind, filter.workspace.as_ref(), filter.name.as_ref())
        && filter
            .actor
            .as_ref()
            .is_none_or(|actor| *actor == stored.envelope.actor)
        && filter
            .type_contains
            .as_deref()
            .is_none_or(|text| view.kind.contains(text))
}

/// The object that an event is about, if it is about one.
#[must_use]
pub fn object_of(event: &Event) -> Option<ObjectKey> {
    match event {
        Event::Applied(applied) => ObjectKey::of(&applied.resource).ok(),
        Event::DeletionRequested(request) => Some(request.key.clone()),
        Event::Deleted(deleted) => Some(deleted.key.clone()),
        Event::ClusterJoinRequested(join) => Some(ObjectKey::cluster(&join.cluster)),
        Event::ClusterAccepted(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::ClusterDenied(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::CredentialIssued(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::CredentialRevoked(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::AvailabilityChanged(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::ClockChanged(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::TaintsChanged(event) => Some(ObjectKey::cluster(&event.cluster)),
        Event::PlacementDecided(decided) => Some(decided.key.clone()),
        Event::CommandRefused(refused) => refused.key.clone(),
        Event::TokenCreated(_) | Event::TokenRevoked(_) => None,
    }
}

/// What an event is about that is about no object.
fn subject_of(event: &Event, subject: &str) -> String {
    match event {
        Event::TokenCreated(grant) => format!("tokens/{}", grant.token),
        Event::TokenRevoked(revoked) => format!("tokens/{}", revoked.token),
        _ => subject.to_owned(),
    }
}

/// An object that differs between two points in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which.
    pub key: ObjectKey,
    /// As it was; `None` if it did not exist.
    pub before: Option<Value>,
    /// As it is; `None` if it is gone.
    pub after: Option<Value>,
}

/// What differs between two worlds, in key order: what was meant, without status. `kind` and
/// `workspace` narrow it down.
#[must_use]
pub fn diff(
    before: &World,
    after: &World,
    kind: Option<KindName>,
    workspace: Option<&Workspace>,
) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<&ObjectKey> = before
        .objects()
        .chain(after.objects())
        .map(|(key, _)| key)
        .collect();
    let chosen = keys.into_iter().filter(|key| {
        kind.is_none_or(|kind| key.kind == kind)
            && workspace.is_none_or(|workspace| key.workspace.as_ref() == Some(workspace))
    });
    chosen
        .filter_map(|key| {
            let (was, is) = (before.get(key), after.get(key));
            let version =
                |found: &std::sync::Arc<Resource>| found.metadata().resource_version.clone();
            if was.map(version) == is.map(version) {
                return None;
            }
            Some(Difference {
                key: key.clone(),
                before: was.map(|found| found.to_value()),
                after: is.map(|found| found.to_value()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
