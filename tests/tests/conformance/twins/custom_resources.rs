//! Custom resources: a definition, its objects, and the requests about them.

use serde_json::{Value, json};

use super::scripts::{APPLY, MERGE, get, step};
use super::{GADGETS, JSON, Step};

/// A kind with a bit of everything that a schema can say about merging.
pub(super) fn gadgets() -> Value {
    let parts = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "side"],
        "items": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "side": {"type": "string", "default": "left"}, "count": {"type": "integer"},
            "notes": {"type": "object", "additionalProperties": {"type": "string"}}}}});
    let spec = json!({"type": "object", "properties": {
        "size": {"type": "integer", "default": 1, "minimum": 0},
        "limit": {"x-kubernetes-int-or-string": true},
        "parts": parts,
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "words": {"type": "array", "items": {"type": "string"}},
        "notes": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "deep": {"type": "object", "properties": {"er": {"type": "object", "properties": {"x": {"type": "string"},
            "y": {"type": "string"}}}}},
    }});
    let status = json!({"type": "object", "properties": {"phase": {"type": "string"},
        "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "required": ["type"], "properties": {
                "type": {"type": "string"}, "status": {"type": "string"}}}}}});
    json!({"metadata": {"name": "gadgets.twins.example.com"}, "spec": {
        "group": "twins.example.com", "scope": "Namespaced", "names": {"plural": "gadgets", "kind": "Gadget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}}]}})
}

/// A gadget of that name.
pub(super) fn gadget(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "twins.example.com/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec})
}

/// Requests about a custom resource, whose schema says how it merges.
pub(super) fn custom_resources() -> Vec<Step> {
    let one = format!("{GADGETS}/g");
    let by = |manager: &str| format!("{one}?fieldManager={manager}");
    let conditions = json!([{"type": "Ready", "status": "True"}]);
    let status = json!({"apiVersion": "twins.example.com/v1", "kind": "Gadget", "metadata": {"name": "g"},
        "status": {"conditions": conditions}});
    vec![
        step(
            "POST",
            GADGETS,
            JSON,
            gadget(
                "g",
                &json!({"parts": [{"name": "a"}], "unknown": 1, "notes": {}, "words": []}),
            ),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"spec": {"parts": null, "notes": {"n": "1"}, "free": {"a": {"b": []}}}}),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"spec": {"notes": {"n": null}, "limit": "10%"}, "status": {"phase": "No"}}),
        ),
        step(
            "PATCH",
            &by("one"),
            APPLY,
            gadget(
                "g",
                &json!({"parts": [{"name": "b", "count": 2}], "tags": ["x"], "limit": 3}),
            ),
        ),
        step(
            "PATCH",
            &format!("{one}?fieldManager=one&force=true"),
            APPLY,
            gadget(
                "g",
                &json!({
            "parts": [{"name": "b", "count": 2}, {"name": "b", "side": "right"}], "tags": ["x", "y"], "limit": 3}),
            ),
        ),
        step(
            "PATCH",
            &by("two"),
            APPLY,
            gadget(
                "g",
                &json!({"parts": [{"name": "c", "notes": {"k": "v"}}], "tags": ["y", "z"]}),
            ),
        ),
        step(
            "PATCH",
            &by("two"),
            APPLY,
            gadget(
                "g",
                &json!({"deep": {"er": {"x": "1"}}, "whole": {"a": "1"}}),
            ),
        ),
        step(
            "PATCH",
            &by("three"),
            APPLY,
            gadget(
                "g",
                &json!({"deep": {"er": {"y": "1"}}, "whole": {"b": "1"}}),
            ),
        ),
        step("PATCH", &by("two"), APPLY, gadget("g", &json!({}))),
        step(
            "PATCH",
            &by("one"),
            APPLY,
            gadget("g", &json!({"parts": []})),
        ),
        step(
            "PATCH",
            &format!("{one}/status?fieldManager=controller"),
            APPLY,
            status,
        ),
        step(
            "PATCH",
            &format!("{one}/status"),
            MERGE,
            json!({"status": {"phase": "Yes"}, "spec": {"size": 9}}),
        ),
        step(
            "PATCH",
            &by("one"),
            APPLY,
            gadget("g", &json!({"size": "big"})),
        ),
        step("PATCH", &one, MERGE, json!({"spec": {"size": -1}})),
        step("PUT", &one, JSON, gadget("g", &json!({"size": 4}))),
        get(&one),
        get(GADGETS),
        step("DELETE", &one, JSON, Value::Null),
    ]
}
