//! What access depends on: roles, bindings, sets and clusters, each found by its name.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use skein_schema::kind::cluster_role::ClusterRole;
use skein_schema::kind::cluster_role_binding::ClusterRoleBinding;
use skein_schema::kind::label_selector::Selector;
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::kind::managed_cluster_set::ManagedClusterSet;
use skein_schema::kind::role::Role;
use skein_schema::kind::role_binding::RoleBinding;
use skein_schema::resource::{KindName, Resource};

use super::ready::{self, SetRole};
use super::rules::Identity;
use crate::world::World;

/// The objects that say who may do what. Their order does not matter.
#[derive(Debug, Clone, Default)]
pub struct Objects<'a> {
    pub(super) cluster_roles: BTreeMap<&'a str, &'a ClusterRole>,
    pub(super) cluster_role_bindings: BTreeMap<&'a str, &'a ClusterRoleBinding>,
    /// By namespace and name.
    pub(super) roles: BTreeMap<(&'a str, &'a str), &'a Role>,
    /// By namespace and name.
    pub(super) role_bindings: BTreeMap<(&'a str, &'a str), &'a RoleBinding>,
    pub(super) sets: BTreeMap<&'a str, &'a ManagedClusterSet>,
    pub(super) clusters: BTreeMap<&'a str, &'a ManagedCluster>,
}

impl<'a> FromIterator<&'a Resource> for Objects<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Resource>>(resources: I) -> Self {
        let mut objects = Self::default();
        for resource in resources {
            let name = resource.name();
            let namespace = resource.namespace().unwrap_or_default();
            match resource {
                Resource::ClusterRole(role) => {
                    objects.cluster_roles.insert(name, role);
                }
                Resource::ClusterRoleBinding(binding) => {
                    objects.cluster_role_bindings.insert(name, binding);
                }
                Resource::Role(role) => {
                    objects.roles.insert((namespace, name), role);
                }
                Resource::RoleBinding(binding) => {
                    objects.role_bindings.insert((namespace, name), binding);
                }
                Resource::ManagedClusterSet(set) => {
                    objects.sets.insert(name, set);
                }
                Resource::ManagedCluster(cluster) => {
                    objects.clusters.insert(name, cluster);
                }
                _ => {}
            }
        }
        objects
    }
}

impl<'a> Objects<'a> {
    /// Those of a world.
    #[must_use]
    pub fn of(world: &'a World) -> Self {
        Self::without_clusters(world).with_clusters(world)
    }

    /// Those of a world that the rights of one user depend on. There may be very many clusters, and
    /// they matter only to who has a role for a set.
    #[must_use]
    pub(super) fn about(world: &'a World, identity: &Identity) -> Self {
        let objects = Self::without_clusters(world);
        let everywhere = objects.cluster_role_bindings.values();
        let everywhere = everywhere.map(|binding| (&binding.role_ref, &binding.subjects));
        let inside = objects.role_bindings.values();
        let inside = inside.map(|binding| (&binding.role_ref, &binding.subjects));
        let of_set = everywhere.chain(inside).any(|(role, subjects)| {
            SetRole::parse(&role.name).is_some()
                && subjects.iter().any(|subject| identity.is(subject))
        });
        if of_set {
            objects.with_clusters(world)
        } else {
            objects
        }
    }

    fn without_clusters(world: &'a World) -> Self {
        let kinds = [
            KindName::ClusterRole,
            KindName::ClusterRoleBinding,
            KindName::Role,
            KindName::RoleBinding,
            KindName::ManagedClusterSet,
        ];
        let all = kinds.into_iter().flat_map(|kind| world.iter(kind));
        all.map(|(_, resource)| &**resource).collect()
    }

    fn with_clusters(mut self, world: &'a World) -> Self {
        for (_, resource) in world.iter(KindName::ManagedCluster) {
            if let Resource::ManagedCluster(cluster) = &**resource {
                self.clusters.insert(resource.name(), cluster);
            }
        }
        self
    }

    /// The rules of the role that a binding in `namespace` refers to; a ClusterRoleBinding is in
    /// none. `None` if there is no such role.
    #[must_use]
    pub fn rules_of(&self, role: &RoleRef, namespace: Option<&str>) -> Option<Vec<PolicyRule>> {
        if role.kind == "ClusterRole" {
            return self.rules_of_cluster_role(&role.name);
        }
        let found = self.roles.get(&(namespace?, role.name.as_str()))?;
        Some(found.rules.clone())
    }

    /// The rules of a ClusterRole: its own, or those that its aggregation rule gathers, or those of
    /// a ready-made role. `None` if there is no such role.
    #[must_use]
    pub fn rules_of_cluster_role(&self, name: &str) -> Option<Vec<PolicyRule>> {
        self.rules(name, &mut BTreeSet::new())
    }

    /// As [`Self::rules_of_cluster_role`], without those in `seen`: roles may gather each other.
    fn rules(&self, name: &str, seen: &mut BTreeSet<String>) -> Option<Vec<PolicyRule>> {
        let plain = ready::PLAIN.iter().find(|plain| plain.name == name);
        if let Some(plain) = plain {
            if !seen.insert(name.to_owned()) {
                return Some(Vec::new());
            }
            let mut rules = plain.rules();
            if let Some(label) = plain.gathers {
                let wanted = |labels: &BTreeMap<String, String>| {
                    labels.get(label).is_some_and(|value| value == "true")
                };
                rules.extend(self.gather(&wanted, seen));
            }
            return Some(rules);
        }
        if let Some(role) = ready::of_set(self, name) {
            return Some(role.rules);
        }
        let found = self.cluster_roles.get(name)?;
        if !seen.insert(name.to_owned()) {
            return Some(Vec::new());
        }
        let Some(aggregation) = &found.aggregation_rule else {
            return Some(found.rules.clone());
        };
        let selectors = aggregation.cluster_role_selectors.iter().flatten();
        // Admission lets no selector in that cannot be read; one would select nothing.
        let selectors: Vec<_> = selectors
            .filter_map(|selector| Selector::new("", selector).ok())
            .collect();
        let wanted = |labels: &BTreeMap<String, String>| {
            selectors.iter().any(|selector| selector.matches(labels))
        };
        Some(self.gather(&wanted, seen))
    }

    /// The rules of all plain and stored roles whose labels are wanted.
    fn gather(
        &self,
        wanted: &dyn Fn(&BTreeMap<String, String>) -> bool,
        seen: &mut BTreeSet<String>,
    ) -> Vec<PolicyRule> {
        let none = BTreeMap::new();
        let plain = ready::PLAIN.iter().filter(|plain| wanted(&plain.labels()));
        let mut names: Vec<&str> = plain.map(|plain| plain.name).collect();
        let stored = self.cluster_roles.iter();
        let stored =
            stored.filter(|(_, role)| wanted(role.metadata.labels.as_ref().unwrap_or(&none)));
        names.extend(stored.map(|(name, _)| *name));
        let mut rules: Vec<PolicyRule> = Vec::new();
        for name in names {
            for rule in self.rules(name, seen).unwrap_or_default() {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        }
        rules
    }
}
