//! What the objects of a work say now.

use super::{made_by_rule, make, prune, readiness, work_conditions};
use crate::condition_rules::{self, MAX_STEPS_OF_WORK};
use crate::feedback::{self, FeedbackError, FeedbackOptions};
use crate::manifest_config;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Map, Value};
use skein_cel::Budget;
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::{
    CONDITION_APPLIED, CONDITION_AVAILABLE, CONDITION_STATUS_FEEDBACK_SYNCED, FeedbackValue,
    ManifestCondition, ManifestConfigOption, ManifestWorkStatus,
};
use std::collections::BTreeMap;

/// Longest message of a condition that Kubernetes takes, in characters.
const MAX_MESSAGE: usize = 32_768;

/// An object as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation<'a> {
    /// It is there.
    Present(&'a Map<String, Value>),
    /// It is not there.
    Missing,
    /// It could not be read, and this is why.
    Failed(String),
}

/// How the objects are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObserveOptions {
    /// How feedback is read.
    pub feedback: FeedbackOptions,
    /// Add `Progressing` and `Degraded` from built-in readiness where no rule gives them. OCM has
    /// no such thing.
    pub readiness: bool,
}

impl Default for ObserveOptions {
    fn default() -> Self {
        Self {
            feedback: FeedbackOptions::default(),
            readiness: true,
        }
    }
}

/// Writes what the objects say into the status: availability, feedback and the conditions of
/// rules, for each manifest and for the work. `seen` has the objects by ordinal; one that is not
/// in it counts as not read yet, and its entry stays as it is. Does nothing before the work has an
/// `Applied` condition.
#[must_use]
pub fn after_observe(
    previous: &ManifestWorkStatus,
    generation: i64,
    configs: &[ManifestConfigOption],
    seen: &BTreeMap<i32, Observation<'_>>,
    options: ObserveOptions,
    now: Timestamp,
) -> ManifestWorkStatus {
    let mut status = previous.clone();
    if condition::find(&status.conditions, CONDITION_APPLIED).is_none() {
        return status;
    }
    let mut budget = Budget::new(MAX_STEPS_OF_WORK);
    let manifests = &mut status.resource_status.manifests;
    for entry in manifests.iter_mut() {
        let meta = &entry.resource_meta;
        let incomplete =
            meta.resource.is_empty() || meta.version.is_empty() || meta.name.is_empty();
        match seen.get(&meta.ordinal) {
            _ if incomplete => {
                let (reason, message) = ("IncompleteResourceMeta", "Resource meta is incompleted");
                unread(entry, "Unknown", reason, message, generation, now);
            }
            None => {}
            Some(Observation::Missing) => {
                let (reason, message) = ("ResourceNotAvailable", "Resource is not available");
                unread(entry, "False", reason, message, generation, now);
            }
            Some(Observation::Failed(error)) => {
                let message = format!("Failed to fetch resource: {error}");
                unread(
                    entry,
                    "Unknown",
                    "FetchingResourceFailed",
                    &message,
                    generation,
                    now,
                );
            }
            Some(Observation::Present(object)) => {
                let config = manifest_config::find(meta, configs);
                let made = ruled_conditions(object, config.as_ref(), generation, now, &mut budget);
                present(
                    entry,
                    object,
                    config.as_ref(),
                    made,
                    generation,
                    options,
                    now,
                );
            }
        }
    }
    let manifests = &status.resource_status.manifests;
    let mut fresh = work_conditions(generation, manifests, now);
    fresh.extend(readiness::of_work(manifests, generation, now));
    readiness::forget(&mut status.conditions, &fresh);
    for condition in fresh {
        condition::set(&mut status.conditions, condition);
    }
    prune(&mut status.conditions, generation);
    status
}

/// The object could not be looked at. What rules and readiness said of it before no longer holds.
fn unread(
    entry: &mut ManifestCondition,
    status: &str,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    let available = make(
        CONDITION_AVAILABLE,
        status,
        reason,
        bounded(message),
        None,
        now,
    );
    condition::set(&mut entry.conditions, available);
    prune(&mut entry.conditions, generation);
    readiness::forget(&mut entry.conditions, &[]);
}

/// The conditions that the rules make. The last rule of a type wins, before anything is written: one
/// write per type and pass.
fn ruled_conditions(
    object: &Map<String, Value>,
    config: Option<&ManifestConfigOption>,
    generation: i64,
    now: Timestamp,
    budget: &mut Budget,
) -> Vec<Condition> {
    let rules = config.map_or(&[][..], |config| &config.condition_rules);
    let mut made: Vec<Condition> = Vec::new();
    for rule in condition_rules::evaluate(object, rules, budget) {
        let own = [CONDITION_APPLIED, CONDITION_STATUS_FEEDBACK_SYNCED];
        if !own.contains(&rule.condition.as_str()) {
            let message = bounded(&rule.message);
            let fresh = make(
                &rule.condition,
                rule.status,
                rule.reason,
                message,
                Some(generation),
                now,
            );
            made.retain(|earlier| earlier.type_ != fresh.type_);
            made.push(fresh);
        }
    }
    made
}

fn present(
    entry: &mut ManifestCondition,
    object: &Map<String, Value>,
    config: Option<&ManifestConfigOption>,
    made: Vec<Condition>,
    generation: i64,
    options: ObserveOptions,
    now: Timestamp,
) {
    if condition::find(&made, CONDITION_AVAILABLE).is_none() {
        let (reason, message) = ("ResourceAvailable", "Resource is available");
        let available = make(CONDITION_AVAILABLE, "True", reason, message, None, now);
        condition::set(&mut entry.conditions, available);
    }
    feedback(entry, object, config, options.feedback, now);
    for condition in made {
        condition::set(&mut entry.conditions, condition);
    }
    prune(&mut entry.conditions, generation);
    let judged = if options.readiness {
        readiness::of_manifest(object, &entry.conditions, generation, now)
    } else {
        Vec::new()
    };
    readiness::forget(&mut entry.conditions, &judged);
    for condition in judged {
        condition::set(&mut entry.conditions, condition);
    }
}

fn feedback(
    entry: &mut ManifestCondition,
    object: &Map<String, Value>,
    config: Option<&ManifestConfigOption>,
    options: FeedbackOptions,
    now: Timestamp,
) {
    let rules = config.map_or(&[][..], |config| &config.feedback_rules);
    let (values, synced) = read_feedback(object, rules, options, now);
    if values == entry.status_feedback.values {
        condition::set(&mut entry.conditions, synced);
    } else {
        // New values are a transition, also when the status stays (OCM).
        entry
            .conditions
            .retain(|c| c.type_ != CONDITION_STATUS_FEEDBACK_SYNCED);
        entry.conditions.push(synced);
        entry.status_feedback.values = values;
    }
}

/// Feedback values and the condition that says how reading them went.
pub(super) fn read_feedback(
    object: &Map<String, Value>,
    rules: &[skein_schema::kind::manifest_work::FeedbackRule],
    options: FeedbackOptions,
    now: Timestamp,
) -> (Vec<FeedbackValue>, Condition) {
    let (values, errors) = feedback::read(object, rules, options);
    let (status, reason, message) = if rules.is_empty() {
        ("True", "NoStatusFeedbackSynced", String::new())
    } else if errors.is_empty() {
        ("True", "StatusFeedbackSynced", String::new())
    } else {
        let text = join(&errors);
        (
            "False",
            "StatusFeedbackSyncFailed",
            format!("Sync status feedback failed with error {text}"),
        )
    };
    (
        values,
        make(
            CONDITION_STATUS_FEEDBACK_SYNCED,
            status,
            reason,
            bounded(&message),
            None,
            now,
        ),
    )
}

/// One error as it is, several in brackets, each text once.
fn join(errors: &[FeedbackError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [single] => single.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn bounded(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

/// True if a rule has made a condition of this type.
pub(super) fn ruled(conditions: &[Condition], kind: &str) -> bool {
    condition::find(conditions, kind).is_some_and(made_by_rule)
}
