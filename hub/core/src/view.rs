//! What was meant and what is, joined: objects as people see them, with status and conditions in
//! OCM's words.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::Value;
use skein_schema::code::{Code, Refusal};
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;
use skein_schema::query::Selection;
use skein_schema::resource::Resource;

use crate::merge::Owners;
use crate::observed::{Observed, WorkObservation};
use crate::select::Selected;
use crate::world::{World, uid};

mod cluster;
mod clusterrole;
mod clusterset;
mod namespace;
mod placement;

pub(crate) use cluster::with_hub_conditions;

/// An object with its status. Large manifests stay packed: whoever answers puts them back.
/// managedFields are left out; [`World::managed_fields`] has them.
#[must_use]
pub fn resource(world: &World, observed: &Observed, key: &ObjectKey) -> Option<Resource> {
    match world.get(key) {
        Some(found) => Some(join(world, observed, key, found)),
        None => clusterrole::ready_made(world, key),
    }
}

/// [`resource`] in its wire form.
#[must_use]
pub fn object(world: &World, observed: &Observed, key: &ObjectKey) -> Option<Value> {
    resource(world, observed, key).map(|resource| resource.to_value())
}

/// The objects that a selection means, in key order, with their status and managedFields. Its point
/// in time is the caller's: give the world of then.
///
/// # Errors
/// When the selection is not valid, or names an object that does not exist.
pub fn select(
    world: &World,
    observed: &Observed,
    selection: &Selection,
) -> Result<Vec<(ObjectKey, Value)>, Refusal> {
    let selected = Selected::new(selection)?;
    let found = |key: &ObjectKey, object: &Resource| {
        let mut object = join(world, observed, key, object);
        object.metadata_mut().managed_fields = Owners::entries(world.managed_fields(key));
        (key.clone(), object.to_value())
    };
    let matches = |key: &ObjectKey, object: &Resource| selected.matches(key, object);
    let objects: Vec<_> = match (&selection.workspace, &selection.name) {
        (workspace, Some(name)) if workspace.is_some() || !selection.kind.info().namespaced() => {
            let key = ObjectKey {
                kind: selection.kind,
                workspace: workspace.clone(),
                name: name.clone(),
            };
            let object = world.get(&key).filter(|object| matches(&key, object));
            object
                .map(|object| found(&key, object))
                .into_iter()
                .collect()
        }
        (Some(workspace), _) => world
            .iter_in(selection.kind, workspace)
            .filter(|(key, object)| matches(key, object))
            .map(|(key, object)| found(key, object))
            .collect(),
        (None, _) => world
            .iter(selection.kind)
            .filter(|(key, object)| matches(key, object))
            .map(|(key, object)| found(key, object))
            .collect(),
    };
    let objects = clusterrole::with_ready_made(world, selection, &selected, objects);
    if objects.is_empty() && selection.name.is_some() {
        return Err(missing(selection));
    }
    Ok(objects)
}

fn missing(selection: &Selection) -> Refusal {
    let plural = selection.kind.info().plural;
    let name = selection.name.as_ref().map_or("", |name| name.as_str());
    let (place, hint) = match &selection.workspace {
        Some(workspace) => (
            format!(" in namespace {:?}", workspace.as_str()),
            format!("skein get {plural} -n {workspace}"),
        ),
        None if selection.kind.info().namespaced() => (
            " in any namespace".to_owned(),
            format!("skein get {plural} -A"),
        ),
        None => (String::new(), format!("skein get {plural}")),
    };
    Refusal::new(
        Code::NotFound,
        format!("{plural} {name:?} not found{place}"),
    )
    .with_hint(hint)
}

/// Puts the status into an object.
fn join(world: &World, observed: &Observed, key: &ObjectKey, found: &Resource) -> Resource {
    let mut joined = found.clone();
    match &mut joined {
        Resource::ManagedCluster(object) => {
            object.status = Some(cluster::status(world, observed, object));
        }
        Resource::ManagedClusterSet(object) => {
            object.status = Some(clusterset::status(world, object));
        }
        Resource::ManagedClusterSetBinding(object) => {
            object.status = Some(clusterset::binding_status(world, object));
        }
        Resource::ManifestWork(object) => {
            object.status = key
                .workspace
                .as_ref()
                .and_then(|workspace| ClusterName::new(workspace).ok())
                .and_then(|cluster| observed.work(&cluster, &key.name, uid(found)?))
                .map(WorkObservation::status);
        }
        Resource::Namespace(object) => object.status = Some(namespace::status(object)),
        Resource::ClusterRole(object) => clusterrole::gather(world, object),
        Resource::Placement(object) => object.status = placement::status(world, key),
        // They have no status, or only one that is stored with them.
        Resource::AddOnPlacementScore(_)
        | Resource::PlacementDecision(_)
        | Resource::Role(_)
        | Resource::RoleBinding(_)
        | Resource::ClusterRoleBinding(_) => {}
    }
    joined
}

/// A condition that the hub sets.
fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    since: Timestamp,
) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: Time(crate::stamp::whole_seconds(since)),
        observed_generation: None,
    }
}

/// When an object was made.
fn created(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Timestamp {
    metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

#[cfg(test)]
mod tests;
