//! What Kubernetes' four access kinds have in common: rules, subjects, the reference to a role, and
//! what admission asks of them.
//!
//! Groups, resources and verbs may be any, as in Kubernetes: a rule may be there before what it is
//! about. [`warnings`] tells what is most likely a slip.

#[cfg(test)]
mod tests;
mod vocabulary;

pub use vocabulary::warnings;

use crate::decode::shape::{Field, Format, Shape};
use crate::decode::{FieldError, PARTS_RULE, Problem, excerpt};
use crate::name::check_parts;
use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};

/// API group of roles and bindings, and of the users and groups that bindings name.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
/// The group whose members may do everything, whatever the rules say.
pub const GROUP_MASTERS: &str = "system:masters";
/// The group that every user is in.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// Verb on a role: may give it rights that one does not have.
pub const VERB_ESCALATE: &str = "escalate";
/// Verb on a role: may bind it without having its rights.
pub const VERB_BIND: &str = "bind";
/// In a rule: every verb, group or resource.
pub const ALL: &str = "*";

/// Longest group, resource, verb, name of a user or of an object, in characters.
const WORD_MAX: usize = 253;
/// Longest path of a non-resource URL, in characters.
const URL_MAX: usize = 1024;

/// Most combinations of verb, group and resource that the rules of one role may have together.
/// Whether its author has them all is looked up one by one.
const COMBINATIONS_MAX: usize = 10_000;

const WORDS: Shape = Shape::list(&Shape::text(0, WORD_MAX, Format::Any));
const WORDS_NOT_EMPTY: Shape = Shape::list(&Shape::text(1, WORD_MAX, Format::Any));

/// The shape of `rules`.
pub(crate) const RULES: Shape = Shape::list(&Shape::Object(&[
    Field::new("apiGroups", WORDS),
    Field::new("resources", WORDS_NOT_EMPTY),
    Field::new("resourceNames", WORDS_NOT_EMPTY),
    Field::new(
        "nonResourceURLs",
        Shape::list(&Shape::text(1, URL_MAX, Format::Any)),
    ),
    Field::new("verbs", WORDS_NOT_EMPTY).required(),
]));

/// The shape of `subjects`.
pub(crate) const SUBJECTS: Shape = Shape::list(&Shape::Object(&[
    Field::new("kind", Shape::text(1, 63, Format::Any)).required(),
    Field::new("name", Shape::text(1, WORD_MAX, Format::Any)).required(),
    Field::new("apiGroup", Shape::text(0, WORD_MAX, Format::Any)),
    Field::new("namespace", Shape::text(0, 63, Format::Any)),
]));

/// The shape of `roleRef`.
pub(crate) const ROLE_REF: Shape = Shape::Object(&[
    Field::new("apiGroup", Shape::one_of(&[RBAC_GROUP])).default_text(RBAC_GROUP),
    Field::new("kind", Shape::text(1, 63, Format::Any)).required(),
    Field::new("name", Shape::text(1, WORD_MAX, Format::Any)).required(),
]);

/// What is wrong with the rules of a role (Kubernetes' `ValidatePolicyRule`). `namespaced`: of a
/// Role, which knows no URLs.
pub(crate) fn check_rules(rules: &[PolicyRule], namespaced: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = |field: &str| format!("rules[{index}].{field}");
        let forbidden = |rule: &str| Problem::Forbidden {
            rule: rule.to_owned(),
        };
        if rule.verbs.is_empty() {
            let error = FieldError::new(path("verbs"), Problem::Required);
            errors.push(error.with_hint("name what may be done, for example get, or * for all"));
        }
        if is_set(rule.non_resource_urls.as_ref()) {
            if namespaced {
                let why = "URLs are in no namespace; a ClusterRole may have them";
                errors.push(FieldError::new(path("nonResourceURLs"), forbidden(why)));
            }
            let others = [
                ("apiGroups", &rule.api_groups),
                ("resources", &rule.resources),
                ("resourceNames", &rule.resource_names),
            ];
            for (field, words) in others {
                if is_set(words.as_ref()) {
                    let why = "a rule is about resources or about URLs, never about both";
                    errors.push(FieldError::new(path(field), forbidden(why)));
                }
            }
            continue;
        }
        if !is_set(rule.api_groups.as_ref()) {
            let error = FieldError::new(path("apiGroups"), Problem::Required);
            errors.push(error.with_hint("\"\" is the core group, * all groups"));
        }
        if !is_set(rule.resources.as_ref()) {
            let error = FieldError::new(path("resources"), Problem::Required);
            errors.push(error.with_hint("write plurals, for example manifestworks, or * for all"));
        }
    }
    let found = rules
        .iter()
        .map(combinations)
        .fold(0, usize::saturating_add);
    if found > COMBINATIONS_MAX {
        let problem = Problem::TooLong {
            max: COMBINATIONS_MAX as u64,
            found: found as u64,
        };
        let error = FieldError::new("rules", problem);
        errors.push(error.with_hint("it counts each verb of each resource in each group"));
    }
    errors
}

fn combinations(rule: &PolicyRule) -> usize {
    let count = |words: &Option<Vec<String>>| words.as_ref().map_or(0, Vec::len);
    let resources = count(&rule.api_groups).saturating_mul(count(&rule.resources));
    let things = resources.saturating_add(count(&rule.non_resource_urls));
    rule.verbs.len().saturating_mul(things)
}

fn is_set(words: Option<&Vec<String>>) -> bool {
    words.is_some_and(|words| !words.is_empty())
}

/// What is wrong with the subjects of a binding. Agents and hubs are no subjects: what they may do
/// is not a matter of rules.
pub(crate) fn check_subjects(subjects: &[Subject]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        let path = |field: &str| format!("subjects[{index}].{field}");
        if !matches!(subject.kind.as_str(), "User" | "Group") {
            let problem = Problem::NotAllowed {
                value: excerpt(&subject.kind),
                allowed: ["User", "Group"].map(str::to_owned).to_vec(),
            };
            let error = FieldError::new(path("kind"), problem);
            errors.push(if subject.kind == "ServiceAccount" {
                error.with_hint(
                    "the hub has no service accounts: give the program a user of its own and name \
                     that",
                )
            } else {
                error
            });
            continue;
        }
        let group = subject.api_group.as_deref().unwrap_or_default();
        if !group.is_empty() && group != RBAC_GROUP {
            let problem = Problem::NotAllowed {
                value: excerpt(group),
                allowed: vec![RBAC_GROUP.to_owned()],
            };
            errors.push(FieldError::new(path("apiGroup"), problem));
        }
        if subject
            .namespace
            .as_deref()
            .is_some_and(|namespace| !namespace.is_empty())
        {
            let rule = "users and groups are in no namespace".to_owned();
            errors.push(FieldError::new(
                path("namespace"),
                Problem::Forbidden { rule },
            ));
        }
    }
    errors
}

/// What is wrong with the reference of a binding to its role. `kinds`: what may be referred to.
pub(crate) fn check_role_ref(
    new: &RoleRef,
    old: Option<&RoleRef>,
    kinds: &[&str],
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !kinds.contains(&new.kind.as_str()) {
        let problem = Problem::NotAllowed {
            value: excerpt(&new.kind),
            allowed: kinds.iter().map(|&kind| kind.to_owned()).collect(),
        };
        errors.push(FieldError::new("roleRef.kind", problem));
    }
    if check_parts(&new.name).is_err() {
        errors.push(FieldError::invalid("roleRef.name", &new.name, PARTS_RULE));
    }
    if old.is_some_and(|old| old != new) {
        let error = FieldError::new("roleRef", Problem::Immutable);
        errors.push(error.with_hint("delete the binding and make it anew"));
    }
    errors
}
