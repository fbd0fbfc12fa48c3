use super::*;
use crate::outcome::ApplyError;

fn owned(name: &str, uid: &str) -> AppliedResource {
    AppliedResource {
        group: String::new(),
        version: "v1".into(),
        resource: "configmaps".into(),
        namespace: "shop".into(),
        name: name.into(),
        uid: uid.into(),
    }
}

fn outcome(ordinal: i32, name: &str, result: ManifestResult) -> ManifestOutcome {
    let resource = ManifestResourceMeta {
        ordinal,
        group: String::new(),
        version: "v1".into(),
        kind: "ConfigMap".into(),
        resource: "configmaps".into(),
        name: name.into(),
        namespace: "shop".into(),
    };
    ManifestOutcome { resource, result }
}

fn written(uid: &str) -> ManifestResult {
    ManifestResult::Applied {
        uid: uid.into(),
        owned: true,
    }
}

fn failed() -> ManifestResult {
    ManifestResult::Failed(ApplyError::Failed("x".into()))
}

fn owner() -> Owner {
    Owner {
        name: "hub-web".into(),
        uid: "o1".into(),
    }
}

#[test]
fn what_is_no_longer_listed_is_obsolete_and_tracked_until_released() {
    let before = [owned("a", "1"), owned("b", "2"), owned("c", "3")];
    let outcomes = [
        outcome(0, "a", written("1")),
        outcome(1, "c", failed()),
        outcome(2, "d", written("4")),
    ];
    let ownership = record(&before, &outcomes);
    assert_eq!(
        ownership.obsolete,
        [Obsolete {
            resource: owned("b", "2"),
            keep: false
        }]
    );
    assert_eq!(
        ownership.tracked,
        [
            owned("b", "2"),
            owned("a", "1"),
            owned("c", "3"),
            owned("d", "4")
        ]
    );
}

#[test]
fn nothing_is_obsolete_while_an_object_is_unknown() {
    let mut unknown = outcome(0, "a", failed());
    unknown.resource.resource.clear();
    let ownership = record(&[owned("a", "1")], &[unknown]);
    assert_eq!(
        (ownership.obsolete, ownership.tracked),
        (vec![], vec![owned("a", "1")])
    );
}

#[test]
fn what_is_no_longer_owned_is_let_go_but_kept() {
    let unowned = ManifestResult::Applied {
        uid: "1".into(),
        owned: false,
    };
    for result in [unowned, ManifestResult::ReadOnly] {
        let ownership = record(&[owned("a", "1")], &[outcome(0, "a", result)]);
        assert_eq!(
            ownership.obsolete,
            [Obsolete {
                resource: owned("a", "1"),
                keep: true
            }]
        );
    }
}

#[test]
fn an_object_that_was_made_anew_is_tracked_with_its_new_uid() {
    let ownership = record(&[owned("a", "1")], &[outcome(0, "a", written("9"))]);
    assert_eq!(
        (ownership.obsolete, ownership.tracked),
        (vec![], vec![owned("a", "9")])
    );
}

#[test]
fn releasing() {
    let live = |metadata: Value| json!({ "metadata": metadata }).as_object().unwrap().clone();
    let ours = json!({"uid": "o1"});
    let other = json!({"apiVersion": API_VERSION, "kind": KIND, "name": "hub-x", "uid": "o2"});
    let stranger = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "s", "uid": "s"});
    let forget = Release::Forget;
    let delete = Release::Delete { uid: "1".into() };
    let disown = |left: Value| Release::Disown {
        patch: json!({"metadata": {"uid": "1", "resourceVersion": "7", "ownerReferences": left}}),
    };
    for (keep, metadata, expected) in [
        (false, Value::Null, forget.clone()),
        (false, json!({"uid": "1"}), forget.clone()),
        (
            false,
            json!({"uid": "1", "ownerReferences": [ours]}),
            delete.clone(),
        ),
        (
            false,
            json!({"uid": "2", "ownerReferences": [ours]}),
            forget,
        ),
        (
            false,
            json!({"uid": "1", "ownerReferences": [ours, stranger]}),
            delete,
        ),
        (
            false,
            json!({"uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": [ours]}),
            Release::Pending,
        ),
        (
            false,
            json!({"uid": "1", "resourceVersion": "7", "ownerReferences": [ours, other]}),
            disown(json!([other])),
        ),
        (
            true,
            json!({"uid": "1", "resourceVersion": "7", "ownerReferences": [ours]}),
            disown(json!([])),
        ),
    ] {
        let obsolete = Obsolete {
            resource: owned("a", "1"),
            keep,
        };
        let object = (!metadata.is_null()).then(|| live(metadata.clone()));
        assert_eq!(
            release(&obsolete, object.as_ref(), &owner()),
            expected,
            "{keep} {metadata}"
        );
    }
}

#[test]
fn what_is_about_to_be_applied_is_recorded_without_uid() {
    let metas: Vec<_> = ["a", "b", "b"]
        .iter()
        .map(|name| outcome(0, name, failed()).resource)
        .collect();
    let intended = intend(&[owned("a", "1")], metas.iter()).unwrap();
    assert_eq!(intended, [owned("a", "1"), owned("b", "")]);
    assert_eq!(intend(&intended, metas.iter()), None);

    // An answer that was lost leaves the entry; one that came gives it its uid.
    let lost = record(&intended, &[outcome(0, "b", failed())]);
    assert!(lost.tracked.contains(&owned("b", "")));
    let answered = record(&intended, &[outcome(0, "b", written("7"))]);
    assert!(answered.tracked.contains(&owned("b", "7")));
}

#[test]
fn what_was_recorded_without_uid_is_ours_by_its_owner_reference() {
    let obsolete = Obsolete {
        resource: owned("b", ""),
        keep: false,
    };
    let release = |references: Value| {
        let live = json!({"metadata": {"uid": "7", "ownerReferences": references}});
        release(&obsolete, live.as_object(), &owner())
    };
    let delete = Release::Delete { uid: "7".into() };
    assert_eq!(release(json!([{"uid": "o1"}])), delete);
    assert_eq!(release(json!([{"uid": "s"}])), Release::Forget);
}

#[test]
fn a_work_goes_backwards_and_leaves_orphans() {
    let option: DeleteOption = serde_json::from_value(json!({
        "propagationPolicy": "SelectivelyOrphan",
        "selectivelyOrphans": {"orphaningRules": [
            {"group": "", "resource": "configmaps", "namespace": "shop", "name": "a"}]},
    }))
    .unwrap();
    let keeps: Vec<(String, bool)> = removal(Some(&option), &[owned("a", "1"), owned("b", "2")])
        .into_iter()
        .map(|obsolete| (obsolete.resource.name, obsolete.keep))
        .collect();
    assert_eq!(keeps, [("b".into(), false), ("a".into(), true)]);
}

#[test]
fn owning_adds_one_reference_once() {
    let live = json!({"metadata": {"uid": "1", "ownerReferences": [{"uid": "s"}]}});
    let patch = own_patch(live.as_object().unwrap(), &owner()).unwrap();
    assert_eq!(patch["metadata"]["ownerReferences"][1]["uid"], "o1");
    assert_eq!(own_patch(patch.as_object().unwrap(), &owner()), None);
}
