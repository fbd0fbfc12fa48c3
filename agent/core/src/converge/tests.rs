#![allow(clippy::needless_pass_by_value, reason = "tables of json! values")]

use super::*;
use serde_json::json;
use skein_schema::kind::manifest::Manifest;
use skein_schema::kind::manifest_work::{ManifestWorkSpec, ManifestsTemplate};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}})
}

fn owner() -> Owner {
    Owner {
        name: "hub-web".into(),
        uid: "o1".into(),
    }
}

fn work(manifests: &[Value], configs: Value, delete_option: Value) -> DesiredWork {
    let manifests: Vec<Manifest> = manifests
        .iter()
        .map(|m| Manifest::Inline(map(m.clone())))
        .collect();
    DesiredWork {
        name: skein_schema::name::ObjectName::new("web").unwrap(),
        uid: uuid::Uuid::nil(),
        generation: 1,
        resource_version: 1,
        spec: ManifestWorkSpec {
            workload: ManifestsTemplate { manifests },
            manifest_configs: serde_json::from_value(configs).unwrap(),
            delete_option: serde_json::from_value(delete_option).unwrap(),
            executor: None,
        },
        deletion_timestamp: None,
    }
}

fn begin(manifests: &[Value]) -> Convergence {
    let inputs = manifests.iter().map(|m| Ok(map(m.clone()))).collect();
    Convergence::new(
        &work(manifests, json!([]), Value::Null),
        inputs,
        owner(),
        None,
    )
}

/// Answers look-ups as an API server does that knows every kind but `Unknown`.
fn resolve(convergence: &mut Convergence, lookups: Vec<Lookup>) {
    for lookup in lookups {
        let mapping = Mapping {
            resource: format!("{}s", lookup.kind.to_lowercase()),
            namespaced: !["Namespace", "CustomResourceDefinition"].contains(&lookup.kind.as_str()),
        };
        let mapping = (lookup.kind != "Unknown").then_some(mapping);
        convergence.resolved(lookup.index, mapping);
    }
}

fn live(index: usize) -> Map<String, Value> {
    map(json!({"metadata": {"uid": format!("u{index}")}}))
}

/// Runs to the end and tells what was done.
fn run(convergence: &mut Convergence) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match convergence.next() {
            Next::Resolve(lookups) => resolve(convergence, lookups),
            Next::Apply(steps) => {
                let indexes: Vec<usize> = steps.iter().map(|step| step.index).collect();
                told.push(format!("apply {indexes:?}"));
                indexes
                    .iter()
                    .for_each(|index| convergence.applied(*index, Ok(&live(*index))));
            }
            Next::Await(gates) => {
                told.push(format!(
                    "await {:?}",
                    gates.iter().map(|g| g.index).collect::<Vec<_>>()
                ));
                gates.iter().for_each(|gate| convergence.opened(gate.index));
            }
            Next::Done => return told,
        }
    }
}

#[test]
fn waves_wait_for_what_the_next_ones_need() {
    let mut convergence = begin(&[
        object("example.com/v1", "Widget", "w"),
        object("apps/v1", "Deployment", "d"),
        object("v1", "Namespace", "shop"),
        object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "widgets.example.com",
        ),
    ]);
    assert_eq!(
        run(&mut convergence),
        ["apply [2, 3]", "await [2, 3]", "apply [1]", "apply [0]"]
    );
    assert!(
        convergence
            .outcomes()
            .iter()
            .all(|o| matches!(o.result, ManifestResult::Applied { .. }))
    );
}

#[test]
fn a_kind_is_looked_up_only_when_its_wave_has_come() {
    let mut convergence = begin(&[
        object("example.com/v1", "Widget", "w"),
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "c"),
    ]);
    let Next::Resolve(first) = convergence.next() else {
        panic!()
    };
    assert_eq!(first.iter().map(|l| l.index).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_gate_that_stays_shut_holds_nothing_up_for_ever() {
    let mut convergence = begin(&[
        object("v1", "Namespace", "n"),
        object("v1", "ConfigMap", "c"),
    ]);
    let mut awaited = 0;
    loop {
        match convergence.next() {
            Next::Resolve(lookups) => resolve(&mut convergence, lookups),
            Next::Apply(steps) => steps
                .iter()
                .for_each(|s| convergence.applied(s.index, Ok(&live(0)))),
            Next::Await(_) => {
                awaited += 1;
                convergence.give_up();
            }
            Next::Done => break,
        }
    }
    assert_eq!((awaited, convergence.outcomes().len()), (1, 2));
}

#[test]
fn one_failure_stops_no_other_manifest() {
    let manifests = [
        object("v1", "Unknown", "u"),
        object("v1", "ConfigMap", "c"),
        json!({"apiVersion": "v1"}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
    ];
    let inputs = vec![
        Ok(map(manifests[0].clone())),
        Err(ApplyError::Content("not here yet".into())),
        Ok(map(manifests[2].clone())),
        Ok(map(manifests[3].clone())),
    ];
    let work = work(&manifests, json!([]), Value::Null);
    let mut convergence = Convergence::new(&work, inputs, owner(), None);
    assert_eq!(run(&mut convergence), Vec::<String>::new());
    let errors: Vec<String> = convergence
        .outcomes()
        .into_iter()
        .map(|outcome| match outcome.result {
            ManifestResult::Failed(error) => error.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        errors,
        [
            "the server doesn't have a resource type \"Unknown\"",
            "the manifest's content cannot be had: not here yet",
            "Object 'Kind' is missing",
            "metadata.namespace is missing, and the kind is namespaced",
        ]
    );
}

#[test]
fn a_complete_manifest_is_not_written_again() {
    let manifests = [
        object("batch/v1", "Job", "j"),
        object("v1", "ConfigMap", "c"),
    ];
    let reported: ManifestWorkStatus = serde_json::from_value(json!({"resourceStatus": {"manifests": [{
        "resourceMeta": {"ordinal": 7, "group": "batch", "version": "v1", "kind": "Job", "resource": "jobs",
            "name": "j", "namespace": "shop"},
        "conditions": [{"type": "Complete", "status": "True", "reason": "ConditionRuleEvaluated",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }]}}))
    .unwrap();
    let inputs = manifests.iter().map(|m| Ok(map(m.clone()))).collect();
    let work = work(&manifests, json!([]), Value::Null);
    let mut convergence = Convergence::new(&work, inputs, owner(), Some(&reported));
    assert_eq!(run(&mut convergence), ["apply [1]"]);
    assert_eq!(convergence.outcomes()[0].result, ManifestResult::Complete);
    assert!(!frozen(Some(&reported)));
}

fn step(manifest: &Value, config: Value, delete_option: Value) -> ApplyStep {
    let configs = match config {
        Value::Null => json!([]),
        strategy => {
            json!([{"resourceIdentifier": {"group": "", "resource": "configmaps", "name": "*",
            "namespace": "*"}, "updateStrategy": strategy}])
        }
    };
    let manifests = std::slice::from_ref(manifest);
    let work = work(manifests, configs, delete_option);
    let mut convergence = Convergence::new(&work, vec![Ok(map(manifest.clone()))], owner(), None);
    loop {
        match convergence.next() {
            Next::Resolve(lookups) => resolve(&mut convergence, lookups),
            Next::Apply(mut steps) => return steps.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn strategies() {
    let manifest = object("v1", "ConfigMap", "c");
    let strategy = |config: Value| step(&manifest, config, Value::Null).strategy;
    let apply = |manager: &str, force| Strategy::ServerSideApply {
        field_manager: manager.into(),
        force,
    };
    assert_eq!(strategy(Value::Null), apply("work-agent-web", true));
    assert_eq!(
        strategy(json!({"type": "Update"})),
        apply("work-agent-web", true)
    );
    assert_eq!(
        strategy(json!({"type": "ServerSideApply"})),
        apply("work-agent-web", false)
    );
    assert_eq!(
        strategy(
            json!({"type": "ServerSideApply", "serverSideApply": {"force": true, "fieldManager": "work-agent-x"}})
        ),
        apply("work-agent-x", true)
    );
    assert_eq!(
        strategy(json!({"type": "CreateOnly"})),
        Strategy::CreateOnly
    );
    assert_eq!(strategy(json!({"type": "ReadOnly"})), Strategy::ReadOnly);
    let ignoring = json!({"type": "ServerSideApply", "serverSideApply": {"ignoreFields": [{"jsonPaths": [".a"]}]}});
    assert!(matches!(strategy(ignoring), Strategy::Unsupported(_)));
}

#[test]
fn field_managers_fit_kubernetes_limit() {
    let long = skein_schema::name::ObjectName::new("a".repeat(180)).unwrap();
    let name = default_field_manager(&long);
    assert_eq!(name.len(), 128);
    assert!(name.starts_with("work-agent-aaa"));
}

#[test]
fn the_body_is_the_manifest_with_an_owner_and_without_what_is_the_servers() {
    let mut manifest = object("v1", "ConfigMap", "c");
    manifest["metadata"]["uid"] = json!("x");
    manifest["metadata"]["resourceVersion"] = json!("1");
    manifest["metadata"]["managedFields"] = json!([]);
    manifest["metadata"]["labels"] = json!({"a": "1", "old-": ""});
    manifest["data"] = json!({"k": "v"});
    let step = step(&manifest, Value::Null, Value::Null);
    assert_eq!(
        Value::Object(step.body.clone()),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}, "metadata": {
            "name": "c", "namespace": "shop", "labels": {"a": "1"},
            "ownerReferences": [{"apiVersion": "work.open-cluster-management.io/v1",
                "kind": "AppliedManifestWork", "name": "hub-web", "uid": "o1"}]}})
    );
    assert!(step.owned);
    let live = |labels: Value| {
        map(json!({"metadata": {"uid": "u", "resourceVersion": "3", "labels": labels}}))
    };
    assert_eq!(step.cleanup_patch(&live(json!({"a": "1"}))), None);
    assert_eq!(
        step.cleanup_patch(&live(json!({"a": "1", "old": "x"}))),
        Some(json!({"metadata": {"uid": "u", "resourceVersion": "3", "labels": {"old": null}}}))
    );
}

#[test]
fn an_orphan_has_no_owner_and_loses_an_old_one() {
    let step = step(
        &object("v1", "ConfigMap", "c"),
        Value::Null,
        json!({"propagationPolicy": "Orphan"}),
    );
    assert!(!step.owned);
    assert_eq!(step.body["metadata"].get("ownerReferences"), None);
    let live = map(json!({"metadata": {"uid": "u", "resourceVersion": "3",
        "ownerReferences": [{"uid": "o1"}, {"uid": "other"}]}}));
    assert_eq!(
        step.cleanup_patch(&live),
        Some(
            json!({"metadata": {"uid": "u", "resourceVersion": "3", "ownerReferences": [{"uid": "other"}]}})
        )
    );
}

#[test]
fn nothing_is_applied_that_is_not_recorded() {
    let manifests = [
        object("v1", "Namespace", "shop"),
        object("v1", "ConfigMap", "a"),
        object("example.com/v1", "Widget", "w"),
        object("v1", "Secret", "orphan"),
    ];
    let option = json!({
        "propagationPolicy": "SelectivelyOrphan",
        "selectivelyOrphans": {"orphaningRules": [
            {"group": "", "resource": "secrets", "namespace": "shop", "name": "orphan"}]},
    });
    let inputs = manifests.iter().map(|m| Ok(map(m.clone()))).collect();
    let mut convergence =
        Convergence::new(&work(&manifests, json!([]), option), inputs, owner(), None);
    convergence.record_first(Vec::new());
    // Everything but widgets is known before.
    let known = convergence.lookups().into_iter();
    let known = known.filter(|lookup| lookup.kind != "Widget").collect();
    resolve(&mut convergence, known);

    assert_eq!(convergence.next(), Next::Done);
    let names = |recorded: &[AppliedResource]| -> Vec<String> {
        assert!(recorded.iter().all(|resource| resource.uid.is_empty()));
        recorded
            .iter()
            .map(|resource| resource.name.clone())
            .collect()
    };
    let intended = convergence.unrecorded().unwrap();
    assert_eq!(names(&intended), ["shop", "a"]);
    convergence.record_first(intended);
    assert_eq!(
        run(&mut convergence),
        ["apply [0]", "await [0]", "apply [1, 3]"],
        "the widget waits for its record"
    );
    let intended = convergence.unrecorded().unwrap();
    assert_eq!(names(&intended), ["shop", "a", "w"]);
    convergence.record_first(intended);
    assert_eq!(run(&mut convergence), ["apply [2]"]);
    assert_eq!(convergence.unrecorded(), None);
    assert_eq!(convergence.outcomes().len(), 4);
}

#[test]
fn what_is_only_looked_at_is_not_recorded() {
    let manifests = [object("v1", "ConfigMap", "a")];
    let configs = json!([{
        "resourceIdentifier": {"group": "", "resource": "configmaps", "namespace": "shop", "name": "a"},
        "updateStrategy": {"type": "ReadOnly"},
    }]);
    let inputs = manifests.iter().map(|m| Ok(map(m.clone()))).collect();
    let work = work(&manifests, configs, Value::Null);
    let mut convergence = Convergence::new(&work, inputs, owner(), None);
    convergence.record_first(Vec::new());
    assert_eq!(run(&mut convergence), ["apply [0]"]);
    assert_eq!(convergence.unrecorded(), None);
}
