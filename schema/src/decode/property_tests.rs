//! Properties of decoding: any document is answered without a panic, and what is accepted keeps
//! its meaning.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::shape::{Field, Format, Shape};
use super::{Unknown, decode, parse_json};
use crate::kind::Scope;
use crate::kind::admission::{AdmissionRules, admit};
use crate::kind::object_meta::OBJECT_META;
use crate::resource::{KINDS, Resource};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// Any JSON, with the field names that decoding knows among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9.:/T-]{0,20}".prop_map(Value::from),
        select(&["ManagedCluster", "ServiceAccount", "v1", "NoSelect"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![known_key(), any::<String>()];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(key, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn known_key() -> impl Strategy<Value = String> {
    fn collect(fields: &'static [Field], into: &mut Vec<&'static str>) {
        for field in fields {
            into.push(field.name);
            let shape = match field.shape {
                Shape::List { item, .. } => *item,
                shape => shape,
            };
            if let Shape::Object(fields) = shape {
                collect(fields, into);
            }
        }
    }
    let mut names = vec![
        "apiVersion",
        "kind",
        "metadata",
        "skein.dev/content",
        "skein.dev/sealed",
    ];
    collect(OBJECT_META, &mut names);
    KINDS
        .iter()
        .for_each(|info| collect(info.fields, &mut names));
    select(names).prop_map(str::to_owned)
}

/// A value that fits a shape.
fn fitting(shape: Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Integer { min, max } => (min..=max).prop_map(Value::from).boxed(),
        Shape::Text { min, max, format } => text(min, max, format),
        Shape::Time => "20[0-9]{2}-0[1-9]-[12][0-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\
                        (\\.[0-9]{1,9})?(Z|[+-]0[0-9]:30)"
            .prop_map(Value::from)
            .boxed(),
        Shape::Quantity => prop_oneof![
            "[0-9]{1,9}(m|k|Ki|Gi)?".prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
        ]
        .boxed(),
        Shape::IntOrPercent { min } => prop_oneof![
            (min..=i32::MAX as u32).prop_map(Value::from),
            (min..=100).prop_map(|percent| Value::from(format!("{percent}%"))),
        ]
        .boxed(),
        Shape::Bytes => "([A-Za-z0-9+/]{4}){0,5}".prop_map(Value::from).boxed(),
        Shape::List { item, keys } => vec(fitting(*item), 0..if keys.is_empty() { 4 } else { 2 })
            .prop_map(Value::from)
            .boxed(),
        Shape::Map { keys, values } => {
            let key = text(1, 60, keys).prop_map(|key| key.as_str().unwrap().to_owned());
            btree_map(key, fitting(*values), 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
                .boxed()
        }
        Shape::Object(fields) => fields_of(fields),
        Shape::AnyObject => btree_map("[a-z]{1,5}", any_json(), 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed(),
    }
}

fn text(min: usize, max: usize, format: Format) -> BoxedStrategy<Value> {
    let pattern = match format {
        Format::Any => {
            let size = min..=max.min(min + 12);
            return vec(any::<char>(), size)
                .prop_map(|c| Value::from(String::from_iter(c)))
                .boxed();
        }
        Format::OneOf(allowed) => return select(allowed).prop_map(Value::from).boxed(),
        Format::Label => "[a-z]([-a-z0-9]{0,20}[a-z0-9])?".to_owned(),
        Format::Subdomain => "[a-z]{1,9}(\\.[a-z0-9]{1,9}){0,3}".to_owned(),
        Format::QualifiedName | Format::LabelKey => {
            "([a-z]{1,9}/)?[A-Za-z0-9]([-A-Z_.]{0,9}[a-z0-9])?".to_owned()
        }
        Format::LabelValue => "([A-Za-z0-9]([-A-Z_.]{0,9}[a-z0-9])?)?".to_owned(),
        Format::ConditionReason => "[A-Za-z]([A-Za-z0-9_,:]{0,9}[A-Za-z0-9_])?".to_owned(),
        Format::Prefix(prefix) => format!("{prefix}[a-z-]{{0,9}}"),
        Format::RolloutDuration => "0|[0-9]{1,4}h([0-5]?[0-9]m)?|[0-9]{1,5}(m|s)".to_owned(),
        Format::ProgressDeadline => "None|[1-9][0-9]{0,3}h([0-5]?[0-9]s)?".to_owned(),
    };
    proptest::string::string_regex(&pattern)
        .unwrap()
        .prop_map(Value::from)
        .boxed()
}

fn fields_of(fields: &'static [Field]) -> BoxedStrategy<Value> {
    let all: Vec<_> = fields
        .iter()
        .map(|field| {
            let value = fitting(field.shape);
            match field.required {
                true => value.prop_map(Some).boxed(),
                false => proptest::option::of(value).boxed(),
            }
        })
        .collect();
    all.prop_map(move |values| {
        let named = fields.iter().map(|field| field.name.to_owned()).zip(values);
        Value::Object(
            named
                .filter_map(|(name, value)| value.map(|value| (name, value)))
                .collect(),
        )
    })
    .boxed()
}

/// A document that fits a kind.
fn document() -> impl Strategy<Value = Value> {
    let of_kind = |index: usize| {
        let info = &KINDS[index];
        (fields_of(info.fields), fields_of(OBJECT_META)).prop_map(
            move |(mut object, mut metadata)| {
                metadata["name"] = json!("a-name");
                metadata["generateName"] = Value::Null;
                metadata["namespace"] = if info.scope == Scope::Namespaced {
                    json!("a-namespace")
                } else {
                    Value::Null
                };
                object["apiVersion"] = json!(info.api_version());
                object["kind"] = json!(info.kind);
                object["metadata"] = metadata;
                repair(&mut object);
                object
            },
        )
    };
    (0..KINDS.len()).prop_flat_map(of_kind)
}

/// Makes feedback values hold what their type says, the one rule that shapes do not know.
fn repair(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(field)) = map.get_mut("fieldValue") {
                *field = Map::from_iter([
                    ("type".to_owned(), json!("Integer")),
                    ("integer".to_owned(), json!(7)),
                ]);
            }
            map.values_mut().for_each(repair);
        }
        Value::Array(items) => items.iter_mut().for_each(repair),
        _ => {}
    }
}

/// Replaces one node of a tree.
fn replace(value: &mut Value, at: &[Index], with: Value) {
    let (Some(index), rest) = (at.first(), at.get(1..).unwrap_or_default()) else {
        *value = with;
        return;
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            let nth = index.index(map.len());
            replace(map.values_mut().nth(nth).unwrap(), rest, with);
        }
        Value::Array(items) if !items.is_empty() => {
            let nth = index.index(items.len());
            replace(&mut items[nth], rest, with);
        }
        _ => *value = with,
    }
}

/// What holds for every document, accepted or not.
fn check(value: Value) -> Result<(), TestCaseError> {
    match decode(value.clone(), Unknown::Refuse) {
        Err(errors) => prop_assert!(!errors.is_empty() && errors.len() <= 51),
        Ok(decoded) => {
            let wire = decoded.resource.to_value();
            prop_assert_eq!(
                &Resource::from_value(wire.clone()).unwrap(),
                &decoded.resource
            );
            let again = decode(wire, Unknown::Refuse).unwrap();
            prop_assert_eq!(&again.resource, &decoded.resource);
            let text = decoded.resource.to_json();
            prop_assert_eq!(parse_json(text.as_bytes()).unwrap().to_string(), text);
            let rules = AdmissionRules::at(jiff::Timestamp::UNIX_EPOCH);
            if let Ok(admitted) = admit(decoded.resource, None, &rules) {
                let stored = Some(&admitted.resource);
                let again = admit(admitted.resource.clone(), stored, &rules).unwrap();
                prop_assert_eq!(&again.resource, &admitted.resource);
                prop_assert!(again.reviews.is_empty());
            }
        }
    }
    if let Ok(decoded) = decode(value, Unknown::Warn) {
        prop_assert!(decoded.warnings.len() <= 51);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_json_is_answered(value in any_json()) {
        check(value)?;
    }

    #[test]
    fn what_fits_the_shape_is_accepted_and_kept(value in document()) {
        prop_assert!(decode(value.clone(), Unknown::Refuse).is_ok());
        check(value)?;
    }

    #[test]
    fn a_broken_document_is_answered(
        mut value in document(),
        at in vec(any::<Index>(), 1..6),
        with in any_json(),
    ) {
        replace(&mut value, &at, with);
        check(value)?;
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(value) = parse_json(&bytes) {
            prop_assert_eq!(value, serde_json::from_slice::<Value>(&bytes).unwrap());
        }
    }

    #[test]
    fn json_is_read_as_it_was_written(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(parse_json(text.as_bytes()).unwrap().to_string(), text);
    }
}
