//! `Progressing` and `Degraded` from built-in readiness, where no rule of the work gives them.

use super::make;
use super::observe::ruled;
use crate::readiness::{self, Readiness};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Map, Value};
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::{
    CONDITION_DEGRADED, CONDITION_PROGRESSING, ManifestCondition,
};

const REASON_READY: &str = "ResourceReady";
const REASON_PROGRESSING: &str = "ResourceProgressing";
const REASON_DEGRADED: &str = "ResourceDegraded";
const MESSAGE_READY: &str = "Resource is ready";

/// The two conditions of one object; none for a kind of which nothing is known, nor of a type that
/// a rule has made.
pub(super) fn of_manifest(
    object: &Map<String, Value>,
    existing: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let (progressing, degraded, reason, message) = match readiness::of(object) {
        Readiness::Unjudged => return Vec::new(),
        Readiness::Ready => ("False", "False", REASON_READY, MESSAGE_READY.to_owned()),
        Readiness::Progressing(what) => ("True", "False", REASON_PROGRESSING, what),
        Readiness::Degraded(why) => ("False", "True", REASON_DEGRADED, why),
    };
    [
        (CONDITION_PROGRESSING, progressing),
        (CONDITION_DEGRADED, degraded),
    ]
    .into_iter()
    .filter(|(kind, _)| !ruled(existing, kind))
    .map(|(kind, status)| {
        make(
            kind,
            status,
            reason,
            message.as_str(),
            Some(generation),
            now,
        )
    })
    .collect()
}

/// The two conditions of the work: true if any object says so. Where a rule has made one of that
/// type anywhere, the rules alone count, as in OCM.
pub(super) fn of_work(
    manifests: &[ManifestCondition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    [CONDITION_PROGRESSING, CONDITION_DEGRADED]
        .into_iter()
        .filter(|kind| {
            !manifests
                .iter()
                .any(|manifest| ruled(&manifest.conditions, kind))
        })
        .filter_map(|kind| sum_up(kind, manifests, generation, now))
        .collect()
}

fn sum_up(
    kind: &str,
    manifests: &[ManifestCondition],
    generation: i64,
    now: Timestamp,
) -> Option<Condition> {
    let judged: Vec<(&ManifestCondition, &Condition)> = manifests
        .iter()
        .filter_map(|manifest| Some((manifest, condition::find(&manifest.conditions, kind)?)))
        .filter(|(_, condition)| built_in(condition))
        .collect();
    if judged.is_empty() {
        return None;
    }
    let yes: Vec<_> = judged
        .iter()
        .filter(|(_, condition)| condition.status == "True")
        .collect();
    let (status, reason, message) = match yes.as_slice() {
        [] => (
            "False",
            REASON_READY,
            format!("none of {} judged resources", judged.len()),
        ),
        [(manifest, single)] => {
            let meta = &manifest.resource_meta;
            (
                "True",
                single.reason.as_str(),
                format!("{} {}: {}", meta.kind, meta.name, single.message),
            )
        }
        [(_, first), ..] => (
            "True",
            first.reason.as_str(),
            format!("{} of {} judged resources", yes.len(), judged.len()),
        ),
    };
    Some(make(kind, status, reason, message, Some(generation), now))
}

/// Drops conditions of built-in readiness that are not among the fresh ones.
pub(super) fn forget(conditions: &mut Vec<Condition>, fresh: &[Condition]) {
    conditions.retain(|old| !built_in(old) || condition::find(fresh, &old.type_).is_some());
}

fn built_in(condition: &Condition) -> bool {
    let kinds = [CONDITION_PROGRESSING, CONDITION_DEGRADED];
    let reasons = [REASON_READY, REASON_PROGRESSING, REASON_DEGRADED];
    kinds.contains(&condition.type_.as_str()) && reasons.contains(&condition.reason.as_str())
}
