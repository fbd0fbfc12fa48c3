//! What the configuration of manifests must be beside its shape: paths that can be read.

use super::super::{ConditionRuleType, ManifestConfigOption};
use crate::decode::{FieldError, Problem};
use crate::json_path;

/// Checks all `manifestConfigs`.
pub(super) fn check(configs: &[ManifestConfigOption]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let path = format!("spec.manifestConfigs[{index}]");
        check_feedback(&path, config, &mut errors);
        check_condition_rules(&path, config, &mut errors);
        check_ignore_fields(&path, config, &mut errors);
    }
    errors
}

fn check_feedback(path: &str, config: &ManifestConfigOption, errors: &mut Vec<FieldError>) {
    for (rule_index, rule) in config.feedback_rules.iter().enumerate() {
        for (path_index, field) in rule.json_paths.iter().enumerate() {
            let path = format!("{path}.feedbackRules[{rule_index}].jsonPaths[{path_index}].path");
            errors.extend(check_json_path(&path, &field.path));
        }
    }
}

fn check_condition_rules(path: &str, config: &ManifestConfigOption, errors: &mut Vec<FieldError>) {
    for (index, rule) in config.condition_rules.iter().enumerate() {
        if rule.kind == ConditionRuleType::Cel && rule.condition.is_empty() {
            let path = format!("{path}.conditionRules[{index}].condition");
            errors.push(FieldError::new(path, Problem::Required));
        }
    }
}

fn check_ignore_fields(path: &str, config: &ManifestConfigOption, errors: &mut Vec<FieldError>) {
    let strategy = config.update_strategy.as_ref();
    let apply = strategy.and_then(|strategy| strategy.server_side_apply.as_ref());
    for (index, fields) in apply
        .iter()
        .flat_map(|apply| apply.ignore_fields.iter().enumerate())
    {
        let path = format!("{path}.updateStrategy.serverSideApply.ignoreFields[{index}]");
        for (at, json_path) in fields.json_paths.iter().enumerate() {
            errors.extend(check_json_path(
                &format!("{path}.jsonPaths[{at}]"),
                json_path,
            ));
        }
        for (at, pointer) in fields.json_pointers.iter().enumerate() {
            if !is_json_pointer(pointer) {
                let path = format!("{path}.jsonPointers[{at}]");
                let rule = "a JSON Pointer such as /spec/replicas, with ~0 for ~ and ~1 for /";
                errors.push(FieldError::invalid(path, pointer, rule));
            }
        }
    }
}

/// A path is written without the braces that Kubernetes' templates have.
fn check_json_path(path: &str, text: &str) -> Option<FieldError> {
    let error = json_path::parse(&format!("{{{text}}}")).err()?;
    let found = FieldError::invalid(path, text, error.to_string());
    let bare = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    Some(match bare {
        Some(bare) => found.with_hint(&format!("leave the braces out: {bare}")),
        None => found,
    })
}

/// RFC 6901, of a field: the whole object cannot be meant.
fn is_json_pointer(text: &str) -> bool {
    let escapes_fit = text
        .split('~')
        .skip(1)
        .all(|behind| behind.starts_with('0') || behind.starts_with('1'));
    text.starts_with('/') && escapes_fit
}
