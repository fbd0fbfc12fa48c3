//! The taints that the hub sets by a cluster's availability.
//!
//! A cluster that is not heard of is `unreachable`, one whose API server does not answer is
//! `unavailable`; one that is available is neither. While a cluster is being deleted nothing is
//! touched.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use skein_schema::kind::condition;
use skein_schema::kind::managed_cluster::{
    CONDITION_AVAILABLE, ManagedCluster, TAINT_UNAVAILABLE, TAINT_UNREACHABLE, Taint, TaintEffect,
};

/// The taints a cluster should have by its availability; `None` if it has them.
///
/// The key identifies a taint: one that somebody set with a key of the hub's is replaced while
/// the hub needs the key, and otherwise left alone. New taints get `now` as their time.
#[must_use]
pub fn taints_by_availability(cluster: &ManagedCluster, now: Timestamp) -> Option<Vec<Taint>> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let conditions = cluster
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let wanted = match condition::status(conditions, CONDITION_AVAILABLE) {
        None | Some("Unknown") => Some(TAINT_UNREACHABLE),
        Some("False") => Some(TAINT_UNAVAILABLE),
        Some("True") => None,
        Some(_) => return None,
    };

    let before = &cluster.spec.taints;
    let mut standing = wanted.map(|key| {
        let own = before
            .iter()
            .find(|taint| taint.key == key && is_ours(taint));
        own.cloned().unwrap_or_else(|| ours(key, now))
    });
    let mut after = Vec::with_capacity(before.len() + 1);
    for taint in before {
        if Some(taint.key.as_str()) == wanted {
            after.extend(standing.take());
        } else if !is_ours(taint) {
            after.push(taint.clone());
        }
    }
    after.extend(standing);
    (after != *before).then_some(after)
}

fn ours(key: &str, now: Timestamp) -> Taint {
    Taint {
        key: key.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSelect,
        time_added: Some(Time(now)),
    }
}

/// True for a taint just as the hub sets it.
fn is_ours(taint: &Taint) -> bool {
    [TAINT_UNREACHABLE, TAINT_UNAVAILABLE].contains(&taint.key.as_str())
        && taint.value.is_empty()
        && taint.effect == TaintEffect::NoSelect
}
