//! What a client asks of the API server, taken apart from HTTP.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::kinds::ResourceType;
use super::patch::PatchType;
use super::selector::Selector;

/// A request about objects of one kind.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    /// The kind.
    pub(crate) kind: Arc<ResourceType>,
    /// Namespace; empty for cluster scope or all namespaces.
    pub(crate) namespace: String,
    /// Name; empty for collections.
    pub(crate) name: String,
    /// The part of the object that is meant.
    pub(crate) subresource: Subresource,
    /// What to do.
    pub(crate) verb: Verb,
}

/// A part of an object with an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    /// The object itself.
    None,
    /// Its status.
    Status,
    /// Its replica count, as an `autoscaling/v1` Scale.
    Scale,
    /// A namespace's `spec.finalizers`.
    Finalize,
    /// A token for a service account, a binding for a pod, an eviction.
    Action(Action),
}

/// Subresources that only take a `POST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `serviceaccounts/token`.
    Token,
    /// `pods/binding`.
    Binding,
    /// `pods/eviction`.
    Eviction,
}

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    /// Read one object.
    Get,
    /// Read many.
    List(ListOptions),
    /// Follow changes.
    Watch(WatchOptions),
    /// Make an object.
    Create(Value, WriteOptions),
    /// Replace an object.
    Update(Value, WriteOptions),
    /// Change an object.
    Patch(PatchType, Value, WriteOptions),
    /// Delete an object.
    Delete(DeleteOptions),
    /// Delete all that are selected.
    DeleteCollection(Selector, DeleteOptions),
}

/// Options of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    /// Which objects.
    pub(crate) selector: Selector,
    /// At most so many per page; 0 is no limit.
    pub(crate) limit: usize,
    /// Where the page before ended.
    pub(crate) next: String,
    /// The version to read at, with `exact`; otherwise the newest state is always new enough.
    pub(crate) version: Option<u64>,
    /// `resourceVersionMatch=Exact`.
    pub(crate) exact: bool,
}

/// Options of a watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchOptions {
    /// Which objects.
    pub(crate) selector: Selector,
    /// Follow what came after this version; `None` or 0 begins with the present objects.
    pub(crate) version: Option<u64>,
    /// Whether bookmarks may be sent.
    pub(crate) bookmarks: bool,
    /// Whether the present objects and a closing bookmark come first.
    pub(crate) initial_events: bool,
    /// When to end the watch.
    pub(crate) timeout: Option<Duration>,
}

/// Options of a write.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    /// The field manager: as given, or from the user agent.
    pub(crate) manager: String,
    /// Whether `fieldManager` was given.
    pub(crate) manager_given: bool,
    /// Take fields from other managers.
    pub(crate) force: bool,
    /// Answer as if, but change nothing.
    pub(crate) dry_run: bool,
    /// Unknown fields: refuse, or drop.
    pub(crate) strict: bool,
}

/// What happens to an object's dependents when it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Propagation {
    /// They are deleted after it.
    #[default]
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay, without the owner reference.
    Orphan,
}

/// Options of a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    /// What happens to dependents.
    pub(crate) propagation: Propagation,
    /// Only if the object has this uid.
    pub(crate) uid: Option<String>,
    /// Only if the object has this version.
    pub(crate) version: Option<String>,
    /// Seconds that a pod gets to end; `Some(0)` deletes at once.
    pub(crate) grace: Option<i64>,
    /// Answer as if, but change nothing.
    pub(crate) dry_run: bool,
}
