//! Conditions that rules make.

use crate::{CHECKED, check, read, same};
use serde_json::{Value, json};
use skein_agent_core::condition_rules::{self, MAX_STEPS_OF_WORK};
use skein_cel::Budget;
use skein_schema::kind::manifest_work::ConditionRule;

/// Unknown types of rules.
const TYPES: &[(&str, &[&str])] = &[(
    CHECKED,
    &[
        "conditions-0025",
        "conditions-0038",
        "conditions-0039",
        "conditions-0046",
        "conditions-0059",
        "conditions-0060",
    ],
)];

#[test]
fn condition_rules() {
    check("conditions.jsonl", TYPES, |case| {
        if case.has("budget") {
            return Ok(());
        }
        let object = case.input["object"].as_object().unwrap();
        let mut rules = case.input["conditionRules"].clone();
        for rule in rules.as_array_mut().unwrap() {
            rule.as_object_mut()
                .unwrap()
                .retain(|_, value| !value.is_null());
        }
        let rules: Vec<ConditionRule> = read(&rules).ok_or("the rules cannot be read")?;
        // The texts of compile and evaluation errors are our own.
        let with_text = |c: &Value| c["reason"] != "ConditionRuleExpressionError";
        let errors = case.output["ruleErrors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let clean = errors.iter().all(|class| class == "none");
        let mut budget = Budget::new(MAX_STEPS_OF_WORK);
        let ours: Vec<Value> = condition_rules::evaluate(object, &rules, &mut budget)
            .into_iter()
            .map(|c| json!({"type": c.condition, "status": c.status, "reason": c.reason, "message": c.message}))
            .collect();
        // OCM's answer to some cases changes from run to run; ours is one of them.
        let answers = case.output["anyOf"].as_array();
        let agreeing =
            answers.and_then(|all| all.iter().find(|a| same_status(&a["conditions"], &ours)));
        let ocm = agreeing.unwrap_or(&case.output)["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let comparable = |list: Vec<Value>| -> Vec<Value> {
            let strip = |mut c: Value| {
                if !clean || !with_text(&c) {
                    c["message"] = json!(null);
                }
                c
            };
            list.into_iter().map(strip).collect()
        };
        same("conditions", &comparable(ours), &comparable(ocm))
    });
}

fn same_status(ocm: &Value, ours: &[Value]) -> bool {
    let statuses = |list: &[Value]| list.iter().map(|c| c["status"].clone()).collect::<Vec<_>>();
    ocm.as_array()
        .is_some_and(|ocm| statuses(ocm) == statuses(ours))
}
