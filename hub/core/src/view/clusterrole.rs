//! ClusterRoles as people see them: with the rules they gather, and beside the stored ones those that
//! are ready-made.

use serde_json::Value;
use skein_schema::kind::cluster_role::ClusterRole;
use skein_schema::name::ObjectName;
use skein_schema::object::ObjectKey;
use skein_schema::query::Selection;
use skein_schema::resource::{KindName, Resource};

use crate::access::{Objects, ready};
use crate::select::Selected;
use crate::world::World;

/// Puts the rules in that an aggregation rule gathers.
pub(super) fn gather(world: &World, role: &mut ClusterRole) {
    if role.aggregation_rule.is_some() {
        let name = role.metadata.name.as_deref().unwrap_or_default();
        let rules = Objects::of(world).rules_of_cluster_role(name);
        role.rules = rules.unwrap_or_default();
    }
}

/// A ready-made role.
pub(super) fn ready_made(world: &World, key: &ObjectKey) -> Option<Resource> {
    if key.kind != KindName::ClusterRole {
        return None;
    }
    ready::cluster_role(&Objects::of(world), key.name.as_str()).map(Resource::from)
}

/// Adds the ready-made roles that are selected, in key order.
pub(super) fn with_ready_made(
    world: &World,
    selection: &Selection,
    selected: &Selected,
    mut objects: Vec<(ObjectKey, Value)>,
) -> Vec<(ObjectKey, Value)> {
    if selection.kind != KindName::ClusterRole {
        return objects;
    }
    let roles = Objects::of(world);
    for name in ready::names(&roles) {
        let Ok(name) = ObjectName::new(&name) else {
            continue;
        };
        if selection
            .name
            .as_ref()
            .is_some_and(|wanted| *wanted != name)
        {
            continue;
        }
        let key = ObjectKey::cluster_scoped(KindName::ClusterRole, name);
        let role = ready::cluster_role(&roles, key.name.as_str()).map(Resource::from);
        if let Some(role) = role.filter(|role| selected.matches(&key, role)) {
            objects.push((key, role.to_value()));
        }
    }
    objects.sort_by(|(one, _), (other, _)| one.cmp(other));
    objects
}
