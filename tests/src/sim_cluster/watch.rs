//! Watches: what a client is told, from which version on, and when its history has run out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ApiError;
use super::kinds::ResourceType;
use super::object;
use super::request::{ApiRequest, WatchOptions};
use super::selector::Selector;
use super::server::{ApiServer, typed};
use super::store::{Change, Stored};

/// One client's watch, between two looks at the store.
#[derive(Debug)]
pub(crate) struct Watch {
    kind: Arc<ResourceType>,
    namespace: String,
    name: String,
    selector: Selector,
    bookmarks: bool,
    version: u64,
    initial: Initial,
    next_bookmark: Timestamp,
    ends: Option<Timestamp>,
    last_bookmark: u64,
    /// The oldest version that could still be had, when this watch began too far back.
    expired: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Initial {
    /// The present objects are still to be sent.
    Objects,
    /// The same, and a bookmark that says so.
    ObjectsAndBookmark,
    Done,
}

/// What a look at the store brings.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Lines of JSON to send.
    pub(crate) lines: String,
    /// Whether the watch is over.
    pub(crate) ended: bool,
}

impl Events {
    fn push(&mut self, event: &str, body: &str) {
        self.lines
            .push_str(&format!("{{\"type\":\"{event}\",\"object\":{body}}}\n"));
    }
}

impl Watch {
    /// Begins a watch.
    pub(crate) fn start(
        server: &ApiServer,
        request: &ApiRequest,
        options: WatchOptions,
        now: Timestamp,
    ) -> Result<Watch, ApiError> {
        let current = server.store.version();
        if let Some(version) = options.version.filter(|version| *version > current) {
            return Err(ApiError::too_large_version(version, current));
        }
        let from_now = options.version.is_none_or(|version| version == 0);
        let initial = match (options.initial_events, from_now) {
            (true, _) => Initial::ObjectsAndBookmark,
            (false, true) => Initial::Objects,
            (false, false) => Initial::Done,
        };
        let start = options.version.filter(|_| initial == Initial::Done);
        let expired = start
            .and_then(|version| server.store.check_start(version).err())
            .map(|compacted| compacted.oldest);
        let ends = options
            .timeout
            .and_then(|timeout| now.checked_add(timeout).ok());
        Ok(Watch {
            kind: request.kind.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            selector: options.selector,
            bookmarks: options.bookmarks,
            version: start.unwrap_or(current),
            initial,
            next_bookmark: next_bookmark(server.options.bookmark_interval, ends, now),
            ends,
            last_bookmark: 0,
            expired,
        })
    }

    /// When to look again even if nothing changes.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let bookmark = Some(self.next_bookmark).filter(|_| self.bookmarks);
        bookmark.into_iter().chain(self.ends).min()
    }

    /// Looks at the store and collects what the client has not seen.
    pub(crate) fn poll(&mut self, server: &ApiServer, now: Timestamp) -> Events {
        let mut events = Events::default();
        if self.initial != Initial::Done {
            self.send_present(server, &mut events);
        }
        if let Err(oldest) = self.send_changes(server, &mut events) {
            let why = format!("too old resource version: {} ({oldest})", self.version);
            events.push("ERROR", &ApiError::expired(why).body().to_string());
            events.ended = true;
            return events;
        }
        if self.bookmarks && now >= self.next_bookmark {
            self.next_bookmark = next_bookmark(server.options.bookmark_interval, self.ends, now);
            if self.last_bookmark != self.version {
                self.last_bookmark = self.version;
                self.bookmark(&json!({}), &mut events);
            }
        }
        events.ended = self.ends.is_some_and(|ends| now >= ends);
        events
    }

    /// Sends what happened since the last look; fails with the oldest version that is still kept.
    fn send_changes(&mut self, server: &ApiServer, events: &mut Events) -> Result<(), u64> {
        self.expired.map_or(Ok(()), Err)?;
        for change in server
            .store
            .since(self.version)
            .map_err(|compacted| compacted.oldest)?
        {
            self.version = change.version;
            self.send(change, events);
        }
        Ok(())
    }

    fn send_present(&mut self, server: &ApiServer, events: &mut Events) {
        let objects = server
            .store
            .list(&self.kind.group_resource, &self.namespace);
        for (_, stored) in
            objects.filter(|(name, _)| self.name.is_empty() || *name.name == *self.name)
        {
            if self.selects(stored) {
                events.push("ADDED", &typed(&self.kind, &stored.raw));
            }
        }
        self.version = server.store.version();
        if self.initial == Initial::ObjectsAndBookmark {
            self.bookmark(
                &json!({"annotations": {"k8s.io/initial-events-end": "true"}}),
                events,
            );
        }
        self.initial = Initial::Done;
    }

    fn bookmark(&self, metadata: &Value, events: &mut Events) {
        let mut metadata = metadata.clone();
        metadata["resourceVersion"] = self.version.to_string().into();
        let body = json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        events.push("BOOKMARK", &body.to_string());
    }

    fn selects(&self, stored: &Stored) -> bool {
        self.selector.is_empty() || self.selector.matches(&stored.value())
    }

    /// To a watch with a selector, an object that begins or ends to be selected comes or goes.
    fn send(&self, change: &Change, events: &mut Events) {
        let place = &change.key.name;
        let ours = change.key.resource == self.kind.group_resource
            && (self.namespace.is_empty() || *place.namespace == *self.namespace)
            && (self.name.is_empty() || *place.name == *self.name);
        if !ours {
            return;
        }
        let before = change
            .before
            .as_ref()
            .is_some_and(|before| self.selects(before));
        let after = !change.deleted && self.selects(&change.after);
        let event = match (before, after) {
            (false, false) => return,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        if event == "DELETED" && !change.deleted {
            // The client last saw the state before; it gets that state with the new version.
            let mut last = change.before.as_ref().unwrap_or(&change.after).value();
            object::meta_mut(&mut last).insert(
                "resourceVersion".to_owned(),
                change.version.to_string().into(),
            );
            events.push(event, &typed(&self.kind, &last.to_string()));
        } else {
            events.push(event, &typed(&self.kind, &change.after.raw));
        }
    }
}

/// A bookmark comes at each interval, and shortly before the watch ends.
fn next_bookmark(interval: Duration, ends: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let next = now.checked_add(interval).unwrap_or(Timestamp::MAX);
    let last = ends.and_then(|ends| ends.checked_sub(Duration::from_secs(2)).ok());
    match last {
        Some(last) if last > now && last < next => last,
        _ => next,
    }
}
