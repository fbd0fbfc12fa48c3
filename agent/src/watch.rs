//! Watching what the agent owns, so that drift is healed at once and feedback is fresh.
//!
//! There is one watch per resource and namespace, and it is narrowed to one name where only one
//! object of them is ours. Objects pass through; nothing is kept here but names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use kube::Api;
use kube::api::{DynamicObject, TypeMeta};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::metrics::Metrics;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `apiVersion`.
    pub api_version: String,
    /// Plural name of the resource.
    pub plural: String,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
}

/// What a watch shows.
#[derive(Debug)]
pub struct WatchEvent {
    /// Where.
    pub place: Place,
    /// The object's name.
    pub name: String,
    /// The object without managed fields, or nothing if it is gone.
    pub object: Option<Map<String, Value>>,
    /// Its resourceVersion, or the one it had when it went.
    pub version: Option<u64>,
}

struct Running {
    kind: String,
    names: watch::Sender<BTreeSet<String>>,
    /// Only this name is watched.
    narrowed: bool,
    task: tokio::task::AbortHandle,
}

/// The watches that run.
pub struct Watches {
    cluster: Cluster,
    events: mpsc::Sender<WatchEvent>,
    metrics: Arc<Metrics>,
    running: BTreeMap<Place, Running>,
    tasks: JoinSet<()>,
}

/// What is to be watched: the kind and the names at each place.
pub type Wanted = BTreeMap<Place, (String, BTreeSet<String>)>;

impl Watches {
    /// No watches yet. Objects go to `events`; a slow reader slows the watches down.
    #[must_use]
    pub fn new(cluster: Cluster, events: mpsc::Sender<WatchEvent>, metrics: Arc<Metrics>) -> Self {
        Self {
            cluster,
            events,
            metrics,
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts, changes and ends watches until they are as wanted. Every wanted object that was not
    /// watched before is shown once as it is then.
    pub fn set(&mut self, wanted: Wanted) {
        self.running.retain(|place, running| {
            let keep = wanted.contains_key(place);
            if !keep {
                running.task.abort();
            }
            keep
        });
        for (place, (kind, names)) in wanted {
            self.set_one(place, kind, names);
        }
        // Ended ones are collected, or the set would grow for ever.
        while self.tasks.try_join_next().is_some() {}
        self.metrics
            .watches
            .set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
    }

    fn set_one(&mut self, place: Place, kind: String, names: BTreeSet<String>) {
        if let Some(running) = self.running.get(&place) {
            let before = running.names.borrow().clone();
            if before == names && running.kind == kind {
                return;
            }
            if !running.narrowed && running.kind == kind {
                let new: Vec<String> = names.difference(&before).cloned().collect();
                running.names.send_replace(names);
                // A running watch has shown what it had: the new ones are read once.
                self.tasks.spawn(show(
                    self.cluster.clone(),
                    self.events.clone(),
                    place,
                    kind,
                    new,
                ));
                return;
            }
            running.task.abort();
        }
        let narrowed = names.len() == 1;
        let (names, watched) = watch::channel(names);
        let watch = Watch {
            events: self.events.clone(),
            resource: api_resource(&place, &kind),
            place: place.clone(),
            names: watched,
            seen: BTreeSet::new(),
        };
        let task =
            self.tasks
                .spawn(watch.run(self.cluster.clone(), Arc::clone(&self.metrics), narrowed));
        self.running.insert(
            place,
            Running {
                kind,
                names,
                narrowed,
                task,
            },
        );
    }
}

/// One watch.
struct Watch {
    events: mpsc::Sender<WatchEvent>,
    place: Place,
    resource: ApiResource,
    names: watch::Receiver<BTreeSet<String>>,
    /// Names that the list under way has shown.
    seen: BTreeSet<String>,
}

/// Nobody reads what is shown.
struct Unread;

impl Watch {
    async fn run(mut self, cluster: Cluster, metrics: Arc<Metrics>, narrowed: bool) {
        let client = cluster.client().clone();
        let api: Api<DynamicObject> = if self.place.namespace.is_empty() {
            Api::all_with(client, &self.resource)
        } else {
            Api::namespaced_with(client, &self.place.namespace, &self.resource)
        };
        let mut config = watcher::Config::default();
        if narrowed && let Some(name) = self.names.borrow().first() {
            config = config.fields(&format!("metadata.name={name}"));
        }
        // The watcher lists again after 410 and after errors, ever more slowly while they last.
        let mut stream = watcher(api, config).default_backoff().boxed();
        while let Some(event) = stream.next().await {
            let shown = match event {
                Ok(event) => self.show(event).await,
                Err(error) => {
                    metrics.watch_failures.inc();
                    tracing::debug!(place = ?self.place, %error, "a watch was interrupted");
                    Ok(())
                }
            };
            if shown.is_err() {
                return;
            }
        }
    }

    async fn show(&mut self, event: Event<DynamicObject>) -> Result<(), Unread> {
        match event {
            Event::Init => {
                self.seen.clear();
                Ok(())
            }
            Event::InitApply(object) => {
                self.seen.extend(object.metadata.name.clone());
                self.object(object, true).await
            }
            Event::Apply(object) => self.object(object, true).await,
            Event::Delete(object) => self.object(object, false).await,
            Event::InitDone => {
                let gone: Vec<_> = self
                    .names
                    .borrow()
                    .difference(&self.seen)
                    .cloned()
                    .collect();
                for name in gone {
                    self.send(name, None, None).await?;
                }
                Ok(())
            }
        }
    }

    async fn object(&self, object: DynamicObject, present: bool) -> Result<(), Unread> {
        let name = object.metadata.name.clone();
        let Some(name) = name.filter(|name| self.names.borrow().contains(name)) else {
            return Ok(());
        };
        let version = object.metadata.resource_version.as_deref();
        let version = version.and_then(|text| text.parse().ok());
        let object = if present {
            to_map(object, &self.resource)
        } else {
            None
        };
        self.send(name, object, version).await
    }

    async fn send(
        &self,
        name: String,
        object: Option<Map<String, Value>>,
        version: Option<u64>,
    ) -> Result<(), Unread> {
        let event = WatchEvent {
            place: self.place.clone(),
            name,
            object,
            version,
        };
        self.events.send(event).await.map_err(|_| Unread)
    }
}

/// Reads objects once.
async fn show(
    cluster: Cluster,
    events: mpsc::Sender<WatchEvent>,
    place: Place,
    kind: String,
    names: Vec<String>,
) {
    let resource = api_resource(&place, &kind);
    let namespace = Some(place.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    for name in names {
        let object = match cluster.get(&resource, namespace, &name).await {
            Ok(Some(Value::Object(mut object))) => {
                crate::reconcile::strip(&mut object);
                Some(object)
            }
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(
                    ?place,
                    name,
                    error = &error as &dyn std::error::Error,
                    "an object cannot be read"
                );
                continue;
            }
        };
        let version = object.as_ref().and_then(version_of);
        if events
            .send(WatchEvent {
                place: place.clone(),
                name,
                object,
                version,
            })
            .await
            .is_err()
        {
            return;
        }
    }
}

/// `metadata.resourceVersion` as the number that it is on every known API server.
#[must_use]
pub fn version_of(object: &Map<String, Value>) -> Option<u64> {
    object
        .get("metadata")?
        .get("resourceVersion")?
        .as_str()?
        .parse()
        .ok()
}

fn to_map(mut object: DynamicObject, resource: &ApiResource) -> Option<Map<String, Value>> {
    object.metadata.managed_fields = None;
    // Items of a list do not say what they are.
    object.types.get_or_insert_with(|| TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    });
    match serde_json::to_value(object) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn api_resource(place: &Place, kind: &str) -> ApiResource {
    let (group, version) = place
        .api_version
        .split_once('/')
        .unwrap_or(("", &place.api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: place.api_version.clone(),
        kind: kind.to_owned(),
        plural: place.plural.clone(),
    }
}
