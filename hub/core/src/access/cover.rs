//! Whether somebody who has some rules has others, too (Kubernetes' `Covers`): nobody gives what
//! they do not have.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::PolicyRule;
use skein_schema::kind::rbac::ALL;

/// Whether every right of `wanted` is one of `owned`.
///
/// # Errors
/// The rights that are not, one rule per group, resource and names, or per URL.
pub fn covers(owned: &[PolicyRule], wanted: &[PolicyRule]) -> Result<(), Vec<PolicyRule>> {
    let mut missing: Vec<PolicyRule> = Vec::new();
    for rule in wanted {
        let verbs: BTreeSet<&str> = rule.verbs.iter().map(String::as_str).collect();
        for url in distinct(rule.non_resource_urls.as_ref()) {
            for verb in &verbs {
                if !owned.iter().any(|owned| has_url(owned, verb, url)) {
                    add(&mut missing, of_url(verb, url));
                }
            }
        }
        let names = distinct(rule.resource_names.as_ref());
        for group in distinct(rule.api_groups.as_ref()) {
            for resource in distinct(rule.resources.as_ref()) {
                for verb in &verbs {
                    let lacking = lacking(owned, (verb, group, resource), &names);
                    if let Some(names) = lacking {
                        add(&mut missing, of_resource((verb, group, resource), &names));
                    }
                }
            }
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing)
    }
}

fn distinct(words: Option<&Vec<String>>) -> BTreeSet<&str> {
    words.into_iter().flatten().map(String::as_str).collect()
}

fn has(words: Option<&Vec<String>>, word: &str) -> bool {
    let mut words = words.into_iter().flatten();
    words.any(|known| known == ALL || known == word)
}

/// The names that no owned rule lets one do this to; empty for every name, `None` if none lacks.
fn lacking<'n>(
    owned: &[PolicyRule],
    (verb, group, resource): (&str, &str, &str),
    names: &BTreeSet<&'n str>,
) -> Option<BTreeSet<&'n str>> {
    let about = owned.iter().filter(|rule| {
        has(Some(&rule.verbs), verb)
            && has(rule.api_groups.as_ref(), group)
            && has_resource(rule, resource)
    });
    let mut lacking = names.clone();
    for rule in about {
        match rule.resource_names.as_deref().unwrap_or_default() {
            [] => return None,
            owned => {
                for name in owned {
                    lacking.remove(name.as_str());
                }
            }
        }
    }
    // Rules with names never add up to a rule without.
    (names.is_empty() || !lacking.is_empty()).then_some(lacking)
}

/// `r/s` is also in `*/s`.
fn has_resource(rule: &PolicyRule, resource: &str) -> bool {
    has(rule.resources.as_ref(), resource)
        || resource.split_once('/').is_some_and(|(_, subresource)| {
            let mut words = rule.resources.iter().flatten();
            words.any(|word| word.strip_prefix("*/") == Some(subresource))
        })
}

/// A URL that ends with `*` is also every longer one.
fn has_url(rule: &PolicyRule, verb: &str, url: &str) -> bool {
    let mut urls = rule.non_resource_urls.iter().flatten();
    has(Some(&rule.verbs), verb)
        && urls.any(|owned| {
            owned == url || (owned.ends_with('*') && url.starts_with(owned.trim_end_matches('*')))
        })
}

fn of_url(verb: &str, url: &str) -> PolicyRule {
    PolicyRule {
        non_resource_urls: Some(vec![url.to_owned()]),
        verbs: vec![verb.to_owned()],
        ..PolicyRule::default()
    }
}

fn of_resource((verb, group, resource): (&str, &str, &str), names: &BTreeSet<&str>) -> PolicyRule {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: (!names.is_empty()).then_some(names),
        verbs: vec![verb.to_owned()],
        non_resource_urls: None,
    }
}

/// Adds a right; those that differ only in the verb become one rule.
fn add(missing: &mut Vec<PolicyRule>, right: PolicyRule) {
    let same = |rule: &&mut PolicyRule| {
        rule.api_groups == right.api_groups
            && rule.resources == right.resources
            && rule.resource_names == right.resource_names
            && rule.non_resource_urls == right.non_resource_urls
    };
    // Rights come resource by resource: what can be joined is at the end.
    match missing.last_mut().filter(same) {
        Some(rule) => {
            for verb in right.verbs {
                if !rule.verbs.contains(&verb) {
                    rule.verbs.push(verb);
                }
            }
        }
        None => missing.push(right),
    }
}

/// A rule in the words of a refusal: `create,patch manifestworks.work.open-cluster-management.io`,
/// with its names behind.
#[must_use]
pub fn describe(rule: &PolicyRule) -> String {
    let list = |words: &[String]| words.join(",");
    let verbs = list(&rule.verbs);
    if let Some(urls) = &rule.non_resource_urls {
        return format!("{verbs} {}", list(urls));
    }
    let resources = list(rule.resources.as_deref().unwrap_or_default());
    let group = list(rule.api_groups.as_deref().unwrap_or_default());
    let what = if group.is_empty() {
        resources
    } else {
        format!("{resources}.{group}")
    };
    match rule.resource_names.as_deref() {
        None | Some([]) => format!("{verbs} {what}"),
        Some([name]) => format!("{verbs} {what} {name:?}"),
        Some(names) if names.len() <= 3 => format!("{verbs} {what} {names:?}"),
        Some(names) => format!("{verbs} {what} {:?} and {} more", names[0], names.len() - 1),
    }
}
