//! The OpenAPI v3 schemas of custom resources: structural type, defaults, validation.
//!
//! Covered: types, required, enum, bounds of numbers, lengths and counts, pattern, nested properties, items,
//! additional properties, int-or-string, preserved unknown fields, list and map types, defaults. Not covered:
//! `x-kubernetes-validations` (CEL), `format`, and `allOf`/`anyOf`/`oneOf`/`not`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::Cause;
use super::kinds::types::OBJECT_META;
use super::shape::{ListKey, ScalarType, Shape, json_type};

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool) == Some(true)
}

fn text<'s>(schema: &'s Value, name: &str) -> &'s str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The structural type of a custom resource.
pub(crate) fn root_shape(schema: &Value) -> Arc<Shape> {
    let mut fields = declared(schema);
    for name in ["apiVersion", "kind"] {
        fields.insert(name.to_owned(), Arc::new(Shape::Scalar(ScalarType::String)));
    }
    fields.insert("metadata".to_owned(), OBJECT_META.clone());
    Arc::new(if flag(schema, "x-kubernetes-preserve-unknown-fields") {
        Shape::Open(fields)
    } else {
        Shape::Struct(fields)
    })
}

fn declared(schema: &Value) -> BTreeMap<String, Arc<Shape>> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, inner)| (name.clone(), shape(inner)))
        .collect()
}

/// The structural type that a schema describes.
fn shape(schema: &Value) -> Arc<Shape> {
    if flag(schema, "x-kubernetes-int-or-string") {
        return Arc::new(Shape::Scalar(ScalarType::Any));
    }
    let inner = match text(schema, "type") {
        "string" => Shape::Scalar(ScalarType::String),
        "integer" => Shape::Scalar(ScalarType::Integer),
        "number" => Shape::Scalar(ScalarType::Number),
        "boolean" => Shape::Scalar(ScalarType::Boolean),
        "array" => list(schema),
        "object" => object(schema),
        _ => Shape::Untyped,
    };
    Arc::new(inner)
}

fn list(schema: &Value) -> Shape {
    let items = schema.get("items").unwrap_or(&Value::Null);
    let item = shape(items);
    match text(schema, "x-kubernetes-list-type") {
        "set" => Shape::Set(item),
        "map" => {
            let names = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array);
            let keys = names
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|name| ListKey {
                    name: name.to_owned(),
                    default: items
                        .pointer(&format!("/properties/{name}/default"))
                        .cloned(),
                });
            Shape::ListMap(keys.collect(), item)
        }
        _ => Shape::Atomic(Arc::new(Shape::List(item))),
    }
}

fn object(schema: &Value) -> Shape {
    let mut fields = declared(schema);
    let preserve = flag(schema, "x-kubernetes-preserve-unknown-fields");
    if flag(schema, "x-kubernetes-embedded-resource") {
        for name in ["apiVersion", "kind"] {
            fields.insert(name.to_owned(), Arc::new(Shape::Scalar(ScalarType::String)));
        }
        fields.insert("metadata".to_owned(), OBJECT_META.clone());
    }
    let inner = match schema.get("additionalProperties") {
        Some(Value::Object(inner)) if fields.is_empty() => {
            Shape::Map(shape(&Value::Object(inner.clone())))
        }
        Some(Value::Bool(true)) if fields.is_empty() => Shape::Map(Arc::new(Shape::Untyped)),
        _ if preserve && fields.is_empty() => Shape::Untyped,
        _ if preserve => Shape::Open(fields),
        _ => Shape::Struct(fields),
    };
    match text(schema, "x-kubernetes-map-type") {
        "atomic" => Shape::Atomic(Arc::new(inner)),
        _ => inner,
    }
}

/// Writes the schema's defaults into absent fields.
pub(crate) fn fill_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if let (false, Some(default)) = (fields.contains_key(name), inner.get("default")) {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(child) = fields.get_mut(name) {
                    fill_defaults(inner, child);
                }
            }
            if let Some(inner) = schema
                .get("additionalProperties")
                .filter(|inner| inner.is_object())
            {
                fields
                    .values_mut()
                    .for_each(|child| fill_defaults(inner, child));
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                items
                    .iter_mut()
                    .for_each(|child| fill_defaults(inner, child));
            }
        }
        _ => {}
    }
}

/// Checks a custom resource against its schema.
pub(crate) fn validate(schema: &Value, value: &Value, causes: &mut Vec<Cause>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    check_required(schema, value, "", causes);
    for (name, inner) in properties.into_iter().flatten() {
        // The type is not part of a stored object, and metadata has rules of its own.
        if let (false, Some(child)) = (
            ["apiVersion", "kind", "metadata"].contains(&name.as_str()),
            value.get(name),
        ) {
            check(inner, child, name, causes);
        }
    }
}

fn check_required(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none()
            && !(path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name))
        {
            let field = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            causes.push(Cause::required(field, ""));
        }
    }
}

fn check(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && flag(schema, "nullable") {
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect();
        causes.push(Cause::not_supported(path, value, &allowed));
    }
    let want = text(schema, "type");
    let got = json_type(value);
    let fits = want.is_empty()
        || want == got
        || (want == "number" && got == "integer")
        || flag(schema, "x-kubernetes-int-or-string");
    if !fits {
        causes.push(Cause::wrong_type(path, want, got));
        return;
    }
    match value {
        Value::String(text) => check_string(schema, text, path, causes),
        Value::Number(number) => check_number(
            schema,
            number.as_f64().unwrap_or_default(),
            value,
            path,
            causes,
        ),
        Value::Array(items) => {
            check_count(
                schema,
                items.len(),
                ["minItems", "maxItems"],
                "items",
                value,
                path,
                causes,
            );
            if let Some(inner) = schema.get("items") {
                for (index, child) in items.iter().enumerate() {
                    check(inner, child, &format!("{path}[{index}]"), causes);
                }
            }
        }
        Value::Object(fields) => {
            check_required(schema, value, path, causes);
            check_count(
                schema,
                fields.len(),
                ["minProperties", "maxProperties"],
                "properties",
                value,
                path,
                causes,
            );
            for (name, child) in fields {
                let declared = schema.get("properties").and_then(|all| all.get(name));
                let inner = declared.or_else(|| {
                    schema
                        .get("additionalProperties")
                        .filter(|one| one.is_object())
                });
                if let Some(inner) = inner {
                    check(inner, child, &format!("{path}.{name}"), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_string(schema: &Value, content: &str, path: &str, causes: &mut Vec<Cause>) {
    let length = content.chars().count() as u64;
    if let Some(least) = schema
        .get("minLength")
        .and_then(Value::as_u64)
        .filter(|least| length < *least)
    {
        let why = format!("{path} in body should be at least {least} chars long");
        causes.push(Cause::invalid(path, &json!(content), &why));
    }
    if schema
        .get("maxLength")
        .and_then(Value::as_u64)
        .is_some_and(|most| length > most)
    {
        let most = &schema["maxLength"];
        let message = format!("Too long: may not be more than {most} bytes");
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message,
            field: path.to_owned(),
        });
    }
    let pattern = text(schema, "pattern");
    // A pattern that the regex engine does not know is not enforced.
    if !pattern.is_empty()
        && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(content))
    {
        let why = format!("{path} in body should match '{pattern}'");
        causes.push(Cause::invalid(path, &json!(content), &why));
    }
}

fn check_number(schema: &Value, number: f64, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        let why = format!("{path} in body should be greater than or equal to {least}");
        causes.push(Cause::invalid(path, value, &why));
    }
    if let Some(most) = bound("maximum").filter(|most| number > *most) {
        let why = format!("{path} in body should be less than or equal to {most}");
        causes.push(Cause::invalid(path, value, &why));
    }
}

fn check_count(
    schema: &Value,
    count: usize,
    [least, most]: [&str; 2],
    what: &str,
    value: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    if let Some(least) = bound(least).filter(|least| (count as u64) < *least) {
        let why = format!("{path} in body should have at least {least} {what}");
        causes.push(Cause::invalid(path, value, &why));
    }
    if let Some(most) = bound(most).filter(|most| count as u64 > *most) {
        let message = format!("Too many: {count}: must have at most {most} items");
        causes.push(Cause {
            reason: "FieldValueTooMany",
            message,
            field: path.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_cluster::shape::Mismatch;

    fn widget() -> Value {
        json!({"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "required": ["size"], "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 5},
                "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "maxItems": 1, "items": {"type": "object", "properties": {
                        "name": {"type": "string"}, "count": {"type": "integer", "default": 1}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            }},
        }})
    }

    #[test]
    fn defaults_are_filled_at_every_depth() {
        let mut value = json!({"spec": {"size": 1, "parts": [{"name": "a"}]}});
        fill_defaults(&widget(), &mut value);
        assert_eq!(
            value["spec"],
            json!({"size": 1, "color": "red", "parts": [{"name": "a", "count": 1}]})
        );
    }

    #[test]
    fn each_rule_names_its_field() {
        let mut causes = Vec::new();
        let value = json!({"metadata": {}, "spec": {"color": "green", "name": "X", "size": 9,
            "parts": [{"name": "a"}, {"name": "b"}], "labels": {"a": 1}}});
        validate(&widget(), &value, &mut causes);
        let found: Vec<String> = causes
            .iter()
            .map(|cause| format!("{} {}", cause.field, cause.reason))
            .collect();
        assert_eq!(
            found,
            [
                "spec.color FieldValueNotSupported",
                "spec.labels.a FieldValueTypeInvalid",
                "spec.name FieldValueInvalid",
                "spec.name FieldValueInvalid",
                "spec.parts FieldValueTooMany",
                "spec.size FieldValueInvalid",
            ]
        );
        causes.clear();
        validate(&widget(), &json!({"spec": {}}), &mut causes);
        assert_eq!(causes, [Cause::required("spec.size", "")]);
    }

    #[test]
    fn the_shape_knows_what_merges_and_what_is_declared() {
        let shape = root_shape(&widget());
        let value = json!({"spec": {"tags": ["a"], "parts": [{"name": "p", "count": 2}], "free": {"x": {"y": 1}}}});
        assert_eq!(
            crate::sim_cluster::typed::field_set(&value, &shape).paths(),
            [
                ".spec.free.x",
                ".spec.free.x.y",
                r#".spec.parts[name="p"]"#,
                r#".spec.parts[name="p"].count"#,
                r#".spec.parts[name="p"].name"#,
                r#".spec.tags[="a"]"#,
            ]
        );
        let unknown = shape.check(&json!({"spec": {"sise": 1}}));
        assert_eq!(
            unknown,
            [Mismatch::Unknown {
                path: "spec.sise".to_owned()
            }]
        );
    }
}
