//! Admission of clusters: set label, taint times, addresses, and who must agree.

use super::{CLUSTER_SET_LABEL, DEFAULT_CLUSTER_SET, ManagedCluster, Taint};
use crate::decode::{FieldError, LABEL_RULE, Problem, excerpt, is_label};
use crate::kind::admission::{AdmissionRules, Admitted, Review, none_or};
use crate::resource::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Checks a new or changed cluster and sets its default set and the times of its taints.
pub(crate) fn admit(
    mut new: ManagedCluster,
    old: Option<&ManagedCluster>,
    rules: &AdmissionRules,
) -> Result<Admitted, Vec<FieldError>> {
    if rules.default_cluster_set {
        set_default_cluster_set(&mut new);
    }
    let mut errors = Vec::from_iter(check_name(&new));
    errors.extend(check_client_configs(&new));
    errors.extend(set_taint_times(&mut new, old, rules));
    none_or(errors)?;

    let name = new.metadata.name.clone().unwrap_or_default();
    let was_accepted = old.is_some_and(|old| old.spec.hub_accepts_client);
    let accepting = new.spec.hub_accepts_client && !was_accepted;
    let mut reviews = Vec::new();
    if accepting {
        reviews.push(Review {
            group: "register.open-cluster-management.io".to_owned(),
            resource: "managedclusters".to_owned(),
            subresource: "accept".to_owned(),
            verb: "update".to_owned(),
            namespace: String::new(),
            name: name.clone(),
        });
    }
    let (before, after) = (old.map_or("", cluster_set), cluster_set(&new));
    if before != after {
        let sets = [before, after].into_iter().filter(|set| !set.is_empty());
        reviews.extend(sets.map(join_review));
    }
    Ok(Admitted {
        live_namespace: accepting.then_some(name),
        resource: Resource::from(new),
        reviews,
    })
}

fn cluster_set(cluster: &ManagedCluster) -> &str {
    let labels = cluster.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(CLUSTER_SET_LABEL))
        .map_or("", String::as_str)
}

fn set_default_cluster_set(cluster: &mut ManagedCluster) {
    if cluster_set(cluster).is_empty() {
        let labels = cluster.metadata.labels.get_or_insert_default();
        labels.insert(CLUSTER_SET_LABEL.to_owned(), DEFAULT_CLUSTER_SET.to_owned());
    }
}

fn join_review(set: &str) -> Review {
    Review {
        group: "cluster.open-cluster-management.io".to_owned(),
        resource: "managedclustersets".to_owned(),
        subresource: "join".to_owned(),
        verb: "create".to_owned(),
        namespace: String::new(),
        name: set.to_owned(),
    }
}

/// The name is a namespace, a subject token and a label value, so it is always checked; OCM
/// checks it only beside client configs.
fn check_name(cluster: &ManagedCluster) -> Option<FieldError> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    (!is_label(name)).then(|| FieldError::invalid("metadata.name", name, LABEL_RULE))
}

fn check_client_configs(cluster: &ManagedCluster) -> Vec<FieldError> {
    let configs = cluster
        .spec
        .managed_cluster_client_configs
        .iter()
        .enumerate();
    configs
        .filter(|(_, config)| !is_https_url(&config.url))
        .map(|(index, config)| {
            let path = format!("spec.managedClusterClientConfigs[{index}].url");
            FieldError::invalid(path, &config.url, "an https URL with a host")
        })
        .collect()
}

/// True for `https://host`, with an optional port up to 65535, path and query. User names,
/// passwords and fragments have no place in the address of an API server.
fn is_https_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
            _ => return false,
        },
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            if !host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            {
                return false;
            }
            (host, port)
        }
    };
    let port_fits = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    };
    scheme.eq_ignore_ascii_case("https")
        && !host.is_empty()
        && port_fits
        && !url.contains('#')
        && !url.chars().any(|c| c.is_control() || c == ' ')
        && url.split('%').skip(1).all(starts_with_two_hex_digits)
}

fn starts_with_two_hex_digits(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|b| b.is_ascii_hexdigit())
}

/// Sets when each taint was added: now for a new or changed one, as before for one that stays.
///
/// The key alone identifies a taint. A client may not say the time, except to repeat it.
fn set_taint_times(
    cluster: &mut ManagedCluster,
    old: Option<&ManagedCluster>,
    rules: &AdmissionRules,
) -> Vec<FieldError> {
    let stored = old.map(|old| {
        let mut by_key = BTreeMap::new();
        for taint in &old.spec.taints {
            by_key.entry(taint.key.as_str()).or_insert(taint);
        }
        by_key
    });
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, taint) in cluster.spec.taints.iter_mut().enumerate() {
        if !seen.insert(taint.key.clone()) {
            let problem = Problem::Duplicate {
                value: excerpt(&taint.key),
            };
            errors.push(FieldError::new(
                format!("spec.taints[{index}].key"),
                problem,
            ));
        }
        let fits = match &stored {
            None => {
                taint.time_added = Some(Time(rules.now));
                true
            }
            Some(stored) => set_taint_time(taint, stored.get(taint.key.as_str()).copied(), rules),
        };
        if !fits {
            let rule = "the hub sets when a taint was added".to_owned();
            let path = format!("spec.taints[{index}].timeAdded");
            let error = FieldError::new(path, Problem::Forbidden { rule });
            errors.push(error.with_hint("leave timeAdded out"));
        }
    }
    errors
}

/// Sets the time of one taint of an update; false if the client said another time.
fn set_taint_time(taint: &mut Taint, stored: Option<&Taint>, rules: &AdmissionRules) -> bool {
    let stays = stored.filter(|old| old.value == taint.value && old.effect == taint.effect);
    match (&taint.time_added, stays) {
        (None, Some(stays)) => taint.time_added = stays.time_added.clone(),
        (None, None) => taint.time_added = Some(Time(rules.now)),
        (Some(time), Some(stays)) if stays.time_added.as_ref() == Some(time) => {}
        (Some(_), _) => return false,
    }
    true
}

#[cfg(test)]
mod tests;
