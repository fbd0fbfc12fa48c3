#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use serde_json::json;

fn cluster(spec: impl Into<Value>) -> Value {
    json!({
        "apiVersion": "cluster.open-cluster-management.io/v1",
        "kind": "ManagedCluster",
        "metadata": {"name": "c1"},
        "spec": spec.into(),
    })
}

/// The errors as a person reads them.
fn errors(value: Value) -> Vec<String> {
    let errors = decode(value, Unknown::Refuse).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn all_errors_come_at_once_with_paths_and_hints() {
    let found = errors(cluster(json!({
        "hubAcceptsClients": true,
        "leaseDurationSeconds": "60",
        "managedClusterClientConfigs": [{"caBundle": "%%"}],
        "taints": [
            {"key": "a b", "effect": "NoSelekt"},
            {"key": "gpu", "effect": "NoSelect", "timeAdded": "yesterday"},
            {"key": "gpu", "effect": "NoSelect", "value": "x".repeat(1025)},
        ],
    })));
    let expected = [
        "spec.hubAcceptsClients: unknown field (did you mean \"hubAcceptsClient\"?)",
        "spec.leaseDurationSeconds: must be integer, is string",
        "spec.managedClusterClientConfigs[0].url: required",
        "spec.managedClusterClientConfigs[0].caBundle: \"%%\" is invalid: bytes in base64",
        "spec.taints[0].key: \"a b\" is invalid: an optional DNS name and '/', then letters, \
         digits, '-', '_' and '.', a letter or digit at both ends",
        "spec.taints[0].effect: \"NoSelekt\" is not one of NoSelect, PreferNoSelect, \
         NoSelectIfNew (did you mean \"NoSelect\"?)",
        "spec.taints[1].timeAdded: \"yesterday\" is invalid: a time as in RFC 3339",
        "spec.taints[2].value: is 1025 long, at most 1024 are allowed",
        "spec.taints[2].key: \"gpu\" is there twice",
    ];
    assert_eq!(found, expected);
}

#[test]
fn unknown_fields_are_refused_warned_of_or_dropped() {
    let value = cluster(json!({"hubAccepts": true}));
    assert_eq!(errors(value.clone()).len(), 1);
    let warned = decode(value.clone(), Unknown::Warn).unwrap();
    assert_eq!(warned.warnings[0].path, "spec.hubAccepts");
    assert_eq!(warned.warnings[0].problem, Problem::UnknownField);
    let ignored = decode(value, Unknown::Ignore).unwrap();
    assert_eq!(ignored.resource, warned.resource);
    assert!(ignored.warnings.is_empty());
}

#[test]
fn defaults_are_filled_in_and_null_is_absent() {
    let filled = json!({"hubAcceptsClient": false, "leaseDurationSeconds": 60});
    for spec in [Value::Null, json!({}), json!({"taints": null})] {
        let decoded = decode(cluster(spec), Unknown::Refuse).unwrap();
        assert_eq!(decoded.resource.spec_value(), filled);
    }
    let set = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta2",
        "kind": "ManagedClusterSet",
        "metadata": {"name": "s1", "creationTimestamp": null},
    });
    let decoded = decode(set, Unknown::Refuse).unwrap();
    let selector = json!({"clusterSelector": {"selectorType": "ExclusiveClusterSetLabel"}});
    assert_eq!(decoded.resource.spec_value(), selector);
}

#[test]
fn times_are_kept_in_whole_seconds_and_utc() {
    let taint = |time: &str| {
        let taints = json!([{"key": "k", "effect": "NoSelect", "timeAdded": time}]);
        let decoded = decode(cluster(json!({"taints": taints})), Unknown::Refuse);
        decoded.map(|decoded| decoded.resource.spec_value()["taints"][0]["timeAdded"].clone())
    };
    assert_eq!(
        taint("2026-03-01T13:00:00.9+01:00").unwrap(),
        "2026-03-01T12:00:00Z"
    );
    assert_eq!(
        taint("1969-12-31T23:59:59.5Z").unwrap(),
        "1969-12-31T23:59:59Z"
    );
    for bad in [
        "2026-03-01 12:00:00Z",
        "2026-03-01T12:00Z",
        "2026-03-01T12:00:00",
        "2026-13-01T12:00:00Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00+01:00[Europe/Berlin]",
        "20260301T120000Z",
    ] {
        assert!(taint(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_follow_the_rule_of_the_kind() {
    let named = |name: Value| {
        let mut value = cluster(json!({}));
        value["metadata"]["name"] = name;
        errors(value)
    };
    let long = "a".repeat(254);
    assert_eq!(
        named(json!(long)),
        ["metadata.name: is 254 long, at most 63 are allowed"]
    );
    assert_eq!(named(json!("")), ["metadata.name: required"]);
    assert_eq!(named(Value::Null), ["metadata.name: required"]);
    assert_eq!(
        named(json!(5)),
        ["metadata.name: must be string, is integer"]
    );
    assert!(named(json!("C1"))[0].ends_with("(did you mean \"c1\"?)"));
    for bad in ["*", ">", "a.b", "a b", "-a", "a-", "é", "a\nb"] {
        assert_eq!(named(json!(bad)).len(), 1, "{bad}");
    }
}

#[test]
fn namespaces_fit_the_scope() {
    let work = |namespace: Option<&str>| {
        json!({
            "apiVersion": "work.open-cluster-management.io/v1",
            "kind": "ManifestWork",
            "metadata": {"name": "w", "namespace": namespace},
        })
    };
    assert!(errors(work(None))[0].starts_with("metadata.namespace: required"));
    let filled = decode_in(work(None), Unknown::Refuse, "c1")
        .unwrap()
        .resource;
    assert_eq!(filled.namespace(), Some("c1"));
    assert!(decode_in(work(Some("c1")), Unknown::Refuse, "c1").is_ok());
    let other = decode_in(work(Some("c2")), Unknown::Refuse, "c1").unwrap_err();
    assert!(matches!(other[0].problem, Problem::Mismatch { .. }));
    assert!(errors(work(Some("a.b")))[0].starts_with("metadata.namespace: \"a.b\" is invalid"));
    let mut cluster = cluster(json!({}));
    cluster["metadata"]["namespace"] = json!("x");
    assert!(matches!(
        decode(cluster, Unknown::Ignore).unwrap_err()[0].problem,
        Problem::Forbidden { .. }
    ));
}

#[test]
fn documents_without_a_known_kind_say_so() {
    assert_eq!(errors(json!([])), ["must be object, is array"]);
    assert_eq!(
        errors(json!({})),
        ["apiVersion: required", "kind: required"]
    );
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}});
    assert_eq!(errors(pod), ["kind: Pod of v1 is not a known kind"]);
    let old = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta1", "kind": "ManagedClusterSet",
    });
    let found = decode(old, Unknown::Refuse).unwrap_err();
    assert_eq!(found[0].path, "apiVersion");
    assert!(found[0].hint.as_ref().unwrap().contains("v1beta2"));
}

#[test]
fn a_hostile_document_cannot_make_an_endless_error() {
    let mut spec = Map::new();
    for index in 0..10_000 {
        spec.insert(format!("{}{index}", "x".repeat(1000)), json!(1));
    }
    let found = decode(cluster(Value::Object(spec)), Unknown::Refuse).unwrap_err();
    assert_eq!(found.len(), 51);
    assert_eq!(found[50].problem, Problem::TooManyErrors);
    assert!(found.iter().all(|error| error.path.len() < 200));
}

#[test]
fn duplicate_keys_are_refused_with_their_path() {
    let error = parse_json(br#"{"a": [{"b": 1}, {"c": {"d": 1, "d": 2}}]}"#).unwrap_err();
    assert_eq!(error.path, "a[1].c.d");
    assert_eq!(
        error.problem,
        Problem::Duplicate {
            value: "d".to_owned()
        }
    );
    let error = parse_json(b"{\"a\": 1,}").unwrap_err();
    assert!(matches!(error.problem, Problem::Syntax { .. }));
    assert!(parse_json(b"{} {}").is_err());
    assert!(parse_json(b"\xff").is_err());
    assert!(parse_json(&[b'['; 100_000]).is_err());
    let value = parse_json(br#"{"big": 9223372036854775808, "n": [null, true, 1.5, "x"]}"#);
    let same = json!({"big": 9_223_372_036_854_775_808_u64, "n": [null, true, 1.5, "x"]});
    assert_eq!(value.unwrap(), same);
}
