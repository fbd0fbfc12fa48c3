//! Condition rules: what a work wants to be said about its objects.

use crate::feedback::group_version_kind;
use serde_json::Map;
use skein_cel::{Budget, HAS_CONDITIONS, Program, Value, ValueType};
use skein_schema::kind::manifest_work::{CONDITION_COMPLETE, ConditionRule, ConditionRuleType};
use std::collections::BTreeMap;

/// The rule was evaluated.
pub const REASON_EVALUATED: &str = "ConditionRuleEvaluated";
/// An expression of the rule cannot be compiled, failed on the object, or is no truth value.
pub const REASON_EXPRESSION_ERROR: &str = "ConditionRuleExpressionError";

/// How many steps all rules of a work may take at one look at its objects. Reading an expression
/// takes a step per byte.
pub const MAX_STEPS_OF_WORK: u64 = 5_000_000;

/// Rules for `Complete`: group, version, kind, expression, message expression.
const WELL_KNOWN: &[(&str, &str, &str, &str, &str)] = &[
    (
        "batch",
        "v1",
        "Job",
        "hasConditions(object.status) && object.status.conditions
            .filter(c, c.type == 'Complete' || c.type == 'Failed')
            .exists(c, c.status == 'True')",
        "result ? 'Job is finished' : 'Job is not finished'",
    ),
    (
        "",
        "v1",
        "Pod",
        "object.status.phase in ['Succeeded', 'Failed']",
        "'Pod is in phase ' + object.status.phase",
    ),
];

/// What a rule says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCondition {
    /// Type of the condition.
    pub condition: String,
    /// `True` or `False`.
    pub status: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

/// Evaluates the rules in their order. A well-known rule for a kind of which nothing is known says
/// nothing. A rule that cannot be evaluated says `False` and why, as in OCM. The budget is shared by
/// all rules of the work, see [`MAX_STEPS_OF_WORK`]; when nothing is left, the rest cannot be
/// evaluated.
#[must_use]
pub fn evaluate(
    object: &Map<String, serde_json::Value>,
    rules: &[ConditionRule],
    budget: &mut Budget,
) -> Vec<RuleCondition> {
    if rules.is_empty() {
        return Vec::new();
    }
    let value = Value::from(object);
    rules
        .iter()
        .filter_map(|rule| evaluate_one(object, &value, rule, budget))
        .collect()
}

fn evaluate_one(
    object: &Map<String, serde_json::Value>,
    value: &Value,
    rule: &ConditionRule,
    budget: &mut Budget,
) -> Option<RuleCondition> {
    if rule.condition.is_empty() {
        return None;
    }
    let (expressions, message_expression): (Vec<&str>, &str) = match rule.kind {
        ConditionRuleType::Cel => (
            rule.cel_expressions.iter().map(String::as_str).collect(),
            &rule.message_expression,
        ),
        ConditionRuleType::WellKnownConditions => {
            let (expression, message) = well_known(object, &rule.condition)?;
            let own = rule.message_expression.as_str();
            (vec![expression], if own.is_empty() { message } else { own })
        }
    };
    let condition = |status: bool, reason, message| RuleCondition {
        condition: rule.condition.clone(),
        status: if status { "True" } else { "False" },
        reason,
        message,
    };
    Some(match all_true(&expressions, value, budget) {
        Err(error) => condition(false, REASON_EXPRESSION_ERROR, error),
        Ok(result) => {
            let message = message(rule, message_expression, value, result, budget);
            condition(result, REASON_EVALUATED, message)
        }
    })
}

fn well_known(
    object: &Map<String, serde_json::Value>,
    condition: &str,
) -> Option<(&'static str, &'static str)> {
    let (group, version, kind) = group_version_kind(object);
    let is_it =
        |(g, v, k, ..): &&(&str, &str, &str, &str, &str)| (*g, *v, *k) == (group, version, kind);
    let (.., expression, message) = WELL_KNOWN.iter().find(is_it)?;
    (condition == CONDITION_COMPLETE).then_some((*expression, *message))
}

/// Whether all expressions are true. The first that is not ends it, so that later ones are neither
/// read nor evaluated.
fn all_true(expressions: &[&str], object: &Value, budget: &mut Budget) -> Result<bool, String> {
    for expression in expressions {
        match run(expression, object, None, budget)? {
            Value::Bool(true) => {}
            Value::Bool(false) => return Ok(false),
            other => return Err(format!("expected bool result, got {}", other.type_name())),
        }
    }
    Ok(true)
}

/// The message expression's text wins if there is one, then the fixed message. What goes wrong
/// with the expression is the message, whatever else there is.
fn message(
    rule: &ConditionRule,
    expression: &str,
    object: &Value,
    result: bool,
    budget: &mut Budget,
) -> String {
    if !expression.is_empty() {
        match run(expression, object, Some(result), budget) {
            Err(error) => return error,
            Ok(Value::String(text)) if text.is_empty() => {}
            Ok(Value::String(text)) => return text.to_string(),
            Ok(other) => {
                let found = other.type_name();
                return format!("expected message expression to have a string result, got {found}");
            }
        }
    }
    match (rule.message.as_str(), result) {
        ("", true) => format!("Manifest is {}", rule.condition),
        ("", false) => format!("Manifest is not {}", rule.condition),
        (fixed, _) => fixed.to_owned(),
    }
}

/// Runs an expression over the object. An optional value counts as what is in it.
fn run(
    expression: &str,
    object: &Value,
    result: Option<bool>,
    budget: &mut Budget,
) -> Result<Value, String> {
    budget
        .spend(expression.len())
        .map_err(|error| error.to_string())?;
    let mut types = BTreeMap::from([("object", ValueType::Dyn)]);
    let mut values = BTreeMap::from([("object", object.clone())]);
    if let Some(result) = result {
        types.insert("result", ValueType::Bool);
        values.insert("result", Value::Bool(result));
    }
    let program = Program::compile(expression, &types, &[HAS_CONDITIONS])
        .map_err(|error| error.to_string())?;
    match program
        .evaluate(&values, &(), budget)
        .map_err(|error| error.to_string())?
    {
        Value::Optional(Some(inner)) => Ok(Value::clone(&inner)),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_a_work_share_what_they_may_take() {
        let rules: Vec<ConditionRule> = (0..30)
            .map(|number| ConditionRule {
                condition: format!("Busy{number}"),
                kind: ConditionRuleType::Cel,
                cel_expressions: vec![
                    "[0,1,2,3,4,5,6,7,8,9].all(a, ".repeat(5) + "true" + &")".repeat(5),
                ],
                message: String::new(),
                message_expression: String::new(),
            })
            .collect();
        let mut budget = Budget::new(MAX_STEPS_OF_WORK);
        let mut said = Vec::new();
        for _object in 0..2 {
            said.extend(evaluate(&Map::new(), &rules, &mut budget));
        }
        let evaluated = said.iter().filter(|c| c.reason == REASON_EVALUATED).count();
        assert!((1..said.len()).contains(&evaluated), "{evaluated}");
        assert!(said[..evaluated].iter().all(|c| c.status == "True"));
        assert!(
            said[evaluated..]
                .iter()
                .all(|c| c.reason == REASON_EXPRESSION_ERROR && c.message.contains("cost limit"))
        );
        assert_eq!(budget.left(), 0);
    }
}
