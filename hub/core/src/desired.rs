//! What clusters are told: the changes of desired state that follow from a record, and the whole of
//! it for an agent that has to begin anew.

use std::collections::{BTreeMap, BTreeSet};

use skein_schema::desired::{ClusterSettings, DesiredChange, DesiredWork};
use skein_schema::event::Event;
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::kind::managed_cluster_set::ManagedClusterSet;
use skein_schema::kind::manifest_work::ManifestWork;
use skein_schema::name::{ClusterName, ObjectName, SetName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};
use uuid::Uuid;

use crate::clusterset::SetMembership;
use crate::join::set_of;
use crate::ledger::Stored;
use crate::world::{Changes, World, uid};

/// For each cluster that is told something: the set on whose subject it listens, and what it is
/// told, in order.
pub type Told = BTreeMap<ClusterName, (SetName, Vec<DesiredChange>)>;

/// What follows from a record. `changes` is what [`World::evolve`] returned for it, `after` the
/// world that includes it.
///
/// A cluster that has moved to another set is told so under its old set, alone: a snapshot follows
/// under the new one.
#[must_use]
pub fn changes(changes: &Changes, after: &World, stored: &Stored) -> Told {
    let mut told = Told::new();
    let forced = forced(stored);
    for (key, before) in &changes.before {
        if key.kind == KindName::ManifestWork {
            let change = work_change(key, before.as_deref(), after, &forced);
            if let (Some((cluster, set)), Some(change)) = (listener(key, after), change) {
                told.entry(cluster)
                    .or_insert_with(|| (set, Vec::new()))
                    .1
                    .push(change);
            }
        }
    }
    for (cluster, change, set) in cluster_changes(changes, after) {
        match &change {
            DesiredChange::Moved { .. } => {
                told.insert(cluster, (set, vec![change]));
            }
            _ => told
                .entry(cluster)
                .or_insert_with(|| (set, Vec::new()))
                .1
                .push(change),
        }
    }
    told
}

/// A cluster's whole desired state: how its agent is to behave, and its works in the order of their
/// names, those on their way out included. `None` if there is no such cluster.
#[must_use]
pub fn snapshot(
    world: &World,
    cluster: &ClusterName,
) -> Option<(ClusterSettings, Vec<DesiredWork>)> {
    let Resource::ManagedCluster(found) = &**world.get(&ObjectKey::cluster(cluster))? else {
        return None;
    };
    let settings = Namespaces::of(world, &BTreeMap::new()).settings(found);
    let works = world
        .iter_in(KindName::ManifestWork, &cluster.into())
        .filter_map(|(key, resource)| match &**resource {
            Resource::ManifestWork(work) => desired_work(&key.name, resource, work),
            _ => None,
        })
        .collect();
    Some((settings, works))
}

/// The works whose deletion did not wait for their agent.
fn forced(stored: &Stored) -> BTreeSet<Uuid> {
    let events = stored.record.events.iter();
    events
        .filter_map(|event| match event {
            Event::Deleted(deleted) if deleted.forced => Some(deleted.uid),
            _ => None,
        })
        .collect()
}

/// The cluster that a work is on, and its set.
fn listener(key: &ObjectKey, after: &World) -> Option<(ClusterName, SetName)> {
    let cluster = ClusterName::new(key.workspace.as_ref()?).ok()?;
    match &**after.get(&ObjectKey::cluster(&cluster))? {
        Resource::ManagedCluster(found) => Some((cluster, set_of(found))),
        _ => None,
    }
}

fn work_change(
    key: &ObjectKey,
    before: Option<&Resource>,
    after: &World,
    forced: &BTreeSet<Uuid>,
) -> Option<DesiredChange> {
    let after = after.get(key).map(|after| &**after);
    match (before, after) {
        (before, Some(resource @ Resource::ManifestWork(work))) => {
            let same_work = before.filter(|before| uid(before) == uid(resource));
            let leaving = |resource: &Resource| resource.metadata().deletion_timestamp.is_some();
            match same_work {
                Some(before) if leaving(resource) && !leaving(before) => {
                    Some(DesiredChange::RemoveWork {
                        name: key.name.clone(),
                        uid: uid(resource)?,
                    })
                }
                // Labels and annotations are the hub's affair.
                Some(Resource::ManifestWork(before)) if before.spec == work.spec => None,
                _ => desired_work(&key.name, resource, work)
                    .map(|work| DesiredChange::Work(Box::new(work))),
            }
        }
        (Some(before), None) => {
            let (name, uid) = (key.name.clone(), uid(before)?);
            // Nobody has told the agent of a deletion that was forced: it cleans up when it hears
            // of it.
            Some(if forced.contains(&uid) {
                DesiredChange::RemoveWork { name, uid }
            } else {
                DesiredChange::ForgetWork { name, uid }
            })
        }
        _ => None,
    }
}

fn desired_work(
    name: &ObjectName,
    resource: &Resource,
    work: &ManifestWork,
) -> Option<DesiredWork> {
    let metadata = resource.metadata();
    Some(DesiredWork {
        name: name.clone(),
        uid: uid(resource)?,
        generation: metadata.generation.unwrap_or_default(),
        resource_version: metadata.resource_version.as_deref()?.parse().ok()?,
        spec: work.spec.clone(),
        deletion_timestamp: metadata.deletion_timestamp.as_ref().map(|time| time.0),
    })
}

/// Clusters that moved or whose settings are others now, each with the set it listens on.
fn cluster_changes(changes: &Changes, after: &World) -> Vec<(ClusterName, DesiredChange, SetName)> {
    let sets_changed = changes.before.iter().any(|(key, before)| {
        key.kind == KindName::ManagedClusterSet
            && spec_of_set(before.as_deref()) != spec_of_set(after.get(key).map(|set| &**set))
    });
    let touched: Vec<_> = if sets_changed {
        after
            .iter(KindName::ManagedCluster)
            .map(|(key, _)| key.clone())
            .collect()
    } else {
        let touched = changes.touched.iter();
        touched
            .filter(|key| key.kind == KindName::ManagedCluster)
            .cloned()
            .collect()
    };
    if touched.is_empty() {
        return Vec::new();
    }
    let (earlier, later) = (
        Namespaces::of(after, &changes.before),
        Namespaces::of(after, &BTreeMap::new()),
    );
    let change = |key: ObjectKey| {
        let name = ClusterName::new(&key.name).ok()?;
        let now = after.get(&key)?;
        let before = match changes.before.get(&key) {
            // A cluster that is new has no agent to tell anything yet; it begins with a snapshot.
            Some(before) => before.clone()?,
            None => now.clone(),
        };
        let (Resource::ManagedCluster(before), Resource::ManagedCluster(now)) = (&*before, &**now)
        else {
            return None;
        };
        let (was, is) = (earlier.settings(before), later.settings(now));
        if was.clusterset != is.clusterset {
            let moved = DesiredChange::Moved {
                clusterset: is.clusterset,
            };
            return Some((name, moved, was.clusterset));
        }
        let set = is.clusterset.clone();
        (was != is).then_some((name, DesiredChange::Settings(is), set))
    };
    touched.into_iter().filter_map(change).collect()
}

fn spec_of_set(
    resource: Option<&Resource>,
) -> Option<&skein_schema::kind::managed_cluster_set::ManagedClusterSetSpec> {
    match resource {
        Some(Resource::ManagedClusterSet(set)) => Some(&set.spec),
        _ => None,
    }
}

/// Which sets want which namespaces on their clusters.
struct Namespaces {
    sets: Vec<(SetName, SetMembership, Vec<String>)>,
}

impl Namespaces {
    /// Those of `world`, where `instead` does not say otherwise.
    fn of(world: &World, instead: &BTreeMap<ObjectKey, Option<std::sync::Arc<Resource>>>) -> Self {
        let mut sets = BTreeMap::new();
        for (key, resource) in world.iter(KindName::ManagedClusterSet) {
            sets.insert(key, Some(resource));
        }
        for (key, resource) in instead {
            if key.kind == KindName::ManagedClusterSet {
                sets.insert(key, resource.as_ref());
            }
        }
        let wanting = sets.into_iter().filter_map(|(key, resource)| {
            let Resource::ManagedClusterSet(set) = &**resource? else {
                return None;
            };
            Self::wanted(&key.name, set)
        });
        Self {
            sets: wanting.collect(),
        }
    }

    fn wanted(
        name: &ObjectName,
        set: &ManagedClusterSet,
    ) -> Option<(SetName, SetMembership, Vec<String>)> {
        if set.spec.managed_namespaces.is_empty() {
            return None;
        }
        let namespaces = set.spec.managed_namespaces.iter();
        Some((
            SetName::new(name).ok()?,
            SetMembership::new(set).ok()?,
            namespaces.map(|namespace| namespace.name.clone()).collect(),
        ))
    }

    /// How a cluster's agent is to behave. A namespace that several sets want is the first one's,
    /// in the order of their names.
    fn settings(&self, cluster: &ManagedCluster) -> ClusterSettings {
        let none = BTreeMap::new();
        let labels = cluster.metadata.labels.as_ref().unwrap_or(&none);
        let mut managed_namespaces = BTreeMap::new();
        for (set, _, namespaces) in self
            .sets
            .iter()
            .filter(|(_, rule, _)| rule.contains(labels))
        {
            for namespace in namespaces {
                managed_namespaces
                    .entry(namespace.clone())
                    .or_insert_with(|| set.clone());
            }
        }
        let lease = cluster.spec.effective_lease_duration_seconds();
        ClusterSettings {
            clusterset: set_of(cluster),
            lease_duration_seconds: lease.unsigned_abs(),
            managed_namespaces,
        }
    }
}

#[cfg(test)]
mod tests;
