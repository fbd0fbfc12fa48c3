//! From manifests to works.

use crate::{CHECKED, Case, check, read, same};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Map, Value, json};
use skein_agent_core::aggregate::{self, Observation, ObserveOptions};
use skein_agent_core::feedback::FeedbackOptions;
use skein_agent_core::outcome::{ApplyError, ManifestOutcome, ManifestResult};
use skein_schema::kind::manifest_work::{
    ManifestCondition, ManifestConfigOption, ManifestResourceMeta, ManifestWorkStatus,
};
use std::collections::BTreeMap;

/// Stands for `now` of the cases: no other time in them is like it.
const NOW: &str = "2031-05-06T07:08:09Z";

/// Unknown types of rules.
const DIFFERENCES: &[(&str, &[&str])] = &[(
    CHECKED,
    &[
        "aggregate-status-0204",
        "aggregate-status-0216",
        "aggregate-status-0218",
        "aggregate-status-0221",
        "aggregate-status-0230",
        "aggregate-status-0236",
        "aggregate-status-0269",
    ],
)];

#[test]
fn aggregation() {
    check("aggregate.jsonl", DIFFERENCES, |case| {
        if case.has("aggregate") {
            sums(case)
        } else if case.has("status-pass") {
            status_pass(case)
        } else {
            applied(case)
        }
    });
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Conditions as the cases have them: transition `now` where we wrote it, sorted by type.
fn plain(conditions: &[Condition], with_message: bool) -> Vec<Value> {
    let mut plain: Vec<Value> = conditions
        .iter()
        .map(|c| {
            let time = json!(c.last_transition_time);
            let time = if time == json!(NOW) { json!("now") } else { time };
            let mut value = json!({
                "type": c.type_, "status": c.status, "reason": c.reason,
                "observedGeneration": c.observed_generation.unwrap_or(0), "lastTransitionTime": time,
            });
            if with_message {
                value["message"] = json!(c.message);
            }
            value
        })
        .collect();
    sort(&mut plain);
    plain
}

fn expected(conditions: &Value, keep: &[&str], without_message: bool) -> Vec<Value> {
    let mut list: Vec<Value> = conditions.as_array().cloned().unwrap_or_default();
    for condition in &mut list {
        let condition = condition.as_object_mut().unwrap();
        condition.entry("observedGeneration").or_insert(json!(0));
        condition.retain(|key, _| {
            keep.contains(&key.as_str()) && !(without_message && key == "message")
        });
    }
    sort(&mut list);
    list
}

const ALL: &[&str] = &[
    "type",
    "status",
    "reason",
    "message",
    "observedGeneration",
    "lastTransitionTime",
];

fn sort(conditions: &mut [Value]) {
    conditions.sort_by_key(|c| c["type"].as_str().unwrap_or_default().to_owned());
}

/// Conditions without a time get one: the typed form needs it.
fn complete(conditions: &mut Value) {
    for condition in conditions.as_array_mut().into_iter().flatten() {
        let condition = condition.as_object_mut().unwrap();
        condition
            .entry("lastTransitionTime")
            .or_insert(json!("2020-01-01T00:00:00Z"));
        condition.entry("message").or_insert(json!(""));
    }
}

fn status_of(work: &Value) -> ManifestWorkStatus {
    let mut status = work["status"].clone();
    if status.is_null() {
        return ManifestWorkStatus::default();
    }
    complete(&mut status["conditions"]);
    if let Some(manifests) = status["resourceStatus"]["manifests"].as_array_mut() {
        for manifest in manifests {
            complete(&mut manifest["conditions"]);
            strip_nulls(manifest);
        }
    }
    strip_nulls(&mut status["resourceStatus"]);
    strip_nulls(&mut status);
    serde_json::from_value(status.clone()).unwrap_or_else(|error| panic!("{error}: {status}"))
}

fn strip_nulls(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, member| !member.is_null());
    }
}

fn sums(case: &Case) -> Result<(), String> {
    let mut manifests = Vec::new();
    for manifest in case.input["manifests"].as_array().into_iter().flatten() {
        let mut conditions = manifest["conditions"].clone();
        complete(&mut conditions);
        let conditions: Vec<Condition> = read(&conditions).unwrap_or_default();
        manifests.push(ManifestCondition {
            conditions,
            ..ManifestCondition::default()
        });
    }
    let generation = case.input["generation"].as_i64().unwrap();
    let ours = aggregate::work_conditions(generation, &manifests, now());
    let mut ocm = expected(&case.output["workConditions"], ALL, false);
    // See "The agent's own conditions are not made by rules" in docs/ocm-differences.md.
    ocm.retain(|c| c["type"] != "Applied");
    for condition in &mut ocm {
        condition["lastTransitionTime"] = json!("now");
    }
    same("conditions", &plain(&ours, true), &ocm)
}

fn manifests_agree(ours: &ManifestWorkStatus, ocm: &Value, messages: bool) -> Result<(), String> {
    let ocm = ocm.as_array().cloned().unwrap_or_default();
    same(
        "number of manifests",
        &ours.resource_status.manifests.len(),
        &ocm.len(),
    )?;
    for (ours, ocm) in ours.resource_status.manifests.iter().zip(&ocm) {
        same("meta", &json!(ours.resource_meta), &ocm["resourceMeta"])?;
        same(
            "feedback",
            &json!(ours.status_feedback),
            &ocm["statusFeedback"],
        )?;
        let ocm = expected(&ocm["conditions"], ALL, !messages);
        same(
            "manifest conditions",
            &plain(&ours.conditions, messages),
            &ocm,
        )?;
    }
    Ok(())
}

fn status_pass(case: &Case) -> Result<(), String> {
    let work = &case.input["work"];
    let previous = status_of(work);
    let generation = work["metadata"]["generation"].as_i64().unwrap_or(0);
    let configs = configs(work)?;
    let objects = case.input["spokeObjects"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut seen = BTreeMap::new();
    for entry in &previous.resource_status.manifests {
        let meta = &entry.resource_meta;
        let object = objects.iter().find(|o| {
            o["resource"] == meta.resource.as_str()
                && o["name"] == meta.name.as_str()
                && o["namespace"] == meta.namespace.as_str()
        });
        let observation = match object {
            Some(o) if o["object"].is_object() => {
                Observation::Present(o["object"].as_object().unwrap())
            }
            Some(o) if o["error"].is_string() && o["error"] != "NotFound" => {
                Observation::Failed(o["error"].as_str().unwrap().to_owned())
            }
            _ => Observation::Missing,
        };
        seen.insert(meta.ordinal, observation);
    }
    // Works here have no finalizer: the hub keeps them until their removal was reported.
    let finalized = work["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|f| !f.is_empty());
    let options = ObserveOptions {
        feedback: FeedbackOptions::default(),
        readiness: false,
    };
    let pass = |status: &ManifestWorkStatus| {
        aggregate::after_observe(status, generation, &configs, &seen, options, now())
    };
    let ours = if finalized {
        pass(&previous)
    } else {
        previous.clone()
    };
    same(
        "written",
        &json!(ours != previous),
        &case.output["statusWritten"],
    )?;
    same(
        "second pass changes something",
        &(finalized && pass(&ours) != ours),
        &false,
    )?;
    manifests_agree(&ours, &case.output["manifests"], false)?;
    let ocm = expected(&case.output["workConditions"], ALL, true);
    same("work conditions", &plain(&ours.conditions, false), &ocm)
}

fn configs(work: &Value) -> Result<Vec<ManifestConfigOption>, String> {
    let mut configs = work["spec"]["manifestConfigs"].clone();
    for config in configs.as_array_mut().into_iter().flatten() {
        for rule in config["conditionRules"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            strip_nulls(rule);
        }
        strip_nulls(config);
    }
    if configs.is_null() {
        return Ok(Vec::new());
    }
    read(&configs).ok_or_else(|| "the configs cannot be read".to_owned())
}

fn applied(case: &Case) -> Result<(), String> {
    let work = &case.input["work"];
    let previous = status_of(work);
    let generation = work["metadata"]["generation"].as_i64().unwrap_or(0);
    let manifests = work["spec"]["workload"]["manifests"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let outcome = |index: usize| {
        let outcomes = case.input["applyOutcomes"].as_array().unwrap();
        let found = outcomes
            .iter()
            .find(|o| o["index"] == json!(index))
            .unwrap();
        found["outcome"].as_str().unwrap().to_owned()
    };
    let outcomes: Vec<ManifestOutcome> = manifests
        .iter()
        .enumerate()
        .map(|(index, manifest)| {
            made(
                index,
                manifest.as_object().unwrap(),
                &outcome(index),
                &previous,
            )
        })
        .collect();
    let ours = aggregate::after_apply(&previous, generation, &outcomes, now());
    let again = aggregate::after_apply(&ours, generation, &outcomes, now());
    same("second pass", &again, &ours)?;
    manifests_agree(&ours, &case.output["manifests"], false)?;
    let ocm = expected(&case.output["workConditions"], ALL, true);
    same("work conditions", &plain(&ours.conditions, false), &ocm)
}

fn made(
    index: usize,
    manifest: &Map<String, Value>,
    outcome: &str,
    previous: &ManifestWorkStatus,
) -> ManifestOutcome {
    let text = |pointer: &str| {
        let value = Value::Object(manifest.clone());
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut resource = ManifestResourceMeta {
        ordinal: i32::try_from(index).unwrap(),
        version: text("/apiVersion"),
        kind: text("/kind"),
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        ..ManifestResourceMeta::default()
    };
    let failed = |error: ApplyError| ManifestResult::Failed(error);
    let result = match outcome {
        "undecodable" => {
            resource = ManifestResourceMeta {
                ordinal: resource.ordinal,
                ..ManifestResourceMeta::default()
            };
            failed(ApplyError::Undecodable("Object 'Kind' is missing".into()))
        }
        "unknown-kind" => failed(ApplyError::UnknownKind(resource.kind.clone())),
        other => {
            resource.resource = format!("{}s", resource.kind.to_lowercase());
            let entries = &previous.resource_status.manifests;
            let complete = entries.iter().any(|entry| {
                entry.resource_meta.name == resource.name
                    && entry.resource_meta.resource == resource.resource
                    && entry
                        .conditions
                        .iter()
                        .any(|c| c.type_ == "Complete" && c.status == "True")
            });
            match other {
                _ if complete => ManifestResult::Complete,
                "ok" => ManifestResult::ReadOnly,
                "denied" => failed(ApplyError::Denied(String::new())),
                other => failed(ApplyError::Failed(other.to_owned())),
            }
        }
    };
    ManifestOutcome { resource, result }
}
