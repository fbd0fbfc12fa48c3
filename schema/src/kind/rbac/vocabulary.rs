//! The groups, resources and verbs that mean something to a hub, and what is most likely a slip.

use crate::decode::{excerpt, nearest};
use crate::kind::rbac::{ALL, GROUP_AUTHENTICATED, GROUP_MASTERS};
use crate::name::UserName;
use crate::resource::{KINDS, Resource};
use k8s_openapi::api::rbac::v1::{PolicyRule, Subject};

/// Most warnings about one object.
const WARNINGS_MAX: usize = 20;

/// Verbs that some review asks for, and those of Kubernetes' that a rule copied from there has.
const VERBS: &[&str] = &[
    ALL,
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "bind",
    "escalate",
    "execute-as",
    "impersonate",
    "renew",
    "use",
    "approve",
    "sign",
];

/// What is reviewed beside the kinds: the group, and the resource with its subresource.
const VIRTUAL: &[(&str, &str)] = &[
    (
        "cluster.open-cluster-management.io",
        "managedclustersets/join",
    ),
    (
        "cluster.open-cluster-management.io",
        "managedclustersets/bind",
    ),
    (
        "cluster.open-cluster-management.io",
        "managedclusters/sealingkey",
    ),
    (
        "register.open-cluster-management.io",
        "managedclusters/accept",
    ),
    (
        "register.open-cluster-management.io",
        "managedclusters/clientcertificates",
    ),
    ("skein.dev", "tokens"),
    ("skein.dev", "events"),
    ("skein.dev", "health"),
];

/// What of a role or binding is allowed and most likely not what was meant, each with its path;
/// nothing for other kinds.
#[must_use]
pub fn warnings(resource: &Resource) -> Vec<String> {
    let mut found = match resource {
        Resource::Role(role) => of_rules(&role.rules),
        Resource::ClusterRole(role) => {
            let mut found = of_rules(&role.rules);
            if role.aggregation_rule.is_some() && !role.rules.is_empty() {
                found.insert(
                    0,
                    "rules: not used, the aggregationRule gathers them from other roles".to_owned(),
                );
            }
            found
        }
        Resource::RoleBinding(binding) => of_subjects(&binding.subjects),
        Resource::ClusterRoleBinding(binding) => of_subjects(&binding.subjects),
        _ => Vec::new(),
    };
    found.truncate(WARNINGS_MAX);
    found
}

fn of_rules(rules: &[PolicyRule]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        if rule
            .non_resource_urls
            .as_ref()
            .is_some_and(|urls| !urls.is_empty())
        {
            found.push(format!(
                "rules[{index}].nonResourceURLs: the hub asks about no URLs"
            ));
            continue;
        }
        for verb in &rule.verbs {
            if !VERBS.contains(&verb.as_str()) {
                let path = format!("rules[{index}].verbs");
                found.push(unknown(&path, "verb", verb, VERBS.iter().copied()));
            }
        }
        let groups = rule.api_groups.as_deref().unwrap_or_default();
        for group in groups {
            if group != ALL && !known_groups().any(|known| known == group) {
                let path = format!("rules[{index}].apiGroups");
                found.push(unknown(&path, "group", group, known_groups()));
            }
        }
        for resource in rule.resources.iter().flatten() {
            if !groups.iter().any(|group| knows(group, resource)) {
                let path = format!("rules[{index}].resources");
                let plurals = KINDS.iter().map(|info| info.plural);
                let known = plurals.chain(VIRTUAL.iter().map(|(_, resource)| *resource));
                found.push(unknown(&path, "resource", resource, known));
            }
        }
    }
    found
}

fn unknown<'a>(
    path: &str,
    what: &str,
    written: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    let written = excerpt(written);
    match nearest(
        &written,
        known.filter(|known| *known != ALL && *known != written),
    ) {
        Some(near) => {
            format!("{path}: the hub has no {what} {written:?} there; did you mean {near:?}?")
        }
        None => format!("{path}: the hub has no {what} {written:?} there"),
    }
}

fn known_groups() -> impl Iterator<Item = &'static str> {
    let of_kinds = KINDS.iter().map(|info| info.group);
    of_kinds.chain(VIRTUAL.iter().map(|(group, _)| *group))
}

/// Whether a resource as it stands in a rule names something in a group. What is in a group that is
/// not known is not told twice.
fn knows(group: &str, resource: &str) -> bool {
    let in_group = |known: &str| group == ALL || known == group;
    if resource == ALL || resource.starts_with("*/") || !known_groups().any(in_group) {
        return true;
    }
    let plural = resource.split('/').next().unwrap_or_default();
    let kinds = KINDS.iter().filter(|info| in_group(info.group));
    let mut plurals = kinds.map(|info| info.plural);
    let mut virtuals = VIRTUAL.iter().filter(|(known, _)| in_group(known));
    virtuals.any(|(_, known)| *known == resource)
        || match resource.split_once('/') {
            // `status` is a subresource of every kind; the hub alone writes it.
            Some((_, subresource)) => {
                matches!(subresource, "status" | "finalizers")
                    && (plurals.any(|known| known == plural)
                        || VIRTUAL.iter().any(|(known, resource)| {
                            in_group(known) && resource.split('/').next() == Some(plural)
                        }))
            }
            None => plurals.any(|known| known == resource),
        }
}

fn of_subjects(subjects: &[Subject]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        let path = format!("subjects[{index}].name");
        let name = &subject.name;
        match subject.kind.as_str() {
            "User" => {
                if let Err(error) = UserName::new(name) {
                    found.push(format!(
                        "{path}: no user can be called {:?}: {error}",
                        excerpt(name)
                    ));
                }
            }
            "Group" if name != GROUP_AUTHENTICATED && name != GROUP_MASTERS => {
                let message = "is a group that nobody is in: credentials name no groups yet";
                found.push(format!("{path}: {:?} {message}", excerpt(name)));
            }
            _ => {}
        }
    }
    found
}
