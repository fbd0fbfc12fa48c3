//! One cluster's API server as a state machine: requests and the passing of time go in, answers come out.
//!
//! It reads no clock and starts no task. Whoever runs it passes the time with every call, and calls
//! [`ApiServer::run_due`] when [`ApiServer::next_deadline`] has come.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::agenda::{Agenda, Task};
use super::controllers;
use super::error::ApiError;
use super::kinds::{Catalog, ResourceType};
use super::options::SimOptions;
use super::random::Random;
use super::registry::Written;
use super::request::{ApiRequest, Subresource, Verb, WatchOptions};
use super::seed;
use super::store::{Change, ObjectKey, Store, Stored};
use super::watches::Watch;

/// The state of one simulated cluster.
#[derive(Debug)]
pub(crate) struct ApiServer {
    /// The stored objects.
    pub(crate) store: Store,
    /// The served kinds.
    pub(crate) catalog: Catalog,
    /// What the controllers have to do, and when.
    pub(crate) agenda: Agenda,
    /// How this cluster was made.
    pub(crate) options: Arc<SimOptions>,
    /// Parts of image names whose containers never become ready.
    pub(crate) broken_images: Vec<String>,
    /// The source of uids and generated names.
    pub(crate) random: Random,
}

/// What the server says.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A whole body.
    Body(u16, String),
    /// A stream of events to come.
    Watch(Watch),
}

impl ApiServer {
    /// A fresh cluster with its first objects.
    pub(crate) fn new(options: Arc<SimOptions>, now: Timestamp) -> ApiServer {
        let mut server = ApiServer {
            store: Store::new(options.history),
            catalog: Catalog::default(),
            agenda: Agenda::default(),
            broken_images: Vec::new(),
            random: Random::new(options.seed),
            options,
        };
        seed::first_objects(&mut server, now);
        server
    }

    /// Answers a request.
    pub(crate) fn handle(
        &mut self,
        mut request: ApiRequest,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        let verb = std::mem::replace(&mut request.verb, Verb::Get);
        let kind = request.kind.clone();
        match verb {
            Verb::Get if request.subresource == Subresource::Scale => {
                self.scale(&request).map(|body| whole(&body))
            }
            Verb::Get => {
                let stored = self.stored(&kind, &request.namespace, &request.name)?;
                Ok(Reply::Body(200, typed(&kind, &stored.raw)))
            }
            Verb::List(options) => self
                .list(&request, &options)
                .map(|body| Reply::Body(200, body)),
            Verb::Watch(options) => self.watch(&request, options, now).map(Reply::Watch),
            Verb::Create(body, options) if request.name.is_empty() => {
                let written = self.create(&request, body, &options, now)?;
                Ok(written.reply(&kind))
            }
            Verb::Create(body, _) => {
                let answer = self.act(&request, &body, now)?;
                Ok(Reply::Body(201, answer.to_string()))
            }
            Verb::Update(body, options) => {
                let written = self.replace(&request, body, &options, now)?;
                self.written(&request, &written)
            }
            Verb::Patch(format, patch, options) => {
                let written = self.patch(&request, format, patch, &options, now)?;
                self.written(&request, &written)
            }
            Verb::Delete(options) => {
                let key = self.key(&kind, &request.namespace, &request.name);
                self.delete(&kind, &key, &options, now)
                    .map(|body| whole(&body))
            }
            Verb::DeleteCollection(selector, options) => self
                .delete_collection(&request, &selector, &options, now)
                .map(|body| whole(&body)),
        }
    }

    /// What answers a change: the object, or its Scale if that was changed.
    fn written(&self, request: &ApiRequest, written: &Written) -> Result<Reply, ApiError> {
        match request.subresource {
            Subresource::Scale => self.scale(request).map(|body| whole(&body)),
            _ => Ok(written.reply(&request.kind)),
        }
    }

    fn watch(
        &self,
        request: &ApiRequest,
        options: WatchOptions,
        now: Timestamp,
    ) -> Result<Watch, ApiError> {
        Watch::start(self, request, options, now)
    }

    /// The store's key of an object.
    pub(crate) fn key(&self, kind: &ResourceType, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey::new(
            &kind.group_resource,
            if kind.namespaced { namespace } else { "" },
            name,
        )
    }

    /// The current version of an object.
    ///
    /// # Errors
    /// 404 when there is none.
    pub(crate) fn stored(
        &self,
        kind: &ResourceType,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Stored>, ApiError> {
        let key = self.key(kind, namespace, name);
        self.store
            .get(&key)
            .cloned()
            .ok_or_else(|| ApiError::not_found(kind, name))
    }

    /// Stores an object and lets the controllers know.
    pub(crate) fn put(&mut self, key: &ObjectKey, value: Value, now: Timestamp) -> Arc<Stored> {
        let change = self.store.put(key, value);
        self.changed(&change, now)
    }

    /// Removes an object and lets the controllers know.
    pub(crate) fn remove(&mut self, key: &ObjectKey, value: Value, now: Timestamp) -> Arc<Stored> {
        let change = self.store.remove(key, value);
        self.changed(&change, now)
    }

    fn changed(&mut self, change: &Change, now: Timestamp) -> Arc<Stored> {
        controllers::react(self, change, now);
        change.after.clone()
    }

    /// When the controllers next have something to do.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    /// Lets the controllers do everything that is due.
    pub(crate) fn run_due(&mut self, now: Timestamp) {
        while let Some((due, task)) = self.agenda.take_due(now) {
            controllers::run(self, &task, due.max(now));
        }
    }

    /// Plans a task for `delay` after `now`.
    pub(crate) fn plan(&mut self, task: Task, delay: std::time::Duration, now: Timestamp) {
        let at = now.checked_add(delay).unwrap_or(Timestamp::MAX);
        self.agenda.plan(task, at);
    }
}

impl Written {
    fn reply(&self, kind: &ResourceType) -> Reply {
        Reply::Body(
            if self.created { 201 } else { 200 },
            with_type(kind, &self.value),
        )
    }
}

fn whole(body: &Value) -> Reply {
    Reply::Body(200, body.to_string())
}

/// Adds `apiVersion` and `kind` in front of a stored object.
pub(crate) fn typed(kind: &ResourceType, raw: &str) -> String {
    let rest = raw.strip_prefix('{').unwrap_or(raw);
    format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",{rest}",
        kind.kind,
        kind.api_version()
    )
}

/// Adds `apiVersion` and `kind` in front of an object.
pub(crate) fn with_type(kind: &ResourceType, value: &Value) -> String {
    typed(kind, &value.to_string())
}

/// The `Status` that answers a completed deletion.
pub(crate) fn success(kind: &ResourceType, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind.plural, "uid": uid});
    if !kind.group.is_empty() {
        details["group"] = kind.group.as_ref().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
