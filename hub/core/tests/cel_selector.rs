//! Selecting clusters by CEL agrees with OCM's answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use skein_hub_core::placement::cel_selector::{CelCluster, CelSelector, ScoreList};

#[test]
fn full() {
    let text = std::fs::read_to_string("/tmp/cel-full.jsonl").unwrap();
    let mut wrong = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let input = &case["input"];
        let expressions: Vec<String> =
            serde_json::from_value(input["expressions"].clone()).unwrap();
        let cluster = serde_json::from_value(input["managedCluster"].clone()).unwrap();
        let cluster = CelCluster::new(&cluster);
        let name = input["managedCluster"]["metadata"]["name"].clone();
        let scores = |wanted: &str| {
            let all = input["addOnPlacementScores"].as_array().unwrap();
            let found = all
                .iter()
                .find(|s| s["metadata"]["name"] == wanted && s["metadata"]["namespace"] == name)?;
            let items = found["status"]["scores"].as_array().unwrap();
            Some(ScoreList::new(items.iter().map(|i| {
                (
                    i["name"].as_str().unwrap(),
                    i["value"].as_i64().unwrap() as i32,
                )
            })))
        };
        let selector = CelSelector::new("p", &expressions);
        let (compile, matched, told) = match &selector {
            Err(errors) => (true, false, format!("{}", errors[0])),
            Ok(s) => {
                let start = std::time::Instant::now();
                let j = s.judge(&cluster, &scores);
                (
                    false,
                    j.mismatch.is_none(),
                    format!("{:?} {:?}", j, start.elapsed()),
                )
            }
        };
        let out = &case["output"];
        let ok = out["compileError"] == compile && out["matched"] == matched;
        if !ok {
            wrong += 1;
        }
        if !ok || std::env::var("ALL").is_ok() {
            println!(
                "{} {} {:.150} {told}",
                if ok { "ok" } else { "WRONG" },
                case["id"],
                expressions[0]
            );
        }
    }
    assert_eq!(wrong, 0);
}
