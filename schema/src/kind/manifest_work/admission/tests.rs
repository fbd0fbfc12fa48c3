#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::decode::{Unknown, decode};
use crate::kind::admission::admit as admit_any;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A work with one good manifest; `change` edits its spec.
fn work(change: impl FnOnce(&mut Value)) -> Value {
    let mut spec = json!({"workload": {"manifests": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
    ]}});
    change(&mut spec);
    json!({
        "apiVersion": "work.open-cluster-management.io/v1", "kind": "ManifestWork",
        "metadata": {"name": "w", "namespace": "c1"}, "spec": spec,
    })
}

fn with_manifest(manifest: impl Into<Value>) -> Value {
    let manifest = manifest.into();
    work(|spec| spec["workload"]["manifests"] = json!([manifest]))
}

/// The problems of a new work as people read them.
fn problems(value: Value) -> Vec<String> {
    let rules = AdmissionRules::at(Timestamp::UNIX_EPOCH);
    let admitted = decode(value, Unknown::Refuse)
        .and_then(|decoded| admit_any(decoded.resource, None, &rules));
    admitted.map_or_else(
        |errors| errors.iter().map(ToString::to_string).collect(),
        |_| Vec::new(),
    )
}

#[test]
fn every_problem_of_every_manifest_is_listed() {
    let found = problems(work(|spec| {
        spec["workload"]["manifests"] = json!([
            {"apiVersion": "a/b/c", "kind": "X", "metadata": {"name": "a"}},
            {"kind": "ConfigMap", "metadata": {"generateName": "a-", "labels": {"a": 5}}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
        ]);
        spec["deleteOption"] = json!({"ttlSecondsAfterFinished": -1});
        spec["executor"] = json!({});
    }));
    let paths: Vec<_> = found
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect();
    let expected = [
        "spec.workload.manifests[0].apiVersion",
        "spec.workload.manifests[1].apiVersion",
        "spec.workload.manifests[1].metadata.name",
        "spec.workload.manifests[1].metadata.generateName",
        "spec.workload.manifests[1].metadata.labels.a",
        "spec.workload.manifests[3]",
        "spec.deleteOption.ttlSecondsAfterFinished",
        "spec.executor.subject",
    ];
    assert_eq!(paths, expected, "{found:#?}");
}

#[test]
fn a_name_leaves_room_for_the_owner_on_the_cluster() {
    let named = |length: usize| {
        let mut value = work(|_| {});
        value["metadata"]["name"] = Value::from("a".repeat(length));
        problems(value)
    };
    assert_eq!(named(188), [""; 0]);
    assert_eq!(
        named(189),
        ["metadata.name: is 189 long, at most 188 are allowed"]
    );
}

#[test]
fn sealed_payloads_stand_in_the_place_of_open_ones() {
    let sealed = json!({"recipientKeyId": "k", "ciphertext": "AAAA"});
    let secret = |extra: &[(&str, Value)]| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        extra
            .iter()
            .for_each(|(key, value)| secret[*key] = value.clone());
        problems(with_manifest(secret))
    };
    let key = "skein.dev/sealed";
    assert_eq!(secret(&[(key, sealed.clone())]), [""; 0]);
    for extra in [
        &[(key, sealed.clone()), ("data", json!({}))][..],
        &[(key, sealed.clone()), ("stringData", json!({"a": "b"}))],
        &[(key, sealed.clone()), ("kind", json!("ConfigMap"))],
        &[(key, json!({"recipientKeyId": "k", "ciphertext": "%"}))],
        &[(key, json!({"recipientKeyId": "", "ciphertext": "AAAA"}))],
        &[(key, json!("text"))],
    ] {
        let found = secret(extra);
        assert_eq!(found.len(), 1, "{extra:?}: {found:?}");
        assert!(found[0].starts_with("spec.workload.manifests[0][skein.dev/sealed]: "));
    }
}

#[test]
fn a_manifest_is_no_deeper_than_can_be_read_back() {
    // The manifest itself is one level.
    let manifest = |levels: usize| {
        let deep = (1..levels).fold(json!("x"), |inner, _| json!({ "a": inner }));
        with_manifest(json!({
            "apiVersion": "example.com/v1", "kind": "Deep", "metadata": {"name": "a"}, "spec": deep,
        }))
    };
    assert_eq!(problems(manifest(100)), [""; 0]);
    let found = problems(manifest(101));
    assert_eq!(
        found,
        [
            "spec.workload.manifests[0]: invalid: is nested 101 levels deep, at most 100 are allowed \
             (flatten the object, or keep the deep part as a text)"
        ]
    );
}

#[test]
fn content_is_named_by_digest_only_where_the_work_already_has_it() {
    let content = |digest: &str| {
        with_manifest(json!({"skein.dev/content": {
            "digest": digest, "size": 9000, "apiVersion": "v1", "kind": "ConfigMap", "name": "a",
        }}))
    };
    let found = problems(content("aa"));
    assert!(
        found[0].starts_with("spec.workload.manifests[0][skein.dev/content]: "),
        "{found:?}"
    );

    let rules = AdmissionRules::at(Timestamp::UNIX_EPOCH);
    let resource = |value: Value| decode(value, Unknown::Refuse).unwrap().resource;
    let stored = resource(content("aa"));
    assert!(admit_any(resource(content("aa")), Some(&stored), &rules).is_ok());
    assert!(admit_any(resource(content("bb")), Some(&stored), &rules).is_err());
}

#[test]
fn content_counts_against_the_limit_by_its_size() {
    let big = with_manifest(json!({"skein.dev/content": {
        "digest": "aa", "size": 512_000, "apiVersion": "v1", "kind": "ConfigMap", "name": "a",
    }}));
    let stored = decode(big, Unknown::Refuse).unwrap().resource;
    let rules = AdmissionRules::at(Timestamp::UNIX_EPOCH);
    let errors = admit_any(stored.clone(), Some(&stored), &rules).unwrap_err();
    assert_eq!(
        errors[0].problem,
        Problem::TooLong {
            max: 512_000,
            found: 512_004
        }
    );
}

#[test]
fn a_condition_rule_by_cel_names_its_condition() {
    let rule = |kind: &str| {
        work(|spec| {
            spec["manifestConfigs"] = json!([{
                "resourceIdentifier": {"resource": "configmaps", "name": "a"},
                "conditionRules": [{"condition": "", "type": kind}],
            }]);
        })
    };
    assert_eq!(problems(rule("WellKnownConditions")), [""; 0]);
    let path = "spec.manifestConfigs[0].conditionRules[0].condition: required";
    assert_eq!(problems(rule("CEL")), [path]);
}

#[test]
fn paths_are_read_when_they_are_written() {
    let configs = |json_path: &str, pointer: &str| {
        work(|spec| {
            spec["manifestConfigs"] = json!([{
                "resourceIdentifier": {"resource": "configmaps", "name": "a"},
                "feedbackRules": [{"type": "JSONPaths", "jsonPaths": [
                    {"name": "x", "path": json_path},
                ]}],
                "updateStrategy": {"type": "ServerSideApply", "serverSideApply": {
                    "ignoreFields": [{"jsonPaths": [json_path], "jsonPointers": [pointer]}],
                }},
            }]);
        })
    };
    assert_eq!(problems(configs(".status.x", "/spec/a~1b")), [""; 0]);
    let config = "spec.manifestConfigs[0]";
    let fields = format!("{config}.updateStrategy.serverSideApply.ignoreFields[0]");
    let found = problems(configs("{.status.x}", "spec~2"));
    let starts = [
        format!("{config}.feedbackRules[0].jsonPaths[0].path: \"{{.status.x}}\" is invalid: "),
        format!("{fields}.jsonPaths[0]: "),
        format!("{fields}.jsonPointers[0]: "),
    ];
    assert_eq!(found.len(), starts.len());
    for (found, start) in found.iter().zip(&starts) {
        assert!(found.starts_with(start), "{found}");
    }
    assert!(
        found[0].ends_with("(leave the braces out: .status.x)"),
        "{}",
        found[0]
    );
}

#[test]
fn a_secret_is_not_there_a_second_time() {
    let copy = "kubectl.kubernetes.io/last-applied-configuration";
    let secret = |payload: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "annotations": {copy: "{}"}},
            payload: {"recipientKeyId": "k1", "ciphertext": "AAAA"},
        })
    };
    let refused = |below: &str| {
        format!(
            "spec.workload.manifests[0]{below}.metadata.annotations[{copy}]: must not be set: it \
             repeats the payload of the Secret for everybody to read (remove the annotation; \
             kubectl apply left it in the object)"
        )
    };
    for payload in ["data", "skein.dev/sealed", "type"] {
        assert_eq!(
            problems(with_manifest(secret(payload))),
            [refused("")],
            "{payload}"
        );
    }
    let list = json!({
        "apiVersion": "v1", "kind": "List", "metadata": {"name": "l"}, "items": [{}, secret("data")],
    });
    assert_eq!(problems(with_manifest(list)), [refused(".items[1]")]);
    let mut map = secret("data");
    map["kind"] = "ConfigMap".into();
    assert_eq!(problems(with_manifest(map)), [""; 0]);
}
