use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::sim_cluster::kinds;

fn shape(group: &str, plural: &str) -> Arc<Shape> {
    kinds::builtin(group, "v1", plural)
        .expect("built in")
        .shape
        .clone()
}

fn pod(containers: &Value) -> Value {
    json!({"spec": {"containers": containers}})
}

#[test]
fn fields_of_an_object_follow_its_shape() {
    let service = json!({"metadata": {"labels": {"app": "a"}}, "spec": {
        "selector": {"app": "a"}, "ports": [{"port": 80}], "externalIPs": ["1.2.3.4"]}});
    assert_eq!(
        field_set(&service, &shape("", "services")).paths(),
        [
            ".metadata.labels.app",
            ".spec.externalIPs",
            ".spec.selector",
            r#".spec.ports[port=80,protocol="TCP"]"#,
            r#".spec.ports[port=80,protocol="TCP"].port"#,
        ]
    );
}

#[test]
fn comparing_names_each_path_once() {
    let pods = shape("", "pods");
    let old =
        pod(&json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]));
    let new = pod(&json!([{"name": "a", "image": "2", "env": [{"name": "E", "value": "v"}]}]));
    let comparison = compare(&old, &new, &pods);
    assert_eq!(
        comparison.modified.paths(),
        [r#".spec.containers[name="a"].image"#]
    );
    assert_eq!(
        comparison.removed.paths(),
        [
            r#".spec.containers[name="b"]"#,
            r#".spec.containers[name="a"].args"#,
            r#".spec.containers[name="b"].image"#,
            r#".spec.containers[name="b"].name"#,
        ]
    );
    assert_eq!(
        comparison.added.paths(),
        [
            r#".spec.containers[name="a"].env"#,
            r#".spec.containers[name="a"].env[name="E"]"#,
            r#".spec.containers[name="a"].env[name="E"].name"#,
            r#".spec.containers[name="a"].env[name="E"].value"#,
        ]
    );
    assert_eq!(compare(&old, &old, &pods), Comparison::default());
}

#[test]
fn merging_keeps_the_order_of_what_is_applied() {
    let pods = shape("", "pods");
    let names = |value: &Value| -> Vec<String> {
        let items = value
            .pointer("/spec/containers")
            .and_then(Value::as_array)
            .expect("containers");
        items
            .iter()
            .map(|item| item["name"].as_str().expect("name").to_owned())
            .collect()
    };
    for (live, config, merged) in [
        (vec!["a", "b"], vec!["b", "a"], vec!["b", "a"]),
        (vec!["a", "x", "b"], vec!["b", "a"], vec!["b", "a", "x"]),
        (vec!["x", "a"], vec!["n", "a"], vec!["x", "n", "a"]),
        (vec!["a"], vec![], vec!["a"]),
    ] {
        let list = |names: &[&str]| {
            pod(&Value::Array(
                names.iter().map(|name| json!({"name": name})).collect(),
            ))
        };
        assert_eq!(
            names(&merge(&list(&live), &list(&config), &pods)),
            merged,
            "{live:?} + {config:?}"
        );
    }
}

#[test]
fn atomic_parts_are_replaced_and_granular_parts_united() {
    let old = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"selector": {"app": "x", "tier": "y"}}});
    let new = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"selector": {"app": "z"}}});
    assert_eq!(
        merge(&old, &new, &shape("", "services")),
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"selector": {"app": "z"}}})
    );
}

#[test]
fn a_container_without_entries_is_null() {
    let value = json!({"metadata": {"labels": {"a": "1"}, "name": "n"}, "data": {"k": "v"}});
    let set = FieldSet::from_fields_v1(
        &json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:data": {"f:k": {}}}),
    );
    assert_eq!(
        remove(&value, &set, &shape("", "configmaps")),
        json!({"metadata": {"name": "n", "labels": null}, "data": null})
    );
}

#[test]
fn applied_lists_need_their_keys_and_no_doubles() {
    let pods = shape("", "pods");
    let missing = check_lists(&pod(&json!([{"image": "a"}])), &pods, "").expect_err("no name");
    assert!(missing.contains("omits key field \"name\""), "{missing}");
    let double =
        check_lists(&pod(&json!([{"name": "a"}, {"name": "a"}])), &pods, "").expect_err("twice");
    assert_eq!(
        double,
        r#".spec.containers: duplicate entries for key [name="a"]"#
    );
    check_lists(
        &pod(&json!([{"name": "a", "ports": [{"containerPort": 1}]}])),
        &pods,
        "",
    )
    .expect("fine");
}
