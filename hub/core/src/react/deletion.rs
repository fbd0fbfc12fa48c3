//! Deletions that wait for an agent, and end when it has cleaned up.

use skein_schema::command::Change;
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};
use uuid::Uuid;

use crate::decide::{Decision, Subject, finish_cluster, gone};
use crate::observed::Observed;
use crate::world::{World, uid};

/// The end of a work that is being deleted and that its agent says is gone.
pub(super) fn of_removed_work(
    world: &World,
    cluster: &ClusterName,
    work: &ObjectName,
    removed: Uuid,
) -> Option<Decision> {
    let key = ObjectKey::work(cluster, work);
    let found = world.get(&key)?;
    let leaving = found.metadata().deletion_timestamp.is_some();
    (leaving && uid(found) == Some(removed)).then(|| {
        let event = gone(&key, found, false);
        Decision::new(Subject::Object(key), Change::Deleted, vec![event])
    })
}

/// The end of a cluster that is being deleted and has no work left.
pub(super) fn of_empty_cluster(world: &World, cluster: &ClusterName) -> Option<Decision> {
    let key = ObjectKey::cluster(cluster);
    let found = world.get(&key)?;
    let empty = world
        .iter_in(KindName::ManifestWork, &cluster.into())
        .next()
        .is_none();
    (found.metadata().deletion_timestamp.is_some() && empty).then(|| {
        let events = finish_cluster(world, cluster, found, false);
        Decision::new(Subject::Object(key), Change::Deleted, events)
    })
}

/// Everything that a hub before this one left undone.
pub(super) fn all_due(world: &World, observed: &Observed) -> Vec<Decision> {
    let works = world
        .iter(KindName::ManifestWork)
        .filter_map(|(key, work)| {
            let cluster = ClusterName::new(key.workspace.as_ref()?).ok()?;
            let removed = uid(work).filter(|uid| observed.has_removed(&cluster, *uid))?;
            of_removed_work(world, &cluster, &key.name, removed)
        });
    let clusters = world
        .iter(KindName::ManagedCluster)
        .filter(|(_, cluster)| is_leaving(cluster))
        .filter_map(|(key, _)| of_empty_cluster(world, &ClusterName::new(&key.name).ok()?));
    works.chain(clusters).collect()
}

fn is_leaving(resource: &Resource) -> bool {
    resource.metadata().deletion_timestamp.is_some()
}
