//! How far a work is, is told as OCM tells it where a rule makes `Progressing`, and by readiness
//! where none does.
//!
//! Conditions are written `Type=Status/generation@hour`; the work's generation is 3.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Deserialize;
use serde_json::json;
use skein_hub_core::rollout::status::{ChildWork, Progress, of_work};
use skein_schema::kind::manifest_work::ManifestWorkSpec;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    #[serde(default)]
    rule: String,
    conditions: String,
    /// `readiness`, or nothing for a rule.
    #[serde(default)]
    by: String,
    /// Hour at which the work was sent.
    sent: Option<i64>,
    expect: String,
}

fn hour(hour: i64) -> Timestamp {
    let day: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    day + SignedDuration::from_hours(hour)
}

fn condition(text: &str) -> Condition {
    let (kind, rest) = text.split_once('=').unwrap();
    let (status, rest) = rest.split_once('/').unwrap();
    let (generation, at) = rest.split_once('@').unwrap();
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: "Because".to_owned(),
        message: String::new(),
        observed_generation: Some(generation.parse().unwrap()),
        last_transition_time: Time(hour(at.parse().unwrap())),
    }
}

fn answer(case: &Case) -> String {
    let conditions: Vec<_> = case.conditions.split_whitespace().map(condition).collect();
    let state = of_work(&ChildWork {
        generation: 3,
        conditions: &conditions,
        progress: match case.by.as_str() {
            "" => Progress::ByRule,
            "readiness" => Progress::ByReadiness,
            other => panic!("{}: {other}", case.id),
        },
        sent: case.sent.map(hour),
    });
    let at = |time: Timestamp| format!("@{:02}", time.duration_since(hour(0)).as_hours());
    format!("{:?}", state.status) + &state.last_transition.map(at).unwrap_or_default()
}

fn check(lines: &str) -> Vec<Case> {
    let cases: Vec<Case> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for case in &cases {
        assert_eq!(answer(case), case.expect, "{}: {}", case.id, case.rule);
    }
    cases
}

#[test]
fn states_by_rule_agree_with_ocm() {
    let cases = check(include_str!("vectors/rollout_status.jsonl"));
    assert_eq!(cases.len(), 116);
    let statuses: BTreeSet<_> = cases
        .iter()
        .map(|case| case.expect.split('@').next().unwrap())
        .collect();
    let all = ["Failed", "Progressing", "Succeeded", "ToApply"];
    assert!(statuses.into_iter().eq(all));
}

#[test]
fn our_own_cases_hold() {
    let cases = check(include_str!("vectors/rollout_status_own.jsonl"));
    let document = include_str!("../../../docs/ocm-differences.md");
    for difference in [
        "A work without a rule for `Progressing` comes to an end",
        "Deadlines and soak times count from the present content",
    ] {
        assert!(
            document.contains(&format!("### {difference}\n")),
            "{difference}"
        );
        assert!(
            cases.iter().any(|case| case.rule == difference),
            "{difference}"
        );
    }
}

#[test]
fn a_rule_for_progressing_anywhere_in_the_work_counts() {
    let spec = |condition: &str| -> ManifestWorkSpec {
        let rule = json!({"condition": condition, "type": "CEL", "celExpressions": ["true"]});
        let identifier = json!({"resource": "deployments", "name": "a"});
        let config = json!({"resourceIdentifier": identifier, "conditionRules": [rule]});
        serde_json::from_value(json!({"manifestConfigs": [config]})).unwrap()
    };
    assert_eq!(Progress::of(&spec("Progressing")), Progress::ByRule);
    assert_eq!(Progress::of(&spec("Ready")), Progress::ByReadiness);
    assert_eq!(
        Progress::of(&ManifestWorkSpec::default()),
        Progress::ByReadiness
    );
}
