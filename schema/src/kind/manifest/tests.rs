#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use serde_json::json;

fn manifest(value: Value) -> Manifest {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_object_is_kept_as_written() {
    let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"x":[1,2.5,null]}"#;
    let manifest: Manifest = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&manifest).unwrap(), text);
    assert_eq!(manifest.size(), text.len() as u64);
    assert_eq!(manifest.identity().kind, "ConfigMap");
    assert_eq!(manifest.identity().namespace, "");
}

#[test]
fn a_manifest_by_digest_has_one_reserved_key_and_stands_alone() {
    let wire = json!({CONTENT_KEY: {
        "digest": "ab", "size": 9000, "apiVersion": "apps/v1", "kind": "Deployment",
        "namespace": "d", "name": "web",
    }});
    let by_digest = manifest(wire.clone());
    assert_eq!(by_digest.size(), 9000);
    assert_eq!(by_digest.identity().group(), "apps");
    assert_eq!(by_digest.identity().version(), "v1");
    assert_eq!(serde_json::to_value(&by_digest).unwrap(), wire);

    let mut beside = wire;
    beside["kind"] = json!("Deployment");
    assert!(serde_json::from_value::<Manifest>(beside).is_err());
    assert!(serde_json::from_value::<Manifest>(json!({CONTENT_KEY: {}})).is_err());
}

#[test]
fn open_and_sealed_secrets_are_told_apart() {
    let secret = |field: &str, value: Value| {
        manifest(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, field: value,
        }))
    };
    assert!(secret("data", json!({"k": "djE="})).has_open_secret());
    assert!(secret("stringData", json!({"k": "v"})).has_open_secret());
    assert!(secret("data", json!("no map")).has_open_secret());
    assert!(!secret("data", json!({})).has_open_secret());
    let sealed = secret(
        SEALED_KEY,
        json!({"recipientKeyId": "k1", "ciphertext": "AAAA"}),
    );
    assert!(!sealed.has_open_secret());
    assert_eq!(sealed.sealed().unwrap().recipient_key_id, "k1");
    assert_eq!(secret(SEALED_KEY, json!("junk")).sealed(), None);
    let other = manifest(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}}));
    assert!(!other.has_open_secret());
}

#[test]
fn open_secrets_are_found_in_lists_too() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "djE="}});
    let list = |kind: &str, items: Value| {
        manifest(
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "l"}, "items": items}),
        )
    };
    assert!(list("List", json!([{"kind": "Pod"}, secret])).has_open_secret());
    assert!(list("SecretList", json!([secret])).has_open_secret());
    let inner = json!({"kind": "List", "items": [secret]});
    let nested = list("List", json!([inner]));
    assert!(nested.has_open_secret());
    let paths: Vec<_> = secrets(nested.inline().unwrap())
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(paths, [".items[0].items[0]"]);
    assert!(!list("Basket", json!([secret])).has_open_secret());
    assert!(!list("List", json!([{"apiVersion": "v1", "kind": "Secret"}])).has_open_secret());
}
