//! Condition rules: what a work wants to be said about its objects.

use crate::cel::{Program, Value, VariableType};
use crate::feedback::group_version_kind;
use serde_json::Map;
use skein_schema::kind::manifest_work::{CONDITION_COMPLETE, ConditionRule, ConditionRuleType};
use std::collections::BTreeMap;

/// The rule was evaluated.
pub const REASON_EVALUATED: &str = "ConditionRuleEvaluated";
/// An expression of the rule cannot be compiled, failed on the object, or is no truth value.
pub const REASON_EXPRESSION_ERROR: &str = "ConditionRuleExpressionError";

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
/// nothing. A rule that cannot be evaluated says `False` and why, as in OCM.
#[must_use]
pub fn evaluate(
    object: &Map<String, serde_json::Value>,
    rules: &[ConditionRule],
) -> Vec<RuleCondition> {
    if rules.is_empty() {
        return Vec::new();
    }
    let value = Value::from(object);
    rules
        .iter()
        .filter_map(|rule| evaluate_one(object, &value, rule))
        .collect()
}

fn evaluate_one(
    object: &Map<String, serde_json::Value>,
    value: &Value,
    rule: &ConditionRule,
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
    Some(match all_true(&expressions, value) {
        Err(error) => condition(false, REASON_EXPRESSION_ERROR, error),
        Ok(result) => {
            let message = message(rule, message_expression, value, result);
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
fn all_true(expressions: &[&str], object: &Value) -> Result<bool, String> {
    for expression in expressions {
        match run(expression, object, None)? {
            Value::Bool(true) => {}
            Value::Bool(false) => return Ok(false),
            other => return Err(format!("expected bool result, got {}", other.type_name())),
        }
    }
    Ok(true)
}

/// The message expression's text wins if there is one, then the fixed message. What goes wrong
/// with the expression is the message, whatever else there is.
fn message(rule: &ConditionRule, expression: &str, object: &Value, result: bool) -> String {
    if !expression.is_empty() {
        match run(expression, object, Some(result)) {
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
fn run(expression: &str, object: &Value, result: Option<bool>) -> Result<Value, String> {
    let mut types = BTreeMap::from([("object", VariableType::Dyn)]);
    let mut values = BTreeMap::from([("object", object.clone())]);
    if let Some(result) = result {
        types.insert("result", VariableType::Bool);
        values.insert("result", Value::Bool(result));
    }
    let program = Program::compile(expression, &types).map_err(|error| error.to_string())?;
    match program
        .evaluate(&values)
        .map_err(|error| error.to_string())?
    {
        Value::Optional(Some(inner)) => Ok(*inner),
        other => Ok(other),
    }
}
