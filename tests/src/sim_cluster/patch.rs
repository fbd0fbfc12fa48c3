//! The three patch formats besides server-side apply.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::kinds::ResourceType;
use super::shape::{Atom, ListKey, Shape};

/// The format of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// `application/merge-patch+json` (RFC 7386).
    Merge,
    /// `application/json-patch+json` (RFC 6902).
    Json,
    /// `application/strategic-merge-patch+json`; built-in kinds only.
    Strategic,
    /// `application/apply-patch+yaml`.
    Apply,
}

impl PatchType {
    /// The format of a media type.
    pub(crate) fn from_media_type(media_type: &str) -> Option<PatchType> {
        match media_type {
            "application/merge-patch+json" => Some(PatchType::Merge),
            "application/json-patch+json" => Some(PatchType::Json),
            "application/strategic-merge-patch+json" => Some(PatchType::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
                Some(PatchType::Apply)
            }
            _ => None,
        }
    }
}

/// The media types that a kind's patches may have, for the 415 answer.
pub(crate) fn accepted(kind: &ResourceType) -> &'static str {
    if kind.custom.is_some() {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    } else {
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
         application/apply-patch+yaml"
    }
}

/// Patches `object`.
///
/// # Errors
/// 400 when the patch cannot be read, 415 when the kind does not take its format, 422 when it cannot be applied.
pub(crate) fn patch(
    object: &Value,
    patch: &Value,
    format: PatchType,
    kind: &ResourceType,
) -> Result<Value, ApiError> {
    let mut patched = object.clone();
    match format {
        PatchType::Merge => json_patch::merge(&mut patched, patch),
        PatchType::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut patched, &operations)
                .map_err(|error| ApiError::json_patch_failed(&error.to_string()))?;
        }
        PatchType::Strategic if kind.custom.is_none() => {
            strategic(&mut patched, patch, &kind.shape)?;
        }
        PatchType::Strategic | PatchType::Apply => {
            return Err(ApiError::unsupported_media_type(accepted(kind)));
        }
    }
    Ok(patched)
}

/// Lays a strategic merge patch over `target`: maps merge, keyed lists merge item by item, directives are obeyed.
fn strategic(target: &mut Value, patch: &Value, shape: &Shape) -> Result<(), ApiError> {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if fields.get("$patch").and_then(Value::as_str) == Some("replace") || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let shape = match shape {
        Shape::Atomic(inner) => inner,
        other => other,
    };
    let object = target.as_object_mut().expect("made an object above");
    if let Some(kept) = fields.get("$retainKeys").and_then(Value::as_array) {
        object.retain(|name, _| kept.iter().any(|one| one.as_str() == Some(name)));
    }
    for (name, value) in fields {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            delete_values(object.get_mut(list), value);
        }
        if name.starts_with('$') {
            continue;
        }
        if value.is_null() || value.get("$patch").and_then(Value::as_str) == Some("delete") {
            object.remove(name);
            continue;
        }
        let below = shape.field(name).0;
        let current = object.entry(name.clone()).or_insert(Value::Null);
        let order = fields
            .get(&format!("$setElementOrder/{name}"))
            .and_then(Value::as_array);
        match below.atom(value) {
            Atom::Keyed(keys, item) => merge_keyed(current, value, order, keys, item)?,
            Atom::Set => merge_values(current, value),
            _ => strategic(current, value, below)?,
        }
    }
    Ok(())
}

/// An item that matches a patch item: they agree in each key field that the patch item names.
fn same_item(item: &Value, patch: &Value, keys: &[ListKey]) -> bool {
    let value_of =
        |value: &Value, key: &ListKey| value.get(&key.name).or(key.default.as_ref()).cloned();
    let named: Vec<&ListKey> = keys
        .iter()
        .filter(|key| patch.get(&key.name).is_some())
        .collect();
    !named.is_empty()
        && named
            .iter()
            .all(|key| value_of(item, key) == value_of(patch, key))
}

/// Merges the items of a patch into a list. The patch's items come in its order (or the one it sets), the others keep
/// their place before those that they stood before.
fn merge_keyed(
    current: &mut Value,
    patch: &Value,
    order: Option<&Vec<Value>>,
    keys: &[ListKey],
    shape: &Shape,
) -> Result<(), ApiError> {
    let patches = patch.as_array().map_or(&[][..], Vec::as_slice);
    let directive = |one: &Value| {
        one.get("$patch")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if patches.iter().any(|one| directive(one) == "replace") {
        *current = patches
            .iter()
            .filter(|one| directive(one) != "replace")
            .cloned()
            .collect();
        return Ok(());
    }
    let live = std::mem::take(current)
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut rest: Vec<(usize, Value)> = live.into_iter().enumerate().collect();
    let mut patched: Vec<(Option<usize>, Value)> = Vec::new();
    for one in patches {
        if !keys.iter().any(|key| one.get(&key.name).is_some()) {
            let key = keys.first().map_or("", |key| key.name.as_str());
            return Err(ApiError::bad_request(format!(
                "map: {one} does not contain declared merge key: {key}"
            )));
        }
        let found = rest
            .iter()
            .position(|(_, item)| same_item(item, one, keys))
            .map(|index| rest.remove(index));
        if directive(one) == "delete" {
            continue;
        }
        let (place, mut item) =
            found.map_or((None, Value::Null), |(place, item)| (Some(place), item));
        strategic(&mut item, one, shape)?;
        patched.push((place, item));
    }
    if let Some(order) = order {
        let rank = |item: &Value| order.iter().position(|entry| same_item(item, entry, keys));
        // What the order names is meant by the patch, even if nothing in it changes.
        let (named, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(_, item)| rank(item).is_some());
        patched.extend(named.into_iter().map(|(place, item)| (Some(place), item)));
        patched.sort_by_key(|(_, item)| rank(item).unwrap_or(usize::MAX));
        rest = others;
    }
    let mut merged = Vec::new();
    let mut rest = rest.into_iter().peekable();
    for (place, item) in patched {
        while let Some((_, other)) =
            rest.next_if(|(index, _)| place.is_some_and(|place| *index < place))
        {
            merged.push(other);
        }
        merged.push(item);
    }
    merged.extend(rest.map(|(_, item)| item));
    *current = Value::Array(merged);
    Ok(())
}

fn merge_values(current: &mut Value, patch: &Value) {
    if !current.is_array() {
        *current = Value::Array(Vec::new());
    }
    let Value::Array(items) = current else { return };
    for value in patch.as_array().into_iter().flatten() {
        if !items.contains(value) {
            items.push(value.clone());
        }
    }
}

fn delete_values(list: Option<&mut Value>, values: &Value) {
    if let (Some(Value::Array(items)), Value::Array(values)) = (list, values) {
        items.retain(|item| !values.contains(item));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim_cluster::kinds;

    fn pods() -> &'static ResourceType {
        kinds::builtin("", "v1", "pods").expect("built in")
    }

    fn pod() -> Value {
        json!({"metadata": {"finalizers": ["a"]}, "spec": {"restartPolicy": "Never", "containers": [
            {"name": "web", "image": "1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
            {"name": "log", "image": "1"},
        ]}})
    }

    #[test]
    fn strategic_merge_follows_keys_and_directives() {
        for (change, pointer, expected) in [
            (
                json!({"spec": {"containers": [{"name": "web", "image": "2"}]}}),
                "/spec/containers/0/image",
                json!("2"),
            ),
            (
                json!({"spec": {"containers": [{"name": "log", "$patch": "delete"}]}}),
                "/spec/containers/1",
                json!(null),
            ),
            (
                json!({"spec": {"containers": [{"name": "new"}]}}),
                "/spec/containers/0",
                json!({"name": "new"}),
            ),
            (
                json!({"spec": {"containers": [{"name": "web", "ports": [{"containerPort": 80, "name": "http"}]}]}}),
                "/spec/containers/0/ports",
                json!([{"containerPort": 80, "protocol": "TCP", "name": "http"}]),
            ),
            (
                json!({"spec": {"restartPolicy": null}}),
                "/spec/restartPolicy",
                json!(null),
            ),
            (
                json!({"metadata": {"finalizers": ["b"]}}),
                "/metadata/finalizers",
                json!(["a", "b"]),
            ),
            (
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
                "/metadata/finalizers",
                json!([]),
            ),
            (
                json!({"spec": {"$retainKeys": ["containers"]}}),
                "/spec/restartPolicy",
                json!(null),
            ),
            (
                json!({"spec": {"$setElementOrder/containers": [{"name": "log"}, {"name": "web"}],
                    "containers": [{"name": "web", "image": "2"}]}}),
                "/spec/containers/0/name",
                json!("log"),
            ),
        ] {
            let patched = patch(&pod(), &change, PatchType::Strategic, pods()).expect("patched");
            assert_eq!(
                patched.pointer(pointer).cloned().unwrap_or_default(),
                expected,
                "{change}"
            );
        }
    }

    #[test]
    fn a_patch_that_cannot_be_applied_is_refused() {
        let test = json!([{"op": "test", "path": "/spec/restartPolicy", "value": "Always"}]);
        assert_eq!(
            patch(&pod(), &test, PatchType::Json, pods())
                .expect_err("test fails")
                .code,
            422
        );
        assert_eq!(
            patch(&pod(), &json!({}), PatchType::Json, pods())
                .expect_err("no list")
                .code,
            400
        );
        let keyless = json!({"spec": {"containers": [{"image": "x"}]}});
        assert_eq!(
            patch(&pod(), &keyless, PatchType::Strategic, pods())
                .expect_err("no key")
                .code,
            400
        );
    }
}
