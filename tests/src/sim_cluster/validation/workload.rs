//! Rules of pods and of what makes them.

use serde_json::{Value, json};

use crate::sim_cluster::error::Cause;
use crate::sim_cluster::object;

/// A workload selects its own pods.
pub(super) fn check_selector(new: &Value, causes: &mut Vec<Cause>) {
    let selector = object::at(new, &["spec", "selector"]).unwrap_or(&Value::Null);
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    if labels.is_none_or(serde_json::Map::is_empty) && expressions.is_none_or(Vec::is_empty) {
        if selector.is_null() {
            causes.push(Cause::required("spec.selector", ""));
        } else {
            causes.push(Cause::invalid(
                "spec.selector",
                selector,
                "empty selector is invalid for deployment",
            ));
            return;
        }
    }
    let own = object::at(new, &["spec", "template", "metadata", "labels"]).unwrap_or(&Value::Null);
    let unselected = selector.is_null();
    if unselected
        || labels
            .into_iter()
            .flatten()
            .any(|(key, value)| own.get(key) != Some(value))
    {
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", own, why));
    }
}

/// A workload needs a pod template.
pub(super) fn check_template(new: &Value, causes: &mut Vec<Cause>) {
    let spec = object::at(new, &["spec", "template", "spec"]).unwrap_or(&Value::Null);
    check_pod_spec(spec, "spec.template.spec", causes);
}

/// A pod needs containers with a name and an image.
pub(super) fn check_pod_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let containers = spec
        .get("containers")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = std::collections::BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let text = |field: &str| {
            container
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        for field in ["name", "image"] {
            if text(field).is_empty() {
                causes.push(Cause::required(
                    format!("{path}.containers[{index}].{field}"),
                    "",
                ));
            }
        }
        if !text("name").is_empty() && !names.insert(text("name")) {
            causes.push(Cause::duplicate(
                format!("{path}.containers[{index}].name"),
                &json!(text("name")),
            ));
        }
    }
}
