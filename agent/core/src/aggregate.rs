//! From what became of the manifests to the conditions of the work.
//!
//! Two passes, as OCM has two controllers: [`after_apply`] writes what applying gave, and
//! [`after_observe`] what the objects say now. Both keep `lastTransitionTime` while a status stays
//! what it was, and both change nothing when they are run again on the same facts.

mod observe;
mod readiness;

pub use observe::{Observation, ObserveOptions, after_observe};

use crate::outcome::{ManifestOutcome, ManifestResult};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::{
    CONDITION_APPLIED, CONDITION_AVAILABLE, CONDITION_PROGRESSING,
    CONDITION_STATUS_FEEDBACK_SYNCED, ManifestCondition, ManifestResourceMeta, ManifestWorkStatus,
};
use std::collections::BTreeMap;

/// Every reason of a condition that a rule made starts like this; so it is known for one later.
pub const RULE_REASON_PREFIX: &str = "ConditionRule";
/// Reason of a work's condition that sums up conditions made by rules.
pub const REASON_AGGREGATED: &str = "ConditionRulesAggregated";

/// Builds a condition.
pub(crate) fn make(
    kind: &str,
    status: &str,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: Time(now),
    }
}

/// Writes the `Applied` conditions of the manifests and of the work. Entries of manifests that the
/// work no longer has go; an entry is taken over by object, also when the manifest has moved to
/// another place in the work. A condition about another generation is not taken over: its
/// `lastTransitionTime` starts anew (OCM).
#[must_use]
pub fn after_apply(
    previous: &ManifestWorkStatus,
    generation: i64,
    outcomes: &[ManifestOutcome],
    now: Timestamp,
) -> ManifestWorkStatus {
    let fresh: Vec<ManifestCondition> = outcomes
        .iter()
        .map(|outcome| ManifestCondition {
            resource_meta: outcome.resource.clone(),
            conditions: vec![applied(&outcome.result, generation, now)],
            ..ManifestCondition::default()
        })
        .collect();
    let mut conditions = previous.conditions.clone();
    if !fresh.is_empty() {
        let failed = outcomes
            .iter()
            .any(|o| matches!(o.result, ManifestResult::Failed(_)));
        let (status, reason, message) = if failed {
            (
                "False",
                "AppliedManifestWorkFailed",
                "Failed to apply manifest work",
            )
        } else {
            (
                "True",
                "AppliedManifestWorkComplete",
                "Apply manifest work complete",
            )
        };
        let work = make(
            CONDITION_APPLIED,
            status,
            reason,
            message,
            Some(generation),
            now,
        );
        condition::set(&mut conditions, work);
    }
    let mut status = previous.clone();
    status.conditions = conditions;
    status.resource_status.manifests = merge(&previous.resource_status.manifests, fresh);
    status
}

fn applied(result: &ManifestResult, generation: i64, now: Timestamp) -> Condition {
    let (status, reason, message) = match result {
        ManifestResult::Failed(error) => (
            "False",
            "AppliedManifestFailed",
            format!("Failed to apply manifest: {error}"),
        ),
        _ => (
            "True",
            "AppliedManifestComplete",
            "Apply manifest complete".to_owned(),
        ),
    };
    make(
        CONDITION_APPLIED,
        status,
        reason,
        message,
        Some(generation),
        now,
    )
}

/// Puts fresh conditions onto the old entries of the same objects.
fn merge(old: &[ManifestCondition], fresh: Vec<ManifestCondition>) -> Vec<ManifestCondition> {
    let without_ordinal = |meta: &ManifestResourceMeta| {
        let mut meta = meta.clone();
        meta.ordinal = 0;
        meta
    };
    let mut exact = BTreeMap::new();
    let mut anywhere: BTreeMap<ManifestResourceMeta, Option<&ManifestCondition>> = BTreeMap::new();
    for entry in old {
        exact.insert(&entry.resource_meta, entry);
        let key = without_ordinal(&entry.resource_meta);
        if key != ManifestResourceMeta::default() {
            // An object that stands there twice cannot be told apart without its ordinal.
            anywhere
                .entry(key)
                .and_modify(|unique| *unique = None)
                .or_insert(Some(entry));
        }
    }
    let find = |meta: &ManifestResourceMeta| {
        let moved = || anywhere.get(&without_ordinal(meta)).copied().flatten();
        exact.get(meta).copied().or_else(moved)
    };
    let entry = |mut entry: ManifestCondition| {
        if let Some(old) = find(&entry.resource_meta) {
            let mut conditions = old.conditions.clone();
            for condition in std::mem::take(&mut entry.conditions) {
                let other = |c: &Condition| {
                    c.type_ != condition.type_
                        || c.observed_generation.unwrap_or(0)
                            == condition.observed_generation.unwrap_or(0)
                };
                conditions.retain(other);
                condition::set(&mut conditions, condition);
            }
            entry.conditions = conditions;
            entry.status_feedback = old.status_feedback.clone();
        }
        entry
    };
    fresh.into_iter().map(entry).collect()
}

/// The conditions of a work that sum up those of its manifests: `Available` first, then those that
/// rules made, by type. `Applied` and `StatusFeedbackSynced` are the agent's own and never summed
/// up from rules.
#[must_use]
pub fn work_conditions(
    generation: i64,
    manifests: &[ManifestCondition],
    now: Timestamp,
) -> Vec<Condition> {
    let mut by_type: BTreeMap<&str, Vec<&Condition>> = BTreeMap::new();
    for condition in manifests.iter().flat_map(|manifest| &manifest.conditions) {
        let own = [
            CONDITION_AVAILABLE,
            CONDITION_APPLIED,
            CONDITION_STATUS_FEEDBACK_SYNCED,
        ];
        if made_by_rule(condition) && !own.contains(&condition.type_.as_str()) {
            by_type.entry(&condition.type_).or_default().push(condition);
        }
    }
    let mut conditions = vec![available(generation, manifests, now)];
    conditions.extend(by_type.into_iter().filter_map(|(kind, votes)| {
        let status = aggregate(kind, &votes)?;
        let message = match votes.as_slice() {
            [single] if !single.message.is_empty() => single.message.clone(),
            _ => format!("Aggregated from {} manifest conditions", votes.len()),
        };
        Some(make(
            kind,
            status,
            REASON_AGGREGATED,
            message,
            Some(generation),
            now,
        ))
    }));
    conditions
}

/// `Progressing` is true if it is anywhere; every other type only if it is everywhere.
fn aggregate(kind: &str, votes: &[&Condition]) -> Option<&'static str> {
    let order = if kind == CONDITION_PROGRESSING {
        ["True", "Unknown", "False"]
    } else {
        ["False", "Unknown", "True"]
    };
    order
        .into_iter()
        .find(|status| votes.iter().any(|vote| vote.status == *status))
}

fn available(generation: i64, manifests: &[ManifestCondition], now: Timestamp) -> Condition {
    let count = |status: &str| {
        let conditions = manifests.iter().flat_map(|manifest| &manifest.conditions);
        conditions
            .filter(|c| c.type_ == CONDITION_AVAILABLE && c.status == status)
            .count()
    };
    let total = manifests.len();
    let (missing, unknown, there) = (count("False"), count("Unknown"), count("True"));
    let (status, reason, message) = if missing > 0 {
        let message = format!("{missing} of {total} resources are not available");
        ("False", "ResourcesNotAvailable", message)
    } else if unknown > 0 {
        let message = format!("{unknown} of {total} resources have unknown status");
        ("Unknown", "ResourcesStatusUnknown", message)
    } else if there > 0 {
        (
            "True",
            "ResourcesAvailable",
            "All resources are available".to_owned(),
        )
    } else {
        let message = "cannot get any available resource ".to_owned();
        ("Unknown", "ResourcesStatusUnknown", message)
    };
    make(
        CONDITION_AVAILABLE,
        status,
        reason,
        message,
        Some(generation),
        now,
    )
}

pub(crate) fn made_by_rule(condition: &Condition) -> bool {
    condition.reason.starts_with(RULE_REASON_PREFIX)
}

/// Drops what a rule said about another generation: the rule may be gone.
fn prune(conditions: &mut Vec<Condition>, generation: i64) {
    conditions.retain(|c| !made_by_rule(c) || c.observed_generation == Some(generation));
}

#[cfg(test)]
mod tests;
