#![allow(clippy::needless_pass_by_value, reason = "tables of json! values")]

use super::*;
use crate::outcome::ApplyError;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use skein_schema::kind::manifest_work::ManifestConfigOption;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn outcome(ordinal: i32, kind: &str, result: ManifestResult) -> ManifestOutcome {
    let resource = ManifestResourceMeta {
        ordinal,
        group: if kind == "Deployment" {
            "apps".into()
        } else {
            String::new()
        },
        version: "v1".into(),
        kind: kind.into(),
        resource: format!("{}s", kind.to_lowercase()),
        name: format!("o{ordinal}"),
        namespace: "d".into(),
    };
    ManifestOutcome { resource, result }
}

fn written() -> ManifestResult {
    ManifestResult::Applied {
        uid: "u".into(),
        owned: true,
    }
}

fn deployment(available: i64) -> Map<String, Value> {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": available}})
    .as_object()
    .unwrap()
    .clone()
}

fn rules(rules: Value) -> Vec<ManifestConfigOption> {
    serde_json::from_value(
        json!([{"resourceIdentifier": {"group": "apps", "resource": "deployments",
        "name": "*", "namespace": "*"}, "conditionRules": rules}]),
    )
    .unwrap()
}

fn show(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| format!("{}={} {}", c.type_, c.status, c.reason))
        .collect()
}

fn observe(
    status: &ManifestWorkStatus,
    configs: &[ManifestConfigOption],
    object: Observation<'_>,
    second: i64,
) -> ManifestWorkStatus {
    let seen = BTreeMap::from([(0, object)]);
    after_observe(
        status,
        1,
        configs,
        &seen,
        ObserveOptions::default(),
        at(second),
    )
}

fn one_deployment() -> ManifestWorkStatus {
    after_apply(
        &ManifestWorkStatus::default(),
        1,
        &[outcome(0, "Deployment", written())],
        at(1),
    )
}

#[test]
fn readiness_is_told_where_no_rule_does() {
    let (rolling, ready) = (deployment(1), deployment(2));
    let status = observe(&one_deployment(), &[], Observation::Present(&rolling), 2);
    assert_eq!(
        show(&status.conditions),
        [
            "Applied=True AppliedManifestWorkComplete",
            "Available=True ResourcesAvailable",
            "Progressing=True ResourceProgressing",
            "Degraded=False ResourceReady",
        ]
    );
    let progressing = condition::find(&status.conditions, "Progressing").unwrap();
    assert_eq!(
        progressing.message,
        "Deployment o0: 1 of 2 replicas are available"
    );
    let status = observe(&status, &[], Observation::Present(&ready), 3);
    let progressing = condition::find(&status.conditions, "Progressing").unwrap();
    assert_eq!(
        (
            progressing.status.as_str(),
            progressing.last_transition_time.0
        ),
        ("False", at(3))
    );
    let status = observe(&status, &[], Observation::Missing, 4);
    assert_eq!(condition::find(&status.conditions, "Progressing"), None);
    assert_eq!(
        condition::status(&status.conditions, "Available"),
        Some("False")
    );
}

#[test]
fn a_rule_takes_the_place_of_readiness() {
    let rolling = deployment(1);
    let configs =
        rules(json!([{"condition": "Progressing", "type": "CEL", "celExpressions": ["false"]}]));
    let status = observe(
        &one_deployment(),
        &configs,
        Observation::Present(&rolling),
        2,
    );
    let progressing = condition::find(&status.conditions, "Progressing").unwrap();
    assert_eq!(
        (progressing.status.as_str(), progressing.reason.as_str()),
        ("False", REASON_AGGREGATED)
    );
}

#[test]
fn a_rule_named_available_is_written_once() {
    let object = deployment(1);
    let configs = rules(json!([{"condition": "Available", "type": "CEL",
        "celExpressions": ["object.status.availableReplicas == 2"]}]));
    let first = observe(
        &one_deployment(),
        &configs,
        Observation::Present(&object),
        2,
    );
    assert_eq!(
        condition::status(&first.conditions, "Available"),
        Some("False")
    );
    assert_eq!(
        observe(&first, &configs, Observation::Present(&object), 9),
        first
    );
}

#[test]
fn rules_do_not_write_the_agents_own_conditions() {
    let object = deployment(2);
    let configs =
        rules(json!([{"condition": "Applied", "type": "CEL", "celExpressions": ["false"]}]));
    let status = observe(
        &one_deployment(),
        &configs,
        Observation::Present(&object),
        2,
    );
    assert_eq!(
        condition::status(&status.conditions, "Applied"),
        Some("True")
    );
}

#[test]
fn what_a_rule_said_does_not_outlive_its_object() {
    let object = deployment(1);
    let configs =
        rules(json!([{"condition": "Healthy", "type": "CEL", "celExpressions": ["true"]}]));
    let healthy = observe(
        &one_deployment(),
        &configs,
        Observation::Present(&object),
        2,
    );
    let mut edited = healthy.clone();
    let edit = outcome(0, "Deployment", written());
    edited = after_apply(&edited, 2, &[edit], at(3));
    let seen = BTreeMap::from([(0, Observation::Missing)]);
    let gone = after_observe(
        &edited,
        2,
        &configs,
        &seen,
        ObserveOptions::default(),
        at(4),
    );
    assert_eq!(condition::find(&gone.conditions, "Healthy"), None);
}

#[test]
fn nothing_is_said_of_objects_before_the_work_was_applied() {
    let object = deployment(1);
    let status = ManifestWorkStatus::default();
    assert_eq!(
        observe(&status, &[], Observation::Present(&object), 1),
        status
    );
}

fn any_outcomes() -> impl Strategy<Value = Vec<ManifestOutcome>> {
    let result = prop_oneof![
        Just(written()),
        Just(ManifestResult::Complete),
        Just(ManifestResult::ReadOnly),
        Just(ManifestResult::Failed(ApplyError::Failed("x".into()))),
    ];
    let kind = prop_oneof![Just("Deployment"), Just("ConfigMap")];
    prop::collection::vec((kind, result), 0..5).prop_map(|all| {
        (0..)
            .zip(all)
            .map(|(ordinal, (kind, result))| outcome(ordinal, kind, result))
            .collect()
    })
}

proptest! {
    /// Each pass, run again on the same facts at a later time, changes nothing; and a transition
    /// time only moves when its status does.
    #[test]
    fn passes_are_idempotent(
        history in prop::collection::vec((any_outcomes(), 1i64..3, 0u8..4), 1..6),
    ) {
        let configs = rules(json!([
            {"condition": "Healthy", "type": "CEL", "celExpressions": ["object.status.availableReplicas == 2"]},
            {"condition": "Healthy", "type": "CEL", "celExpressions": ["true"]},
        ]));
        let objects = [deployment(1), deployment(2)];
        let mut status = ManifestWorkStatus::default();
        for (step, (outcomes, generation, view)) in history.into_iter().enumerate() {
            let now = at(10 * step as i64);
            let later = at(10 * step as i64 + 5);
            let observation = match view {
                0 => Observation::Missing,
                1 => Observation::Failed("boom".into()),
                n => Observation::Present(&objects[usize::from(n) - 2]),
            };
            let seen: BTreeMap<i32, Observation<'_>> = (0..4).map(|n| (n, observation.clone())).collect();
            let options = ObserveOptions::default();
            let before = status.clone();
            let applied = after_apply(&status, generation, &outcomes, now);
            prop_assert_eq!(&after_apply(&applied, generation, &outcomes, later), &applied);
            status = after_observe(&applied, generation, &configs, &seen, options, now);
            prop_assert_eq!(&after_observe(&status, generation, &configs, &seen, options, later), &status);
            for condition in &status.conditions {
                let old = condition::find(&before.conditions, &condition.type_);
                if let Some(old) = old.filter(|old| old.status == condition.status) {
                    prop_assert!(condition.last_transition_time == old.last_transition_time || condition.last_transition_time.0 == now);
                }
            }
        }
    }
}
