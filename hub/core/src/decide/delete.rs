//! Delete: an object is to go. Works and clusters wait until their agent has cleaned up.

use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Change, Precondition};
use skein_schema::event::{Deleted, DeletionRequested, Event};
use skein_schema::kind::managed_cluster::CLUSTER_SET_LABEL;
use skein_schema::name::{ClusterName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::{Decision, Gate, Subject, check_precondition, deny, not_found, protect};
use crate::access;
use crate::observed::Observed;
use crate::world::{World, uid};

/// Objects named in a refusal, at most.
const NAMED: usize = 3;

pub(super) fn decide(
    world: &World,
    observed: &Observed,
    key: &ObjectKey,
    precondition: Precondition,
    force: bool,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    gate.ask(access::on_object("delete", key))?;
    let found = world.get(key).map(|found| &**found);
    check_precondition(precondition, key, found)?;
    let found = found.ok_or_else(|| not_found(key))?;
    if protect::is_protected(key) {
        return Err(Refusal::new(
            Code::Protected,
            format!("{key} must always be there"),
        ));
    }
    let decision = match key.kind {
        KindName::ManifestWork => work(world, observed, key, found, force),
        KindName::ManagedCluster => cluster(world, key, found, force)?,
        KindName::ManagedClusterSet => clusterset(world, key, found, force)?,
        KindName::Namespace => namespace(world, key, found, force)?,
        KindName::PlacementDecision => return Err(made_by_the_hub(key)),
        KindName::AddOnPlacementScore
        | KindName::ManagedClusterSetBinding
        | KindName::Placement
        | KindName::ClusterRole
        | KindName::ClusterRoleBinding
        | KindName::Role
        | KindName::RoleBinding => at_once(key, vec![gone(key, found, force)]),
    };
    Ok(Decision {
        object: Some(found.clone()),
        ..decision
    })
}

fn at_once(key: &ObjectKey, events: Vec<Event>) -> Decision {
    Decision::new(Subject::Object(key.clone()), Change::Deleted, events)
}

/// The event that an object is gone.
pub(crate) fn gone(key: &ObjectKey, found: &Resource, forced: bool) -> Event {
    Event::Deleted(Deleted {
        key: key.clone(),
        uid: uid(found).unwrap_or_default(),
        forced,
    })
}

fn requested(key: &ObjectKey, found: &Resource) -> Event {
    Event::DeletionRequested(DeletionRequested {
        key: key.clone(),
        uid: uid(found).unwrap_or_default(),
    })
}

fn is_leaving(found: &Resource) -> bool {
    found.metadata().deletion_timestamp.is_some()
}

fn cluster_of(key: &ObjectKey) -> Option<ClusterName> {
    match &key.workspace {
        Some(workspace) => ClusterName::new(workspace.as_str()).ok(),
        None => ClusterName::new(key.name.as_str()).ok(),
    }
}

/// Whether an agent of this cluster was ever let in, so that there is something to clean up.
fn has_joined(world: &World, key: &ObjectKey) -> bool {
    cluster_of(key)
        .and_then(|cluster| world.cluster(&cluster))
        .is_some_and(|record| record.keys.is_some())
}

fn work(
    world: &World,
    observed: &Observed,
    key: &ObjectKey,
    found: &Resource,
    force: bool,
) -> Decision {
    let cluster = cluster_of(key);
    let removed = match (&cluster, uid(found)) {
        (Some(cluster), Some(uid)) => observed.has_removed(cluster, uid),
        _ => false,
    };
    if force || removed || !has_joined(world, key) {
        return at_once(key, vec![gone(key, found, force && !removed)]);
    }
    if is_leaving(found) {
        return Decision::unchanged(Subject::Object(key.clone()));
    }
    let event = requested(key, found);
    let shut_out = cluster.and_then(|cluster| {
        match world
            .get(&ObjectKey::cluster(&cluster))
            .map(|found| &**found)
        {
            Some(Resource::ManagedCluster(found)) if !found.spec.hub_accepts_client => {
                Some(cluster)
            }
            _ => None,
        }
    });
    let warning = shut_out.map(|cluster| {
        format!("cluster {cluster} is shut out: the work stays until it is accepted again; --force forgets it at once")
    });
    Decision {
        warnings: warning.into_iter().collect(),
        ..Decision::new(Subject::Object(key.clone()), Change::Deleting, vec![event])
    }
}

fn cluster(
    world: &World,
    key: &ObjectKey,
    found: &Resource,
    force: bool,
) -> Result<Decision, Refusal> {
    let Some(name) = cluster_of(key) else {
        return Err(not_found(key));
    };
    let works: Vec<_> = world
        .iter_in(KindName::ManifestWork, &(&name).into())
        .collect();
    if force || works.is_empty() || !has_joined(world, key) {
        let mut events: Vec<_> = works
            .into_iter()
            .map(|(key, work)| gone(key, work, force))
            .collect();
        events.extend(finish_cluster(world, &name, found, force));
        return Ok(at_once(key, events));
    }
    if is_leaving(found) {
        return Ok(Decision::unchanged(Subject::Object(key.clone())));
    }
    let mut events = vec![requested(key, found)];
    let staying = works.into_iter().filter(|(_, work)| !is_leaving(work));
    events.extend(staying.map(|(key, work)| requested(key, work)));
    Ok(Decision::new(
        Subject::Object(key.clone()),
        Change::Deleting,
        events,
    ))
}

/// What happens when nothing of a cluster is left: its credential ends, it goes, and its namespace
/// with what is in it.
pub(crate) fn finish_cluster(
    world: &World,
    cluster: &ClusterName,
    found: &Resource,
    forced: bool,
) -> Vec<Event> {
    let mut events = vec![gone(&ObjectKey::cluster(cluster), found, forced)];
    let workspace = Workspace::from(cluster);
    let namespace = ObjectKey::workspace(&workspace);
    if let Some(found) = world.get(&namespace)
        && !protect::is_protected(&namespace)
    {
        let bindings = world.iter_in(KindName::ManagedClusterSetBinding, &workspace);
        events.extend(bindings.map(|(key, binding)| gone(key, binding, forced)));
        events.extend(inhabitants(world, &workspace, forced));
        events.push(gone(&namespace, found, forced));
    }
    // First in the record is what it is about, but the credential is the cluster's: it has to end
    // while the cluster is still known.
    let revocations = deny::revocations(world, cluster);
    revocations.into_iter().chain(events).collect()
}

fn clusterset(
    world: &World,
    key: &ObjectKey,
    found: &Resource,
    force: bool,
) -> Result<Decision, Refusal> {
    let members = world
        .iter(KindName::ManagedCluster)
        .filter(|(_, cluster)| cluster.label(CLUSTER_SET_LABEL) == Some(key.name.as_str()));
    let bindings = world
        .iter(KindName::ManagedClusterSetBinding)
        .filter(|(binding, _)| binding.name == key.name);
    let users: Vec<_> = members
        .chain(bindings)
        .map(|(user, _)| user.to_string())
        .collect();
    if !force && !users.is_empty() {
        return Err(in_use(key, &users)
            .with_hint("move its clusters to another set and unbind it, or delete it with --force: they keep naming it"));
    }
    Ok(at_once(key, vec![gone(key, found, force)]))
}

fn namespace(
    world: &World,
    key: &ObjectKey,
    found: &Resource,
    force: bool,
) -> Result<Decision, Refusal> {
    if let Ok(cluster) = ClusterName::new(key.name.as_str())
        && world.get(&ObjectKey::cluster(&cluster)).is_some()
    {
        return Err(in_use(key, &[ObjectKey::cluster(&cluster).to_string()])
            .with_hint(format!("it goes with its cluster: skein detach {cluster}")));
    }
    let Ok(workspace) = Workspace::new(key.name.as_str()) else {
        return Err(not_found(key));
    };
    let bindings: Vec<_> = world
        .iter_in(KindName::ManagedClusterSetBinding, &workspace)
        .collect();
    let placements = world.iter_in(KindName::Placement, &workspace);
    let users: Vec<_> = bindings
        .iter()
        .copied()
        .chain(placements)
        .map(|(binding, _)| binding.to_string())
        .collect();
    if !force && !users.is_empty() {
        return Err(in_use(key, &users).with_hint("delete them first, or delete it with --force"));
    }
    let events = bindings
        .into_iter()
        .map(|(key, binding)| gone(key, binding, force));
    let inhabitants = inhabitants(world, &workspace, force);
    Ok(at_once(
        key,
        events
            .chain(inhabitants)
            .chain([gone(key, found, force)])
            .collect(),
    ))
}

/// What goes with its namespace: rights in it, and choices made in it, must not come back with a
/// namespace of the same name.
fn inhabitants(world: &World, workspace: &Workspace, forced: bool) -> Vec<Event> {
    let kinds = [
        KindName::AddOnPlacementScore,
        KindName::Placement,
        KindName::RoleBinding,
        KindName::Role,
    ];
    let found = kinds
        .into_iter()
        .flat_map(|kind| world.iter_in(kind, workspace));
    found.map(|(key, found)| gone(key, found, forced)).collect()
}

fn made_by_the_hub(key: &ObjectKey) -> Refusal {
    Refusal::new(
        Code::Protected,
        format!("{key} is made by the hub, out of a decision"),
    )
    .with_hint("change or delete its placement: skein get placements")
}

fn in_use(key: &ObjectKey, users: &[String]) -> Refusal {
    let mut named = users[..users.len().min(NAMED)].join(", ");
    if users.len() > NAMED {
        named = format!("{named} and {} more", users.len() - NAMED);
    }
    Refusal::new(Code::InUse, format!("{key} is still used by {named}"))
}
