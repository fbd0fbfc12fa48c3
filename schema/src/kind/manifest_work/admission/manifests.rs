//! What each manifest of a work must have, and what they must be together.

use super::super::ManifestWork;
use crate::code;
use crate::decode::{FieldError, Problem, RULE, excerpt};
use crate::kind::manifest::{CONTENT_KEY, ContentRef, LAST_APPLIED, Manifest, SEALED_KEY, secrets};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const PATH: &str = "spec.workload.manifests";
/// Most levels of objects and lists in a manifest. JSON is read down to 128 levels, and a record, a
/// snapshot or a message holds a manifest some levels further down than a command does: what is as
/// deep as that could be written and never be read again.
const DEPTH_MAX: usize = 100;

/// Checks all manifests: there are some, they are complete, differ, and are not too many bytes.
pub(super) fn check(
    work: &ManifestWork,
    old: Option<&ManifestWork>,
    limit: u64,
) -> Vec<FieldError> {
    let manifests = &work.spec.workload.manifests;
    if manifests.is_empty() {
        return vec![FieldError::new(PATH, Problem::Required)];
    }
    let mut errors = Vec::new();
    let size = total_size(manifests);
    if size > limit {
        let hint = "split the work; the limit is the total of its manifests in bytes";
        let problem = Problem::TooLong {
            max: limit,
            found: size,
        };
        errors.push(FieldError::new(PATH, problem).with_hint(hint));
    }
    let mut seen = BTreeSet::new();
    for (index, manifest) in manifests.iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        let before = errors.len();
        match manifest {
            Manifest::Inline(object) => check_object(&path, object, &mut errors),
            Manifest::Content(content) => errors.extend(check_content(&path, content, old)),
        }
        let identity = manifest.identity();
        if errors.len() == before && !seen.insert(identity.clone()) {
            let value = excerpt(&format!(
                "{} {} {}/{}",
                identity.api_version, identity.kind, identity.namespace, identity.name
            ));
            errors.push(FieldError::new(path, Problem::Duplicate { value }));
        }
    }
    errors
}

/// Total of some manifests as OCM counts it against its limit: each with the few bytes that
/// frame it in Kubernetes' protobuf encoding, a tag and its length in groups of seven bits.
#[must_use]
pub fn total_size(manifests: &[Manifest]) -> u64 {
    let framed = |size: u64| {
        let length_bytes = u64::from(size.max(1).ilog2() / 7 + 1);
        size.saturating_add(1 + length_bytes)
    };
    manifests
        .iter()
        .map(|manifest| framed(manifest.size()))
        .fold(0, u64::saturating_add)
}

/// Checks an inline object: what makes it applicable, and that its metadata is metadata.
fn check_object(path: &str, object: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    let levels = 1 + object.values().map(depth).max().unwrap_or_default();
    if levels > DEPTH_MAX {
        let rule = format!("is nested {levels} levels deep, at most {DEPTH_MAX} are allowed");
        let hint = "flatten the object, or keep the deep part as a text";
        errors.push(FieldError::invalid(path, "", rule).with_hint(hint));
    }
    let api_version = required_text(
        format!("{path}.apiVersion"),
        object.get("apiVersion"),
        errors,
    );
    if let Some(api_version) = api_version
        && (api_version.matches('/').count() > 1 || api_version.split('/').any(str::is_empty))
    {
        let rule = "version, or group/version";
        errors.push(FieldError::invalid(
            format!("{path}.apiVersion"),
            api_version,
            rule,
        ));
    }
    required_text(format!("{path}.kind"), object.get("kind"), errors);
    match object.get("metadata") {
        Some(Value::Object(metadata)) => check_metadata(path, metadata, errors),
        None | Some(Value::Null) => {
            errors.push(FieldError::new(
                format!("{path}.metadata.name"),
                Problem::Required,
            ));
        }
        Some(other) => {
            errors.push(FieldError::wrong_type(
                format!("{path}.metadata"),
                "object",
                other,
            ));
        }
    }
    if errors.len() == before {
        errors.extend(check_sealed(path, object));
    }
    errors.extend(check_copies(path, object));
}

/// A Secret that was read from a cluster may have its payload a second time, where sealing it does
/// not reach.
fn check_copies(path: &str, object: &Map<String, Value>) -> Vec<FieldError> {
    let has_copy = |secret: &Map<String, Value>| {
        let annotations = secret.get("metadata").and_then(|m| m.get("annotations"));
        annotations.is_some_and(|annotations| annotations.get(LAST_APPLIED).is_some())
    };
    let copies = secrets(object).into_iter();
    copies
        .filter(|(_, secret)| has_copy(secret))
        .map(|(below, _)| {
            let path = format!("{path}{below}.metadata.annotations[{LAST_APPLIED}]");
            let rule = "it repeats the payload of the Secret for everybody to read".to_owned();
            FieldError::new(path, Problem::Forbidden { rule })
                .with_hint("remove the annotation; kubectl apply left it in the object")
        })
        .collect()
}

/// Levels of objects and lists in a value; it was parsed, so there are 128 at most.
fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + below.unwrap_or_default()
}

fn check_metadata(path: &str, metadata: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    required_text(
        format!("{path}.metadata.name"),
        metadata.get("name"),
        errors,
    );
    if metadata
        .get("generateName")
        .is_some_and(|name| !matches!(name.as_str(), None | Some("")))
    {
        let rule = "the agent must find the object again by its name".to_owned();
        let path = format!("{path}.metadata.generateName");
        errors.push(FieldError::new(path, Problem::Forbidden { rule }));
    }
    let mut rest = metadata.clone();
    rest.remove("name");
    if let Err(error) = serde_path_to_error::deserialize::<_, ObjectMeta>(Value::Object(rest)) {
        let path = format!("{path}.metadata.{}", error.path());
        let rule = code::excerpt(&error.inner().to_string(), RULE);
        errors.push(FieldError::invalid(path, "", rule));
    }
}

/// A string that is there and not empty.
fn required_text<'a>(
    path: String,
    value: Option<&'a Value>,
    errors: &mut Vec<FieldError>,
) -> Option<&'a str> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => return Some(text),
        None | Some(Value::Null | Value::String(_)) => {
            errors.push(FieldError::new(path, Problem::Required));
        }
        Some(other) => errors.push(FieldError::wrong_type(path, "string", other)),
    }
    None
}

/// A sealed payload stands in a Secret and in the place of the open one.
fn check_sealed(path: &str, object: &Map<String, Value>) -> Option<FieldError> {
    let sealed = object.get(SEALED_KEY)?;
    let is = |field: &str, text: &str| object.get(field).and_then(Value::as_str) == Some(text);
    let rule = if !is("apiVersion", "v1") || !is("kind", "Secret") {
        "only a v1 Secret has a sealed payload"
    } else if object.contains_key("data") || object.contains_key("stringData") {
        "a sealed payload stands in the place of data and stringData"
    } else if !is_sealed(sealed) {
        "a sealed payload has recipientKeyId and a ciphertext in base64"
    } else {
        return None;
    };
    let problem = Problem::Forbidden {
        rule: rule.to_owned(),
    };
    Some(FieldError::new(format!("{path}[{SEALED_KEY}]"), problem))
}

fn is_sealed(value: &Value) -> bool {
    let text = |field: &str| {
        value
            .get(field)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    text("recipientKeyId").is_some()
        && text("ciphertext")
            .is_some_and(|text| data_encoding::BASE64.decode(text.as_bytes()).is_ok())
}

/// A manifest by digest may only repeat one that the stored work already has: otherwise a digest
/// would be enough to read somebody else's content.
fn check_content(
    path: &str,
    content: &ContentRef,
    old: Option<&ManifestWork>,
) -> Option<FieldError> {
    let stored = old.into_iter().flat_map(|old| &old.spec.workload.manifests);
    if stored
        .filter_map(Manifest::content)
        .any(|stored| stored == content)
    {
        return None;
    }
    let rule = "a manifest is named by digest only where the work already has it".to_owned();
    let path = format!("{path}[{CONTENT_KEY}]");
    Some(FieldError::new(path, Problem::Forbidden { rule }).with_hint("write the object itself"))
}
