//! Roles that are there without being stored: the four that every Kubernetes API has, and three for
//! each clusterset. Their rules follow from the world, so they are never out of date.
//!
//! `cluster-admin` may everything. `view`, `edit` and `admin` are for workspaces; each has the
//! rules of the one before it and of the stored ClusterRoles that are labelled for it with
//! `rbac.authorization.k8s.io/aggregate-to-<name>: "true"`.
//!
//! `open-cluster-management:managedclusterset:<what>:<set>`, bound by a ClusterRoleBinding:
//!
//! | what | lets |
//! |---|---|
//! | `view` | see the set and its clusters; `view` in their namespaces |
//! | `bind` | see the set and bind it to a workspace |
//! | `admin` | all of this; put clusters into the set and take them out; accept, deny, change and delete its clusters; `admin` in their namespaces |
//!
//! Nobody of them may change the set itself: its selector decides what the roles are worth. For a
//! set that selects by labels, `admin` is without its clusters: else whoever may label a cluster
//! could give it away.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{AggregationRule, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use skein_schema::kind::cluster_role::ClusterRole;
use skein_schema::kind::managed_cluster_set::{ManagedClusterSet, SelectorType};
use skein_schema::kind::rbac::ALL;

use super::objects::Objects;
use crate::clusterset::SetMembership;

/// What the names of all roles for sets begin with.
const OF_SETS: &str = "open-cluster-management:managedclusterset:";
const CLUSTER: &str = "cluster.open-cluster-management.io";
const REGISTER: &str = "register.open-cluster-management.io";
const WORK: &str = "work.open-cluster-management.io";
const ADDON: &str = "addon.open-cluster-management.io";
const RBAC: &str = skein_schema::kind::rbac::RBAC_GROUP;

const SEE: &[&str] = &["get", "list", "watch"];
const CHANGE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
const MANAGE: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// What of OCM's lives in workspaces and in the clusters' namespaces.
const IN_WORKSPACES: &[(&str, &[&str])] = &[
    (
        CLUSTER,
        &[
            "managedclustersetbindings",
            "placements",
            "placementdecisions",
            "addonplacementscores",
        ],
    ),
    (WORK, &["manifestworks", "manifestworkreplicasets"]),
    (ADDON, &["managedclusteraddons", "addondeploymentconfigs"]),
];

/// A ready-made role that is about no set.
pub(super) struct Plain {
    pub(super) name: &'static str,
    /// The label of roles whose rules it has, too.
    pub(super) gathers: Option<&'static str>,
    /// The label by which another role has its rules.
    label: Option<&'static str>,
}

/// The ready-made roles that are about no set, in the order of their names.
pub(super) const PLAIN: &[Plain] = &[
    Plain {
        name: "admin",
        gathers: Some("rbac.authorization.k8s.io/aggregate-to-admin"),
        label: None,
    },
    Plain {
        name: "cluster-admin",
        gathers: None,
        label: None,
    },
    Plain {
        name: "edit",
        gathers: Some("rbac.authorization.k8s.io/aggregate-to-edit"),
        label: Some("rbac.authorization.k8s.io/aggregate-to-admin"),
    },
    Plain {
        name: "view",
        gathers: Some("rbac.authorization.k8s.io/aggregate-to-view"),
        label: Some("rbac.authorization.k8s.io/aggregate-to-edit"),
    },
];

impl Plain {
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let label = self.label.iter();
        label
            .map(|label| ((*label).to_owned(), "true".to_owned()))
            .collect()
    }

    /// Its rules, without what it gathers.
    pub(super) fn rules(&self) -> Vec<PolicyRule> {
        let of_workspaces = |verbs| {
            let groups = IN_WORKSPACES.iter();
            groups.map(move |(group, resources)| rule(group, resources, verbs, &[]))
        };
        match self.name {
            "cluster-admin" => vec![
                rule(ALL, &[ALL], &[ALL], &[]),
                PolicyRule {
                    non_resource_urls: Some(vec![ALL.to_owned()]),
                    verbs: vec![ALL.to_owned()],
                    ..PolicyRule::default()
                },
            ],
            "view" => {
                let mut rules: Vec<_> = of_workspaces(SEE).collect();
                rules.push(rule("", &["namespaces"], SEE, &[]));
                rules
            }
            "edit" => of_workspaces(CHANGE).collect(),
            _ => vec![rule(RBAC, &["roles", "rolebindings"], MANAGE, &[])],
        }
    }
}

/// What a role for a set lets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SetRole {
    Admin,
    Bind,
    View,
}

impl SetRole {
    pub(super) const ALL: [Self; 3] = [Self::Admin, Self::Bind, Self::View];

    /// The role's name.
    pub(super) fn name(self, set: &str) -> String {
        let what = match self {
            Self::Admin => "admin",
            Self::Bind => "bind",
            Self::View => "view",
        };
        format!("{OF_SETS}{what}:{set}")
    }

    /// What a name says, if it is of this form: the role and the set.
    pub(super) fn parse(name: &str) -> Option<(Self, &str)> {
        let (what, set) = name.strip_prefix(OF_SETS)?.split_once(':')?;
        let role = match what {
            "admin" => Self::Admin,
            "bind" => Self::Bind,
            "view" => Self::View,
            _ => return None,
        };
        Some((role, set))
    }

    /// The plain role that it comes with in the namespaces of the set's clusters.
    pub(super) fn in_namespaces(self) -> Option<&'static str> {
        match self {
            Self::Admin => Some("admin"),
            Self::Bind => None,
            Self::View => Some("view"),
        }
    }

    /// Its rules for a set with these clusters.
    pub(super) fn rules(self, set: &str, members: &Members) -> Vec<PolicyRule> {
        let mut rules = vec![rule(CLUSTER, &["managedclustersets"], SEE, &[set])];
        if self != Self::View {
            let bind = ["managedclustersets/bind"];
            rules.push(rule(CLUSTER, &bind, &["create"], &[set]));
        }
        let names: Vec<&str> = match members {
            Members::All => Vec::new(),
            // Without names a rule is about all clusters.
            Members::These(names) if names.is_empty() => {
                if self == Self::Admin {
                    rules.push(join(set));
                }
                return rules;
            }
            Members::These(names) => names.iter().map(String::as_str).collect(),
        };
        match self {
            Self::View => rules.push(rule(CLUSTER, &["managedclusters"], SEE, &names)),
            Self::Bind => {}
            Self::Admin => {
                rules.push(join(set));
                let verbs = ["get", "list", "watch", "update", "patch", "delete"];
                rules.push(rule(CLUSTER, &["managedclusters"], &verbs, &names));
                let sealing = ["managedclusters/sealingkey"];
                rules.push(rule(CLUSTER, &sealing, &["get"], &names));
                let accept = ["managedclusters/accept"];
                rules.push(rule(REGISTER, &accept, &["update"], &names));
            }
        }
        rules
    }
}

fn join(set: &str) -> PolicyRule {
    rule(CLUSTER, &["managedclustersets/join"], &["create"], &[set])
}

/// The clusters of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Members {
    /// Every cluster, whatever its labels.
    All,
    /// The clusters of these names.
    These(BTreeSet<String>),
}

impl Members {
    /// Those that a role for the set is about.
    pub(super) fn of(objects: &Objects<'_>, role: SetRole, set: &ManagedClusterSet) -> Self {
        let selector = &set.spec.cluster_selector;
        let by_labels = selector.selector_type == SelectorType::LabelSelector;
        if role == SetRole::Bind || (role == SetRole::Admin && by_labels) {
            return Self::These(BTreeSet::new());
        }
        if by_labels && selector.label_selector == Some(LabelSelector::default()) {
            return Self::All;
        }
        let Ok(membership) = SetMembership::new(set) else {
            return Self::These(BTreeSet::new());
        };
        let none = BTreeMap::new();
        let members = objects.clusters.iter().filter(|(_, cluster)| {
            membership.contains(cluster.metadata.labels.as_ref().unwrap_or(&none))
        });
        Self::These(members.map(|(name, _)| (*name).to_owned()).collect())
    }
}

/// The role for a set of this name, if there is the set.
pub(super) fn of_set(objects: &Objects<'_>, name: &str) -> Option<ClusterRole> {
    let (role, set) = SetRole::parse(name)?;
    let found = objects.sets.get(set)?;
    let members = Members::of(objects, role, found);
    Some(ClusterRole {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            creation_timestamp: found.metadata.creation_timestamp.clone(),
            ..ObjectMeta::default()
        },
        rules: role.rules(set, &members),
        aggregation_rule: None,
    })
}

/// Whether a ClusterRole of this name is ready-made, or would be if there was the set: such a name
/// cannot be stored.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    PLAIN.iter().any(|plain| plain.name == name) || SetRole::parse(name).is_some()
}

/// A ready-made ClusterRole, with all its rules.
#[must_use]
pub fn cluster_role(objects: &Objects<'_>, name: &str) -> Option<ClusterRole> {
    let Some(plain) = PLAIN.iter().find(|plain| plain.name == name) else {
        return of_set(objects, name);
    };
    let labels = plain.labels();
    let aggregation_rule = plain.gathers.map(|label| AggregationRule {
        cluster_role_selectors: Some(vec![LabelSelector {
            match_labels: Some(BTreeMap::from([(label.to_owned(), "true".to_owned())])),
            match_expressions: None,
        }]),
    });
    Some(ClusterRole {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: (!labels.is_empty()).then_some(labels),
            ..ObjectMeta::default()
        },
        rules: objects.rules_of_cluster_role(name)?,
        aggregation_rule,
    })
}

/// The names of all ready-made ClusterRoles, in order.
#[must_use]
pub fn names(objects: &Objects<'_>) -> BTreeSet<String> {
    let plain = PLAIN.iter().map(|plain| plain.name.to_owned());
    let sets = objects.sets.keys();
    let of_sets = sets.flat_map(|set| SetRole::ALL.map(|role| role.name(set)));
    // The name of a set may be as long as that of a role.
    let named = of_sets.filter(|name| skein_schema::name::check_parts(name).is_ok());
    plain.chain(named).collect()
}

/// A rule about resources.
fn rule(group: &str, resources: &[&str], verbs: &[&str], names: &[&str]) -> PolicyRule {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    PolicyRule {
        api_groups: Some(words(&[group])),
        resources: Some(words(resources)),
        resource_names: (!names.is_empty()).then(|| words(names)),
        verbs: words(verbs),
        non_resource_urls: None,
    }
}
