//! Rules of CustomResourceDefinitions.

use serde_json::{Value, json};

use crate::sim_cluster::error::Cause;
use crate::sim_cluster::object;

/// Checks names, scope and versions.
pub(super) fn check(new: &Value, causes: &mut Vec<Cause>) {
    let text = |path: &[&str]| {
        object::at(new, path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let expected = format!(
        "{}.{}",
        text(&["spec", "names", "plural"]),
        text(&["spec", "group"])
    );
    if object::meta(new, "name") != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid(
            "metadata.name",
            &json!(object::meta(new, "name")),
            why,
        ));
    }
    for path in [
        &["spec", "group"][..],
        &["spec", "names", "plural"],
        &["spec", "names", "kind"],
    ] {
        if text(path).is_empty() {
            causes.push(Cause::required(path.join("."), ""));
        }
    }
    let scope = text(&["spec", "scope"]);
    if !["Namespaced", "Cluster"].contains(&scope) {
        let allowed = ["Cluster".to_owned(), "Namespaced".to_owned()];
        causes.push(Cause::not_supported("spec.scope", &json!(scope), &allowed));
    }
    let versions = object::at(new, &["spec", "versions"])
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let stored = versions
        .iter()
        .filter(|one| one.get("storage").and_then(Value::as_bool) == Some(true))
        .count();
    if stored != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &json!(versions), why));
    }
    for (index, version) in versions.iter().enumerate() {
        let schema = object::at(version, &["schema", "openAPIV3Schema"]);
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match schema {
            None => causes.push(Cause::required(path, "schemas are required")),
            Some(schema) if schema.get("type").and_then(Value::as_str) != Some("object") => {
                causes.push(Cause::invalid(
                    format!("{path}.type"),
                    &schema["type"],
                    "must be object at the root",
                ));
            }
            Some(_) => {}
        }
    }
}
