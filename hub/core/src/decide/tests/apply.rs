//! Apply and patch.

use serde_json::{Value, json};
use skein_schema::code::Code;
use skein_schema::command::{Change, Command, FieldValidation, Precondition};

use crate::scenario::*;

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    if document.pointer(parent).is_none() {
        document = with(document, parent, json!({}));
    }
    document.pointer_mut(parent).unwrap()[name] = value;
    document
}

#[test]
fn an_object_is_made_with_what_the_hub_sets() {
    let mut hub = Scenario::new();
    let before = hub.world.sequence();
    let done = hub.run(&apply(set_document("eu"))).unwrap();
    assert_eq!(done.change, Change::Created);
    assert_eq!(hub.events_after(before), ["resource.applied.v1"]);
    let view = hub.view(&set_key("eu"));
    assert_eq!(view["metadata"]["generation"], 1);
    assert_eq!(
        view["metadata"]["creationTimestamp"],
        "2026-11-23T12:00:00Z"
    );
    assert_eq!(
        view["metadata"]["resourceVersion"],
        (before + 1).to_string()
    );
    assert_eq!(
        view["spec"]["clusterSelector"]["selectorType"],
        "ExclusiveClusterSetLabel"
    );
}

#[test]
fn applying_the_same_again_records_nothing() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let documents = [
        set_document("eu"),
        with(
            cluster_document("c1"),
            "/spec/leaseDurationSeconds",
            json!(30),
        ),
        work_document("c1", "web", &[config_map("a", "x")]),
        work_document("c1", "big", &[config_map("a", &"x".repeat(9_000))]),
        namespace_document("shop"),
        binding_document("shop", "eu"),
    ];
    for document in documents {
        hub.run(&apply(document.clone())).unwrap();
        let before = hub.world.clone();
        let again = hub.run(&apply(document.clone())).unwrap();
        assert_eq!(again.change, Change::Unchanged, "{document}");
        assert!(again.is_empty() && again.contents.is_empty());
        assert!(again.object.is_some());
        assert_eq!(hub.world, before);
    }
}

#[test]
fn generation_rises_with_spec_and_not_with_labels() {
    let key = set_key("eu");
    let mut hub = Scenario::new().with(set_document("eu"));
    let labelled = with(set_document("eu"), "/metadata/labels", json!({"a": "b"}));
    assert_eq!(
        hub.run(&apply(labelled.clone())).unwrap().change,
        Change::Configured
    );
    assert_eq!(hub.view(&key)["metadata"]["generation"], 1);
    let changed = with(
        labelled,
        "/spec/managedNamespaces",
        json!([{"name": "shop"}]),
    );
    hub.run(&apply(changed)).unwrap();
    assert_eq!(hub.view(&key)["metadata"]["generation"], 2);
}

#[test]
fn what_a_manager_no_longer_lists_goes_and_what_others_set_stays() {
    let key = cluster_key("c1");
    let listed = with(
        cluster_document("c1"),
        "/metadata/labels",
        json!({"mine": "1", "both": "1"}),
    );
    let mut hub = Scenario::new().with(listed);
    hub.run(&patch(
        key.clone(),
        json!({"metadata": {"labels": {"theirs": "1"}}}),
    ))
    .unwrap();
    let other = with(
        cluster_document("c1"),
        "/metadata/labels",
        json!({"both": "1"}),
    );
    hub.run(&apply_by("other", other)).unwrap();
    hub.run(&apply(cluster_document("c1"))).unwrap();
    let labels = hub.view(&key)["metadata"]["labels"].clone();
    assert_eq!(
        labels,
        json!({"both": "1", "theirs": "1", "cluster.open-cluster-management.io/clusterset": "default"})
    );
}

#[test]
fn leaving_out_hub_accepts_client_shuts_nobody_out() {
    let accepted = with(
        cluster_document("c1"),
        "/spec/hubAcceptsClient",
        json!(true),
    );
    let mut hub = Scenario::new().with(accepted);
    hub.run(&apply(cluster_document("c1"))).unwrap();
    assert!(hub.cluster("c1").spec.hub_accepts_client);
    hub.run(&apply(with(
        cluster_document("c1"),
        "/spec/hubAcceptsClient",
        json!(false),
    )))
    .unwrap();
    assert!(!hub.cluster("c1").spec.hub_accepts_client);
}

#[test]
fn a_default_that_nobody_wrote_does_not_overwrite() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    hub.run(&patch(
        cluster_key("c1"),
        json!({"spec": {"leaseDurationSeconds": 120}}),
    ))
    .unwrap();
    hub.run(&apply(with(
        cluster_document("c1"),
        "/metadata/labels",
        json!({"a": "b"}),
    )))
    .unwrap();
    assert_eq!(hub.cluster("c1").spec.lease_duration_seconds, Some(120));
}

#[test]
fn accepting_by_document_records_the_acceptance_and_makes_the_namespace() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    let before = hub.world.sequence();
    let accepted = with(
        cluster_document("c1"),
        "/spec/hubAcceptsClient",
        json!(true),
    );
    let done = hub.run(&apply(accepted)).unwrap();
    assert_eq!(hub.world.sequence(), before + 1, "one command, one record");
    assert_eq!(
        hub.events_after(before),
        [
            "resource.applied.v1",
            "cluster.accepted.v1",
            "resource.applied.v1"
        ]
    );
    assert_eq!(hub.cluster("c1").metadata.generation, Some(2));
    assert!(hub.world.get(&namespace_key("c1")).is_some());
    let asked: Vec<_> = done
        .asked
        .iter()
        .map(|review| (&*review.verb, &*review.subresource))
        .collect();
    assert_eq!(asked, [("patch", ""), ("update", "accept")]);
    assert_eq!(
        hub.condition(&cluster_key("c1"), "HubAcceptedManagedCluster")
            .as_deref(),
        Some("True/HubClusterAdminAccepted")
    );
}

#[test]
fn moving_to_another_set_asks_for_both() {
    let mut hub = Scenario::new()
        .with(set_document("eu"))
        .with(cluster_document("c1"));
    let label = json!({"cluster.open-cluster-management.io/clusterset": "eu"});
    let done = hub
        .run(&patch(
            cluster_key("c1"),
            json!({"metadata": {"labels": label}}),
        ))
        .unwrap();
    let asked: Vec<_> = done
        .asked
        .iter()
        .map(|review| (&*review.subresource, &*review.name))
        .collect();
    assert_eq!(asked, [("", "c1"), ("join", "default"), ("join", "eu")]);
}

#[test]
fn a_document_from_an_earlier_read_is_a_promise_that_nothing_changed() {
    let mut hub = Scenario::new().with(set_document("eu"));
    let read = hub.view(&set_key("eu"));
    hub.run(&patch(
        set_key("eu"),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ))
    .unwrap();
    assert_eq!(code(hub.run(&apply(read.clone()))), Code::Conflict);
    let mut other = hub.view(&set_key("eu"));
    hub.run(&apply(other.clone())).unwrap();
    other["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000009");
    assert_eq!(code(hub.run(&apply(other))), Code::Conflict);
}

#[test]
fn preconditions_hold_or_refuse() {
    let mut hub = Scenario::new().with(set_document("eu"));
    let version = hub.world.sequence();
    let mut with = |precondition, name: &str| {
        let Command::Apply {
            resource,
            manager,
            validation,
            dry_run,
            ..
        } = apply(set_document(name))
        else {
            unreachable!()
        };
        hub.run(&Command::Apply {
            resource,
            manager,
            validation,
            dry_run,
            precondition,
        })
    };
    assert_eq!(
        code(with(Precondition::MustNotExist, "eu")),
        Code::AlreadyExists
    );
    assert_eq!(code(with(Precondition::MustExist, "us")), Code::NotFound);
    assert_eq!(
        code(with(Precondition::ResourceVersion(version + 7), "eu")),
        Code::Conflict
    );
    assert_eq!(
        code(with(Precondition::ResourceVersion(version), "us")),
        Code::NotFound
    );
    assert!(with(Precondition::MustNotExist, "us").is_ok());
    assert!(with(Precondition::ResourceVersion(version), "eu").is_ok());
}

#[test]
fn unknown_fields_are_refused_dropped_or_dropped_silently() {
    let mut hub = Scenario::new();
    let document = with(set_document("eu"), "/spec/colour", json!("red"));
    let mut with = |validation| {
        let Command::Apply {
            resource,
            manager,
            precondition,
            dry_run,
            ..
        } = apply(document.clone())
        else {
            unreachable!()
        };
        hub.run(&Command::Apply {
            resource,
            manager,
            precondition,
            dry_run,
            validation,
        })
    };
    let refusal = with(FieldValidation::Strict).unwrap_err();
    assert_eq!(refusal.code, Code::UnknownField);
    assert_eq!(refusal.causes[0].path, "spec.colour");
    let warned = with(FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings, ["spec.colour: unknown field"]);
    assert!(with(FieldValidation::Ignore).unwrap().warnings.is_empty());
}

#[test]
fn bad_documents_are_refused_with_their_place_and_change_nothing() {
    let mut hub = Scenario::new();
    let objects = hub.world.objects().count();
    let bad = [
        (json!("text"), Code::InvalidField, ""),
        (
            json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}),
            Code::UnknownKind,
            "kind",
        ),
        (set_document("*"), Code::InvalidName, "metadata.name"),
        (set_document("a>b"), Code::InvalidName, "metadata.name"),
        (
            set_document(&"a".repeat(254)),
            Code::InvalidName,
            "metadata.name",
        ),
        (cluster_document("a.b"), Code::InvalidName, "metadata.name"),
        (
            cluster_document("UPPER"),
            Code::InvalidName,
            "metadata.name",
        ),
        (
            with(
                cluster_document("c1"),
                "/spec/leaseDurationSeconds",
                json!("60"),
            ),
            Code::InvalidField,
            "spec.leaseDurationSeconds",
        ),
        (
            with(set_document("eu"), "/metadata/generateName", json!("x-")),
            Code::InvalidField,
            "metadata.generateName",
        ),
        (binding_document("nowhere", "eu"), Code::NotFound, ""),
        (
            work_document("nowhere", "web", &[config_map("a", "")]),
            Code::NotFound,
            "",
        ),
    ];
    for (document, expected, path) in bad {
        let refusal = hub.run(&apply(document.clone())).unwrap_err();
        assert_eq!(refusal.code, expected, "{document}: {refusal:?}");
        if !path.is_empty() {
            assert_eq!(refusal.causes[0].path, path, "{document}");
        }
    }
    assert_eq!(hub.world.objects().count(), objects);
}

#[test]
fn the_protected_sets_keep_their_selector_unless_they_are_freed() {
    let mut hub = Scenario::new();
    let narrowed = with(
        set_document("global"),
        "/spec/clusterSelector",
        json!({"selectorType": "LabelSelector", "labelSelector": {"matchLabels": {"env": "prod"}}}),
    );
    assert_eq!(code(hub.run(&apply(narrowed.clone()))), Code::Protected);
    let freed = with(
        narrowed,
        "/metadata/annotations",
        json!({"cluster.open-cluster-management.io/autoupdate": "false"}),
    );
    hub.run(&apply(freed)).unwrap();
    let labelled = with(
        set_document("default"),
        "/metadata/labels",
        json!({"a": "b"}),
    );
    assert!(hub.run(&apply(labelled)).is_ok());
}

#[test]
fn a_patch_reaches_labels_annotations_and_spec_only() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    let key = cluster_key("c1");
    for (document, path) in [
        (json!([]), ""),
        (json!({"status": {}}), "status"),
        (json!({"metadata": {"uid": "x"}}), "metadata.uid"),
        (
            json!({"metadata": {"managedFields": []}}),
            "metadata.managedFields",
        ),
        (json!({"spec": null}), "spec"),
        (json!({"spec": {"colour": "red"}}), "spec.colour"),
    ] {
        let refusal = hub.run(&patch(key.clone(), document.clone())).unwrap_err();
        assert_eq!(refusal.causes[0].path, path, "{document}: {refusal:?}");
    }
    assert_eq!(
        code(hub.run(&patch(cluster_key("c2"), json!({})))),
        Code::NotFound
    );
    let unchanged = hub.run(&patch(key, json!({}))).unwrap();
    assert_eq!(unchanged.change, Change::Unchanged);
}

#[test]
fn patched_labels_come_and_go() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    let key = cluster_key("c1");
    hub.run(&patch(
        key.clone(),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ))
    .unwrap();
    assert_eq!(hub.get(&key).label("a"), Some("b"));
    let again = hub
        .run(&patch(
            key.clone(),
            json!({"metadata": {"labels": {"a": "b"}}}),
        ))
        .unwrap();
    assert_eq!(again.change, Change::Unchanged);
    hub.run(&patch(
        key.clone(),
        json!({"metadata": {"labels": {"a": null}}}),
    ))
    .unwrap();
    assert_eq!(hub.get(&key).label("a"), None);
    let owners = hub.world.managed_fields(&key);
    assert!(
        !owners.contains("f:a"),
        "nobody owns what is gone: {owners}"
    );
}

#[test]
fn what_kubernetes_keeps_and_the_hub_does_not_is_said() {
    let mut hub = Scenario::new();
    let document = with(
        set_document("eu"),
        "/metadata/finalizers",
        json!(["example.com/wait"]),
    );
    let done = hub.run(&apply(document)).unwrap();
    assert_eq!(done.warnings.len(), 1);
    assert!(done.warnings[0].starts_with("metadata.finalizers"));
    assert_eq!(hub.view(&set_key("eu"))["metadata"].get("finalizers"), None);
}

#[test]
fn a_record_that_the_ledger_could_not_take_is_refused() {
    let mut hub = Scenario::new();
    let notes = json!({"a": "x".repeat(600_000), "b": "x".repeat(600_000)});
    let document = with(set_document("eu"), "/metadata/annotations", notes);
    assert_eq!(code(hub.run(&apply(document))), Code::TooLarge);
    assert!(hub.world.get(&set_key("eu")).is_none());
}
