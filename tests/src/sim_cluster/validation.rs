//! Validation: names, metadata, and the rules of the kinds that agents handle most.

use serde_json::{Value, json};

use super::error::Cause;
use super::kinds::ResourceType;
use super::object;
use super::schema;

mod definition;
mod workload;

/// Checks an object that is to be made.
pub(crate) fn check_new(kind: &ResourceType, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_name(kind, new, &mut causes);
    check_metadata(new, &mut causes);
    check_content(kind, new, &mut causes);
    causes
}

/// Checks a change of an object.
pub(crate) fn check_change(kind: &ResourceType, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_metadata(new, &mut causes);
    if object::is_deleting(old) {
        let before = object::finalizers(old);
        let added: Vec<&str> = object::finalizers(new)
            .into_iter()
            .filter(|one| !before.contains(one))
            .collect();
        if !added.is_empty() {
            causes.push(Cause::forbidden(
                "metadata.finalizers",
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers \
                     []string{{{}}}",
                    added.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ")
                ),
            ));
        }
    }
    check_content(kind, new, &mut causes);
    check_immutable(kind, old, new, &mut causes);
    causes
}

fn check_content(kind: &ResourceType, new: &Value, causes: &mut Vec<Cause>) {
    if let Some(custom) = &kind.custom {
        schema::validate(&custom.schema, new, causes);
        return;
    }
    match kind.group_resource.as_ref() {
        "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "daemonsets.apps" => {
            workload::check_selector(new, causes);
            workload::check_template(new, causes);
        }
        "jobs.batch" => workload::check_template(new, causes),
        "pods" => workload::check_pod_spec(new.get("spec").unwrap_or(&Value::Null), "spec", causes),
        "customresourcedefinitions.apiextensions.k8s.io" => definition::check(new, causes),
        "configmaps" | "secrets" => check_data_keys(new, causes),
        _ => {}
    }
}

/// Parts that stay as they were made.
fn check_immutable(kind: &ResourceType, old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let mut fixed = |path: &[&str], why: &str| {
        let (before, after) = (object::at(old, path), object::at(new, path));
        if before != after {
            causes.push(Cause::invalid(
                path.join("."),
                after.unwrap_or(&Value::Null),
                why,
            ));
        }
    };
    const IMMUTABLE: &str = "field is immutable";
    match kind.group_resource.as_ref() {
        "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "daemonsets.apps" => {
            fixed(&["spec", "selector"], IMMUTABLE);
        }
        "jobs.batch" => {
            fixed(&["spec", "selector"], IMMUTABLE);
            fixed(&["spec", "completions"], IMMUTABLE);
            fixed(&["spec", "template"], IMMUTABLE);
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            fixed(&["roleRef"], "cannot change roleRef");
        }
        "secrets" => {
            fixed(&["type"], IMMUTABLE);
            check_sealed(old, new, causes);
        }
        "configmaps" => check_sealed(old, new, causes),
        "storageclasses.storage.k8s.io" => {
            fixed(&["provisioner"], "updates to provisioner are forbidden.");
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            fixed(&["spec", "scope"], IMMUTABLE);
            fixed(&["spec", "group"], IMMUTABLE);
        }
        _ => {}
    }
}

/// A ConfigMap or Secret that says it is immutable is.
fn check_sealed(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    if old.get("immutable").and_then(Value::as_bool) != Some(true) {
        return;
    }
    for field in ["immutable", "data", "binaryData"] {
        if old.get(field) != new.get(field) {
            causes.push(Cause::forbidden(
                field,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
                         '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
                         for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                     validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn check_name(kind: &ResourceType, new: &Value, causes: &mut Vec<Cause>) {
    let name = object::meta(new, "name");
    let mut refuse = |why: &str| causes.push(Cause::invalid("metadata.name", &json!(name), why));
    let label = kind.is("", "namespaces") || kind.is("", "services");
    if kind.group == "rbac.authorization.k8s.io" {
        if name.contains(['/', '%']) || name == "." || name == ".." {
            refuse("may not contain '/' or '%', and may not be '.' or '..'");
        }
    } else if label && name.len() > 63 {
        refuse("must be no more than 63 characters");
    } else if name.len() > 253 {
        refuse("must be no more than 253 characters");
    } else if label && !is_label(name) {
        refuse(LABEL);
    } else if !label && !name.split('.').all(is_label) {
        refuse(SUBDOMAIN);
    }
}

fn is_label(text: &str) -> bool {
    let edge = |letter: Option<char>| {
        letter.is_some_and(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
    };
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
}

fn check_metadata(new: &Value, causes: &mut Vec<Cause>) {
    let labels = object::at(new, &["metadata", "labels"]).and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        if !is_qualified(key) {
            causes.push(Cause::invalid("metadata.labels", &json!(key), "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"));
        }
        if text.len() > 63 || !(text.is_empty() || is_label_value(text)) {
            causes.push(Cause::invalid("metadata.labels", value, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"));
        }
    }
    for owner in object::owners(new) {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
            {
                let path = format!("metadata.ownerReferences.{field}");
                causes.push(Cause::invalid(path, &json!(""), "must not be empty"));
            }
        }
    }
    let controllers = object::owners(new)
        .iter()
        .filter(|one| one.get("controller").and_then(Value::as_bool) == Some(true));
    if controllers.count() > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid(
            "metadata.ownerReferences",
            &json!(object::owners(new)),
            why,
        ));
    }
}

fn is_label_value(text: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_some_and(|one| one.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
}

fn is_qualified(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label))
        && name.len() <= 63
        && is_label_value(name)
}

fn check_data_keys(new: &Value, causes: &mut Vec<Cause>) {
    let fields = ["data", "binaryData"].map(|field| new.get(field).and_then(Value::as_object));
    for key in fields.into_iter().flatten().flatten().map(|(key, _)| key) {
        let letters = key
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one));
        if !letters || key.is_empty() || key.len() > 253 {
            causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"));
        }
    }
}

#[cfg(test)]
mod tests;
