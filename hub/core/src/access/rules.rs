//! Kubernetes' RBAC: who has which rules where, and whether one of them allows something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use skein_schema::kind::admission::Review;
use skein_schema::kind::rbac::{ALL, GROUP_AUTHENTICATED, GROUP_MASTERS};
use skein_schema::name::{ADMIN, UserName};

use super::objects::Objects;
use super::ready::{Members, SetRole};

/// A user as rules see them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// The groups they are in.
    pub groups: BTreeSet<String>,
}

impl Identity {
    /// A user whose name the bus has proved. Every user is in `system:authenticated`; the user
    /// `admin` is in `system:masters`, too, so that nobody can lock themselves out.
    #[must_use]
    pub fn of(user: &UserName) -> Self {
        let mut groups = BTreeSet::from([GROUP_AUTHENTICATED.to_owned()]);
        if user.as_str() == ADMIN {
            groups.insert(GROUP_MASTERS.to_owned());
        }
        Self {
            user: user.to_string(),
            groups,
        }
    }

    /// Whether they may do everything, whatever the rules say.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.groups.contains(GROUP_MASTERS)
    }

    pub(super) fn is(&self, subject: &Subject) -> bool {
        match subject.kind.as_str() {
            "User" => subject.name == self.user,
            "Group" => self.groups.contains(&subject.name),
            _ => false,
        }
    }
}

/// Whether something is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is, by this. Of several, the first by name, those without a namespace before the others.
    Allowed(Because),
    /// No rule allows it.
    Denied,
}

impl Verdict {
    /// Whether it is allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Why something is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// The user is in `system:masters`.
    Master,
    /// A binding gives a role.
    Bound {
        /// The binding, e.g. `rolebindings/team/deployers`.
        binding: String,
        /// The role, e.g. `clusterroles/edit`.
        role: String,
    },
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str(GROUP_MASTERS),
            Self::Bound { binding, role } => write!(f, "{binding} gives {role}"),
        }
    }
}

/// Where a grant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In every namespace and on what is in none.
    Everywhere,
    /// In these namespaces.
    In(BTreeSet<String>),
}

impl Place {
    fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::In(namespaces) => namespaces.contains(namespace),
        }
    }
}

/// A rule with its names in a set: a role for a clusterset has thousands.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    policy: PolicyRule,
    names: BTreeSet<String>,
}

impl Rule {
    fn new(mut policy: PolicyRule) -> Self {
        let names = policy.resource_names.take().unwrap_or_default();
        Self {
            policy,
            names: names.into_iter().collect(),
        }
    }

    /// Whether it is about this, of any name (Kubernetes' `RuleAllows`).
    fn is_about(&self, verb: &str, group: &str, resource: &str, subresource: &str) -> bool {
        let has = |words: Option<&Vec<String>>, word: &str| {
            let mut words = words.into_iter().flatten();
            words.any(|known| known == ALL || known == word)
        };
        has(Some(&self.policy.verbs), verb)
            && has(self.policy.api_groups.as_ref(), group)
            && resource_matches(self.policy.resources.as_ref(), resource, subresource)
    }

    fn allows(&self, review: &Review) -> bool {
        (self.names.is_empty() || self.names.contains(&review.name))
            && self.is_about(
                &review.verb,
                &review.group,
                &review.resource,
                &review.subresource,
            )
    }

    fn to_policy(&self) -> PolicyRule {
        let names = self.names.iter().cloned().collect();
        PolicyRule {
            resource_names: (!self.names.is_empty()).then_some(names),
            ..self.policy.clone()
        }
    }
}

/// `*` is all, `r` is the resource alone, `r/s` its subresource, `*/s` that of any resource.
fn resource_matches(words: Option<&Vec<String>>, resource: &str, subresource: &str) -> bool {
    let mut words = words.into_iter().flatten();
    words.any(|word| match word.split_once('/') {
        _ if word == ALL => true,
        None => subresource.is_empty() && word == resource,
        Some((before, behind)) => {
            !subresource.is_empty()
                && behind == subresource
                && (before == ALL || before == resource)
        }
    })
}

#[derive(Debug, Clone, PartialEq)]
struct Grant {
    place: Place,
    binding: String,
    role: String,
    rules: Arc<[Rule]>,
}

/// Who has which rules where. Built once for a world, asked often.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    grants: Vec<Grant>,
    /// Places in `grants`, in order.
    users: BTreeMap<String, Vec<usize>>,
    groups: BTreeMap<String, Vec<usize>>,
}

impl Rules {
    /// Everybody's.
    #[must_use]
    pub fn new(objects: &Objects<'_>) -> Self {
        Self::build(objects, |_| true)
    }

    /// One user's: quicker to build where only that user will be asked about.
    #[must_use]
    pub fn about(objects: &Objects<'_>, identity: &Identity) -> Self {
        Self::build(objects, |subject| identity.is(subject))
    }

    fn build(objects: &Objects<'_>, wanted: impl Fn(&Subject) -> bool) -> Self {
        let mut building = Building {
            objects,
            rules: Self::default(),
            roles: BTreeMap::new(),
        };
        let chosen = |subjects: &'_ [Subject]| {
            let subjects = subjects.iter().filter(|subject| wanted(subject));
            subjects.cloned().collect::<Vec<_>>()
        };
        for (name, binding) in &objects.cluster_role_bindings {
            let subjects = chosen(&binding.subjects);
            if !subjects.is_empty() {
                building.everywhere(name, &binding.role_ref, &subjects);
            }
        }
        for ((namespace, name), binding) in &objects.role_bindings {
            let subjects = chosen(&binding.subjects);
            if !subjects.is_empty() {
                building.inside(namespace, name, &binding.role_ref, &subjects);
            }
        }
        building.rules
    }

    /// Whether a user may do something.
    #[must_use]
    pub fn allows(&self, identity: &Identity, review: &Review) -> Verdict {
        if identity.is_master() {
            return Verdict::Allowed(Because::Master);
        }
        let namespace = namespace_of(review);
        let mut grants = self.grants_of(identity);
        let found = grants.find(|grant| {
            grant.place.holds(namespace) && grant.rules.iter().any(|rule| rule.allows(review))
        });
        found.map_or(Verdict::Denied, |grant| {
            Verdict::Allowed(Because::Bound {
                binding: grant.binding.clone(),
                role: grant.role.clone(),
            })
        })
    }

    /// Whether there may be an object that a user may do this to, of the review's kind, in its
    /// namespace or in any if it names none, of its name or of any if it names none. False means
    /// that there is none.
    #[must_use]
    pub fn might_allow(&self, identity: &Identity, review: &Review) -> bool {
        let namespace = namespace_of(review);
        identity.is_master()
            || self.grants_of(identity).any(|grant| {
                let somewhere = namespace.is_empty() || grant.place.holds(namespace);
                let mut rules = grant.rules.iter();
                somewhere
                    && rules.any(|rule| {
                        let named = review.name.is_empty()
                            || rule.names.is_empty()
                            || rule.names.contains(&review.name);
                        named
                            && rule.is_about(
                                &review.verb,
                                &review.group,
                                &review.resource,
                                &review.subresource,
                            )
                    })
            })
    }

    /// All rules that a user has in a namespace; in the empty one, those on what is in none.
    #[must_use]
    pub fn of(&self, identity: &Identity, namespace: &str) -> Vec<PolicyRule> {
        let grants = self.grants_of(identity);
        let grants = grants.filter(|grant| grant.place.holds(namespace));
        grants
            .flat_map(|grant| grant.rules.iter().map(Rule::to_policy))
            .collect()
    }

    fn grants_of(&self, identity: &Identity) -> impl Iterator<Item = &Grant> {
        let by_user = self.users.get(&identity.user).into_iter();
        let by_group = identity
            .groups
            .iter()
            .filter_map(|group| self.groups.get(group));
        let places: BTreeSet<usize> = by_user.chain(by_group).flatten().copied().collect();
        places
            .into_iter()
            .filter_map(|place| self.grants.get(place))
    }
}

/// In which namespace a review is answered. A namespace is in itself, as in Kubernetes, so that a
/// role in it can let one see it.
fn namespace_of(review: &Review) -> &str {
    if review.group.is_empty() && review.resource == "namespaces" && review.namespace.is_empty() {
        &review.name
    } else {
        &review.namespace
    }
}

struct Building<'a, 'o> {
    objects: &'a Objects<'o>,
    rules: Rules,
    /// Rules of ClusterRoles that were looked up.
    roles: BTreeMap<String, Option<Arc<[Rule]>>>,
}

impl Building<'_, '_> {
    fn everywhere(&mut self, name: &str, role: &RoleRef, subjects: &[Subject]) {
        let Some(rules) = self.cluster_role(&role.name) else {
            return;
        };
        let grant = Grant {
            place: Place::Everywhere,
            binding: format!("clusterrolebindings/{name}"),
            role: format!("clusterroles/{}", role.name),
            rules,
        };
        self.add(subjects, grant.clone());
        let of_members = members_of(self.objects, &role.name);
        if let Some((members, plain)) = of_members
            && let Some(rules) = self.cluster_role(plain)
        {
            self.add(
                subjects,
                Grant {
                    place: Place::In(members),
                    rules,
                    ..grant
                },
            );
        }
    }

    fn inside(&mut self, namespace: &str, name: &str, role: &RoleRef, subjects: &[Subject]) {
        let (rules, title) = if role.kind == "ClusterRole" {
            let title = format!("clusterroles/{}", role.name);
            (self.cluster_role(&role.name), title)
        } else {
            let rules = self.objects.rules_of(role, Some(namespace));
            let title = format!("roles/{namespace}/{}", role.name);
            (rules.map(compile), title)
        };
        let Some(rules) = rules else {
            return;
        };
        let grant = Grant {
            place: Place::In(BTreeSet::from([namespace.to_owned()])),
            binding: format!("rolebindings/{namespace}/{name}"),
            role: title,
            rules,
        };
        self.add(subjects, grant);
    }

    fn cluster_role(&mut self, name: &str) -> Option<Arc<[Rule]>> {
        if let Some(known) = self.roles.get(name) {
            return known.clone();
        }
        let rules = self.objects.rules_of_cluster_role(name).map(compile);
        self.roles.insert(name.to_owned(), rules.clone());
        rules
    }

    fn add(&mut self, subjects: &[Subject], grant: Grant) {
        let place = self.rules.grants.len();
        self.rules.grants.push(grant);
        for subject in subjects {
            let index = match subject.kind.as_str() {
                "User" => &mut self.rules.users,
                "Group" => &mut self.rules.groups,
                _ => continue,
            };
            index.entry(subject.name.clone()).or_default().push(place);
        }
    }
}

/// Whether one of these rules allows something, wherever they hold.
pub(super) fn allowed_by(rules: &[PolicyRule], review: &Review) -> bool {
    rules
        .iter()
        .any(|rule| Rule::new(rule.clone()).allows(review))
}

fn compile(rules: Vec<PolicyRule>) -> Arc<[Rule]> {
    rules.into_iter().map(Rule::new).collect()
}

/// For a role of a set that is bound everywhere: the namespaces of the set's clusters, and the role
/// that it comes with there.
pub(super) fn members_of(
    objects: &Objects<'_>,
    role: &str,
) -> Option<(BTreeSet<String>, &'static str)> {
    let (role, set) = SetRole::parse(role)?;
    let plain = role.in_namespaces()?;
    let members = match Members::of(objects, role, objects.sets.get(set)?) {
        Members::These(names) => names,
        Members::All => {
            let names = objects.clusters.keys();
            names.map(|&name| name.to_owned()).collect()
        }
    };
    Some((members, plain))
}
