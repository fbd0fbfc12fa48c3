//! The hub's taints agree with OCM's answers, or with a better one that
//! `docs/ocm-differences.md` explains.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde_json::json;
use skein_hub_core::taint::taints_by_availability;
use skein_schema::kind::managed_cluster::{
    ManagedCluster, TAINT_UNAVAILABLE, TAINT_UNREACHABLE, Taint, TaintEffect,
};

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Case {
    id: String,
    available: String,
    deleting: bool,
    taints: Vec<Taint>,
    /// None if nothing was written.
    expect: Option<Vec<Taint>>,
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn cluster(case: &Case) -> ManagedCluster {
    let mut cluster = json!({"metadata": {"name": "c1"}, "spec": {"taints": case.taints}});
    if case.deleting {
        cluster["metadata"]["deletionTimestamp"] = json!(now().to_string());
    }
    if !case.available.is_empty() {
        let condition = json!({
            "type": "ManagedClusterConditionAvailable", "status": case.available, "reason": "R",
            "message": "", "lastTransitionTime": now().to_string(),
        });
        cluster["status"] = json!({"conditions": [condition]});
    }
    serde_json::from_value(cluster).unwrap()
}

/// The taint that the hub sets for an availability.
fn hubs_key(available: &str) -> &'static str {
    if available == "False" {
        TAINT_UNAVAILABLE
    } else {
        TAINT_UNREACHABLE
    }
}

#[test]
fn taints_agree_with_ocm() {
    let cases = include_str!("vectors/taint.jsonl").lines();
    let cases: Vec<Case> = cases
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 59);
    let mut differing = 0;
    for case in cases {
        let found = taints_by_availability(&cluster(&case), now());
        // OCM leaves the time of a new taint to its webhook.
        let expected = case.expect.clone().map(|mut taints| {
            let new = taints
                .iter_mut()
                .filter(|taint| !case.taints.contains(taint));
            new.for_each(|taint| taint.time_added = Some(Time(now())));
            taints
        });
        if found == expected {
            continue;
        }
        differing += 1;
        let split = |taints: Option<Vec<Taint>>| -> (Vec<Taint>, Vec<Taint>) {
            let taints = taints.unwrap_or_else(|| case.taints.clone());
            taints
                .into_iter()
                .partition(|taint| taint.key == hubs_key(&case.available))
        };
        let ((found, found_rest), (expected, expected_rest)) = (split(found), split(expected));
        assert_eq!(found_rest, expected_rest, "{}", case.id);
        assert!(
            expected.len() > 1,
            "{}: OCM has several taints of the hub's key",
            case.id
        );
        let hubs = expected
            .iter()
            .find(|taint| taint.value.is_empty() && taint.effect == TaintEffect::NoSelect);
        assert_eq!(
            found.iter().collect::<Vec<_>>(),
            hubs.into_iter().collect::<Vec<_>>(),
            "{}",
            case.id
        );
    }
    assert!(differing > 0);
    let document = include_str!("../../../docs/ocm-differences.md");
    assert!(document.contains("### The hub's taints replace others of their keys"));
}
