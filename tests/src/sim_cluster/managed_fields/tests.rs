use super::*;
use crate::sim_cluster::kinds;

fn writer(manager: &str) -> Writer {
    Writer {
        manager: manager.to_owned(),
        api_version: "v1".to_owned(),
        subresource: String::new(),
        time: "2030-01-01T00:00:00Z".to_owned(),
    }
}

fn configmaps() -> &'static ResourceType {
    kinds::builtin("", "v1", "configmaps").expect("built in")
}

fn data(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn applied(live: &Value, config: &Value, manager: &str) -> Value {
    apply(live, config, configmaps(), &writer(manager), false).expect("no conflict")
}

fn owners(object: &Value) -> Vec<(String, Vec<String>)> {
    read(object)
        .iter()
        .map(|entry| (entry.writer.manager.clone(), entry.fields.paths()))
        .collect()
}

#[test]
fn two_managers_share_an_object_and_each_removes_only_its_own() {
    let one = applied(&json!({}), &data(&json!({"a": "1", "shared": "s"})), "one");
    let both = applied(&one, &data(&json!({"b": "2", "shared": "s"})), "two");
    assert_eq!(both["data"], json!({"a": "1", "b": "2", "shared": "s"}));
    let left = applied(&both, &data(&json!({})), "one");
    assert_eq!(
        left["data"],
        json!({"b": "2", "shared": "s"}),
        "shared is still owned by two"
    );
    assert_eq!(
        owners(&left),
        [
            ("one".to_owned(), vec![".data".to_owned()]),
            (
                "two".to_owned(),
                vec![".data.b".to_owned(), ".data.shared".to_owned()]
            ),
        ]
    );
}

#[test]
fn a_conflict_names_managers_and_fields_and_force_takes_over() {
    let one = applied(&json!({}), &data(&json!({"a": "1", "b": "1"})), "one");
    let config = data(&json!({"a": "2", "b": "2"}));
    let error = apply(&one, &config, configmaps(), &writer("two"), false).expect_err("conflict");
    assert_eq!(error.code, 409);
    assert_eq!(
        error.message,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b"
    );
    assert_eq!(
        error.details["causes"][0],
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"})
    );
    let forced = apply(&one, &config, configmaps(), &writer("two"), true).expect("forced");
    assert_eq!(forced["data"], json!({"a": "2", "b": "2"}));
    assert_eq!(
        owners(&forced),
        [(
            "two".to_owned(),
            vec![".data.a".to_owned(), ".data.b".to_owned()]
        )]
    );
}

#[test]
fn an_update_takes_ownership_and_apply_then_conflicts_with_it() {
    let one = applied(&json!({}), &data(&json!({"a": "1"})), "one");
    let mut edited = one.clone();
    edited["data"]["a"] = "edited".into();
    track_update(
        Before::Object(&one),
        &mut edited,
        configmaps(),
        &writer("kubectl-edit"),
    );
    assert_eq!(
        owners(&edited),
        [("kubectl-edit".to_owned(), vec![".data.a".to_owned()])]
    );
    let error = apply(
        &edited,
        &data(&json!({"a": "1"})),
        configmaps(),
        &writer("one"),
        false,
    );
    assert_eq!(
        error.expect_err("conflict").message,
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.a"
    );
}

#[test]
fn applying_the_same_again_changes_nothing_not_even_the_time() {
    let config = data(&json!({"a": "1"}));
    let once = applied(&json!({}), &config, "one");
    let later = Writer {
        time: "2031-01-01T00:00:00Z".to_owned(),
        ..writer("one")
    };
    assert_eq!(apply(&once, &config, configmaps(), &later, false), Ok(once));
}

#[test]
fn what_nobody_owns_survives_its_neighbours() {
    let mut live = applied(&json!({}), &data(&json!({"a": "1"})), "one");
    live["data"]["unowned"] = "u".into();
    let left = applied(&live, &data(&json!({"b": "2"})), "one");
    assert_eq!(left["data"], json!({"b": "2", "unowned": "u"}));
}

#[test]
fn status_belongs_to_the_status_door() {
    let pods = kinds::builtin("", "v1", "pods").expect("built in");
    let config = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
    let through_main = apply(&json!({}), &config, pods, &writer("main"), false).expect("applied");
    assert_eq!(
        owners(&through_main)[0].1,
        [".metadata.labels.a", ".spec.nodeName"]
    );
    let status = Writer {
        subresource: "status".to_owned(),
        ..writer("kubelet")
    };
    let through_status = apply(&json!({}), &config, pods, &status, false).expect("applied");
    assert_eq!(owners(&through_status)[0].1, [".status.phase"]);
}
