//! Feedback values, their errors and the condition about them.

use crate::{Case, check, read, same};
use serde_json::{Value, json};
use skein_agent_core::feedback::{self, FeedbackError, FeedbackOptions};
use skein_schema::kind::manifest_work::FeedbackRule;

#[test]
fn feedback_values() {
    check("feedback.jsonl", &[], |case| {
        let any_of = case.output["anyOf"].as_array();
        match any_of {
            None => compare(case, &case.output),
            // OCM's answer changes from run to run; ours is one of them.
            Some(answers) => {
                let results: Vec<_> = answers.iter().map(|answer| compare(case, answer)).collect();
                let agrees = results.iter().any(Result::is_ok);
                if agrees {
                    Ok(())
                } else {
                    results.into_iter().next().unwrap()
                }
            }
        }
    });
}

fn compare(case: &Case, output: &Value) -> Result<(), String> {
    let object = case.input["object"].as_object().unwrap();
    let rules: Vec<FeedbackRule> = read(&case.input["feedbackRules"])
        .or_else(|| case.input["feedbackRules"].is_null().then(Vec::new))
        .ok_or("the rules cannot be read")?;
    // Less than nothing is as little as nothing.
    let max = case.input["maxJsonRawLength"]
        .as_i64()
        .unwrap_or(1024)
        .max(0);
    let options = FeedbackOptions {
        raw_json: case.input["rawFeedbackJsonString"]
            .as_bool()
            .unwrap_or(false),
        max_raw_length: usize::try_from(max).unwrap(),
    };
    let (values, errors) = feedback::read(object, &rules, options);
    let expected = output["values"].as_array().cloned().unwrap_or_default();
    same("values", &json!(values), &json!(expected))?;
    let classes: Vec<&str> = errors.iter().map(class).collect();
    let expected = output["errorClasses"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    same("errors", &json!(classes), &json!(expected))
}

fn class(error: &FeedbackError) -> &'static str {
    match error {
        FeedbackError::NoWellKnown { .. } => "no_well_known",
        FeedbackError::Version { .. } => "version_mismatch",
        FeedbackError::Path { .. } => "bad_path",
        FeedbackError::Evaluate { .. } => "evaluation",
        FeedbackError::Type { .. } => "unsupported_type",
        FeedbackError::TooLong { .. } => "raw_too_long",
    }
}
