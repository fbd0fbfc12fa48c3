//! Laws of the three-way merge.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{FieldSet, Owners, apply, intent, patch, path};

/// A settable object: some labels, some fields, some taints.
fn object() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-d]", "[0-2]", 0..4);
    let fields = prop::collection::btree_map("[w-z]", 0..3i32, 0..4);
    let nested = prop::option::of(prop::collection::btree_map("[p-r]", "[0-2]", 0..3));
    let taints = prop::collection::btree_map("[k-n]", "[0-2]", 0..3);
    (labels, fields, nested, taints).prop_map(|(labels, fields, nested, taints)| {
        let mut spec = Map::new();
        spec.extend(fields.into_iter().map(|(name, value)| (name, json!(value))));
        if let Some(nested) = nested {
            spec.insert("nested".into(), json!(nested));
        }
        if !taints.is_empty() {
            let taints = taints
                .into_iter()
                .map(|(key, value)| json!({"key": key, "value": value}));
            spec.insert("taints".into(), taints.collect());
        }
        let mut object = Map::new();
        if !labels.is_empty() {
            object.insert("metadata".into(), json!({"labels": labels}));
        }
        if !spec.is_empty() {
            object.insert("spec".into(), Value::Object(spec));
        }
        Value::Object(object)
    })
}

/// What several managers made of an empty object.
fn applied(documents: &[(Value, &str)]) -> (Value, Owners) {
    let mut owners = Owners::default();
    let live = documents
        .iter()
        .fold(json!({}), |live, (document, manager)| {
            apply(&live, document, manager, &mut owners)
        });
    (live, owners)
}

proptest! {
    #[test]
    fn what_is_listed_is_as_listed(a in object(), b in object(), c in object()) {
        let (live, mut owners) = applied(&[(a, "x"), (b, "y")]);
        let merged = apply(&live, &c, "x", &mut owners);
        for leaf in FieldSet::of(&c).leaves() {
            match path::get(&c, &leaf) {
                // An object that is listed without anything in it is there; others may fill it.
                Some(Value::Object(_)) => prop_assert!(path::get(&merged, &leaf).is_some_and(Value::is_object)),
                listed => prop_assert_eq!(path::get(&merged, &leaf), listed),
            }
        }
    }

    #[test]
    fn applying_twice_is_applying_once(a in object(), b in object(), c in object()) {
        let (live, mut owners) = applied(&[(a, "x"), (b, "y")]);
        let once = apply(&live, &c, "x", &mut owners);
        let owners_once = owners.clone();
        let twice = apply(&once, &c, "x", &mut owners);
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(owners_once, owners);
    }

    #[test]
    fn what_others_list_stays_where_it_is_not_contradicted(a in object(), b in object(), c in object()) {
        let (live, mut owners) = applied(&[(a, "x"), (b.clone(), "y")]);
        let merged = apply(&live, &c, "x", &mut owners);
        let mine = FieldSet::of(&c);
        for leaf in FieldSet::of(&b).leaves() {
            if !mine.has(&leaf) && path::get(&b, &leaf).is_some_and(|value| !value.is_object()) {
                prop_assert_eq!(path::get(&merged, &leaf), path::get(&b, &leaf));
            }
        }
    }

    #[test]
    fn what_nobody_lists_any_more_is_gone(a in object(), b in object()) {
        let (live, mut owners) = applied(&[(a, "x")]);
        let merged = apply(&live, &b, "x", &mut owners);
        prop_assert_eq!(FieldSet::of(&merged), FieldSet::of(&b));
        let nothing = apply(&merged, &json!({}), "x", &mut owners);
        prop_assert_eq!(nothing, json!({}));
        prop_assert_eq!(owners, Owners::default());
    }

    #[test]
    fn what_the_object_had_before_anybody_applied_stays(a in object(), b in object(), c in object()) {
        let mut owners = Owners::default();
        let live = apply(&a, &b, "x", &mut owners);
        let merged = apply(&live, &c, "x", &mut owners);
        let (theirs, mine) = (FieldSet::of(&b), FieldSet::of(&c));
        for leaf in FieldSet::of(&a).leaves() {
            if !theirs.has(&leaf) && !mine.has(&leaf) {
                prop_assert_eq!(path::get(&merged, &leaf), path::get(&a, &leaf));
            }
        }
    }

    #[test]
    fn a_patch_survives_the_next_apply_of_somebody_who_did_not_list_it(a in object(), p in object()) {
        let (live, mut owners) = applied(&[(a.clone(), "x")]);
        let patched = patch(&live, &p, "y", &mut owners);
        let again = apply(&patched, &a, "x", &mut owners);
        let listed = FieldSet::of(&a);
        for leaf in FieldSet::of(&p).leaves() {
            let is_text = path::get(&p, &leaf).is_some_and(|value| !value.is_object());
            let in_list = leaf.iter().any(|segment| segment.name() == "taints");
            if is_text && !in_list && !listed.has(&leaf) {
                prop_assert_eq!(path::get(&again, &leaf), path::get(&p, &leaf));
            }
        }
    }

    #[test]
    fn owners_are_read_back(a in object(), b in object(), p in object()) {
        let (live, mut owners) = applied(&[(a, "x"), (b, "y")]);
        let _ = patch(&live, &p, "z", &mut owners);
        let entries = owners.to_entries("v1").unwrap_or_default();
        prop_assert_eq!(Owners::from_entries(&entries), owners.clone());
        prop_assert_eq!(Owners::parse(&Owners::text(&entries)), owners);
    }

    #[test]
    fn arbitrary_field_sets_do_no_harm(text in "\\PC{0,80}") {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let _ = FieldSet::from_value(&value);
    }
}

#[test]
fn the_last_writer_owns() {
    let (live, mut owners) = applied(&[
        (json!({"spec": {"x": 1, "y": 1}}), "first"),
        (json!({"spec": {"x": 2}}), "second"),
    ]);
    let merged = apply(&live, &json!({"spec": {"y": 1}}), "first", &mut owners);
    assert_eq!(
        merged,
        json!({"spec": {"x": 2, "y": 1}}),
        "x is the second's now"
    );
    let merged = apply(&merged, &json!({}), "second", &mut owners);
    assert_eq!(merged, json!({"spec": {"y": 1}}));
}

#[test]
fn taints_are_told_apart_by_their_key() {
    let live = json!({"spec": {"taints": [{"key": "hub", "value": "1"}]}});
    let mut owners = Owners::default();
    let mine =
        json!({"spec": {"taints": [{"key": "mine", "value": "1"}, {"key": "hub", "value": "2"}]}});
    let merged = apply(&live, &mine, "x", &mut owners);
    assert_eq!(
        merged,
        json!({"spec": {"taints": [{"key": "hub", "value": "2"}, {"key": "mine", "value": "1"}]}})
    );
    let merged = apply(&merged, &json!({"spec": {"taints": []}}), "x", &mut owners);
    let none = json!({"spec": {"taints": []}});
    assert_eq!(merged, none, "both were listed and are no longer");
    let untouched = apply(&live, &json!({"spec": {"taints": []}}), "y", &mut owners);
    assert_eq!(
        untouched, live,
        "an empty list says nothing of the hub's taint"
    );
}

#[test]
fn managed_fields_have_kubernetes_form() {
    let document = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"taints": [{"key": "k", "value": "v"}]}});
    let (_, owners) = applied(&[(document, "skein")]);
    let entries = owners
        .to_entries("cluster.open-cluster-management.io/v1")
        .unwrap();
    assert_eq!(
        serde_json::to_value(&entries[0]).unwrap(),
        json!({
            "apiVersion": "cluster.open-cluster-management.io/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:a": {}}},
                "f:spec": {"f:taints": {"k:{\"key\":\"k\"}": {}}},
            },
            "manager": "skein", "operation": "Apply",
        })
    );
}

#[test]
fn intent_is_what_was_written_without_defaults() {
    let written = json!({"spec": {"a": 1, "b": null, "list": [{"x": 1}]}});
    let decoded = json!({"spec": {"a": 1, "d": 60, "list": [{"x": 1, "y": 2}]}});
    assert_eq!(
        intent(&written, &decoded),
        json!({"spec": {"a": 1, "list": [{"x": 1, "y": 2}]}})
    );
}
