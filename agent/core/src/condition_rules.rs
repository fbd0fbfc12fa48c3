//! Condition rules: what a work wants to be said about its objects.

use crate::feedback::group_version_kind;
use serde_json::{Map, Value};
use skein_schema::kind::manifest_work::{CONDITION_COMPLETE, ConditionRule, ConditionRuleType};

/// The rule was evaluated.
pub const REASON_EVALUATED: &str = "ConditionRuleEvaluated";
/// An expression of the rule cannot be compiled or failed on the object.
pub const REASON_EXPRESSION_ERROR: &str = "ConditionRuleExpressionError";
/// The agent cannot evaluate rules of this type.
pub const REASON_NOT_EVALUATED: &str = "ConditionRuleNotEvaluated";

/// What a rule says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCondition {
    /// Type of the condition.
    pub condition: String,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

/// Evaluates the rules in their order. A well-known rule for a kind of which nothing is known says
/// nothing.
#[must_use]
pub fn evaluate(object: &Map<String, Value>, rules: &[ConditionRule]) -> Vec<RuleCondition> {
    rules
        .iter()
        .filter_map(|rule| evaluate_one(object, rule))
        .collect()
}

fn evaluate_one(object: &Map<String, Value>, rule: &ConditionRule) -> Option<RuleCondition> {
    if rule.condition.is_empty() {
        return None;
    }
    let (status, reason, message) = match rule.kind {
        ConditionRuleType::Cel => not_evaluated(),
        ConditionRuleType::WellKnownConditions => {
            if rule.condition != CONDITION_COMPLETE {
                return None;
            }
            let known: fn(&Map<String, Value>) -> WellKnown = match group_version_kind(object) {
                ("batch", "v1", "Job") => job_complete,
                ("", "v1", "Pod") => pod_complete,
                _ => return None,
            };
            match known(object) {
                Err(error) => ("False", REASON_EXPRESSION_ERROR, error),
                Ok(_) if !rule.message_expression.is_empty() => not_evaluated(),
                Ok((complete, message)) => (
                    if complete { "True" } else { "False" },
                    REASON_EVALUATED,
                    message,
                ),
            }
        }
    };
    Some(RuleCondition {
        condition: rule.condition.clone(),
        status,
        reason,
        message,
    })
}

fn not_evaluated() -> (&'static str, &'static str, String) {
    let message = "CEL expressions are not evaluated by this version of the agent".to_owned();
    ("Unknown", REASON_NOT_EVALUATED, message)
}

/// Whether the object is complete, and a message; or what the object lacks to tell.
type WellKnown = Result<(bool, String), String>;

fn no_such_key(key: &str) -> String {
    format!("no such key: {key}")
}

/// A Job is complete when its condition `Complete` or `Failed` is true.
fn job_complete(object: &Map<String, Value>) -> WellKnown {
    let status = object.get("status").ok_or_else(|| no_such_key("status"))?;
    let conditions = status.get("conditions").and_then(Value::as_array);
    let mut complete = false;
    for condition in conditions.into_iter().flatten() {
        let kind = condition.get("type").ok_or_else(|| no_such_key("type"))?;
        if kind == "Complete" || kind == "Failed" {
            complete |= condition
                .get("status")
                .is_some_and(|status| status == "True");
        }
    }
    let message = if complete {
        "Job is finished"
    } else {
        "Job is not finished"
    };
    Ok((complete, message.to_owned()))
}

/// A Pod is complete when its phase is `Succeeded` or `Failed`.
fn pod_complete(object: &Map<String, Value>) -> WellKnown {
    let status = object.get("status").ok_or_else(|| no_such_key("status"))?;
    let phase = status.get("phase").ok_or_else(|| no_such_key("phase"))?;
    let complete = phase == "Succeeded" || phase == "Failed";
    let message = match phase.as_str() {
        Some(phase) => format!("Pod is in phase {phase}"),
        None => "no such overload".to_owned(),
    };
    Ok((complete, message))
}
