//! Works: their cluster, their manifests, their secrets.

use serde_json::json;
use skein_schema::code::Code;
use skein_schema::command::Change;
use skein_schema::digest::Digest;
use skein_schema::kind::manifest::Manifest;
use skein_schema::resource::Resource;

use crate::scenario::*;

#[test]
fn a_work_needs_an_accepted_cluster() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    let work = apply(work_document("c1", "web", &[config_map("a", "")]));
    let refusal = hub.run(&work).unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    assert_eq!(refusal.hint.as_deref(), Some("skein accept c1"));
    hub.run(&accept("c1")).unwrap();
    assert_eq!(hub.run(&work).unwrap().change, Change::Created);
    let elsewhere = apply(work_document("default", "web", &[config_map("a", "")]));
    let refusal = hub.run(&elsewhere).unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    assert!(refusal.hint.unwrap().contains("skein get managedclusters"));
}

#[test]
fn large_manifests_are_stored_once_by_digest() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let big = config_map("big", &"x".repeat(9_000));
    let twice = vec![big.clone(), config_map("small", "y")];
    let done = hub.run(&apply(work_document("c1", "web", &twice))).unwrap();
    assert_eq!(done.contents.len(), 1);
    let (digest, bytes) = &done.contents[0];
    assert_eq!(*digest, Digest::of_json(&big));
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(bytes).unwrap(),
        big
    );
    let Resource::ManifestWork(work) = hub.get(&work_key("c1", "web")).clone() else {
        panic!()
    };
    let manifests = &work.spec.workload.manifests;
    assert!(
        matches!(&manifests[0], Manifest::Content(content) if content.digest == digest.to_string() && content.name == "big")
    );
    assert!(matches!(&manifests[1], Manifest::Inline(_)));

    let again = hub.run(&apply(work_document("c1", "web", &twice))).unwrap();
    assert_eq!(again.change, Change::Unchanged);
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let labelled = hub.run(&patch(work_key("c1", "web"), label)).unwrap();
    assert_eq!(
        labelled.change,
        Change::Configured,
        "a packed work can be labelled"
    );
    assert!(labelled.contents.is_empty());
    let Resource::ManifestWork(after) = hub.get(&work_key("c1", "web")) else {
        panic!()
    };
    assert_eq!(after.spec, work.spec);
}

#[test]
fn nobody_names_a_content_that_the_work_does_not_have() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let foreign = json!({"skein.dev/content": {
        "digest": Digest::of(b"secret of another").to_string(), "size": 9_000,
        "apiVersion": "v1", "kind": "ConfigMap", "name": "x",
    }});
    let refusal = hub
        .run(&apply(work_document("c1", "web", &[foreign])))
        .unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField, "{refusal:?}");
}

#[test]
fn an_open_secret_is_refused_and_one_sealed_to_another_key_too() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let secret = |payload: serde_json::Value| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}});
        secret
            .as_object_mut()
            .unwrap()
            .extend(payload.as_object().unwrap().clone());
        apply(work_document("c1", "web", &[config_map("a", ""), secret]))
    };
    let refusal = hub
        .run(&secret(json!({"stringData": {"password": "hunter2"}})))
        .unwrap_err();
    assert_eq!(refusal.code, Code::NotSealed);
    assert_eq!(refusal.causes[0].path, "spec.workload.manifests[1]");
    assert!(
        !serde_json::to_string(&hub.stored.last().unwrap().record.encode())
            .unwrap()
            .contains("hunter2")
    );

    let list = json!({
        "apiVersion": "v1", "kind": "SecretList", "metadata": {"name": "l", "namespace": "default"},
        "items": [{"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "hunter2"}}],
    });
    let refusal = hub
        .run(&apply(work_document("c1", "web", &[list])))
        .unwrap_err();
    assert_eq!(refusal.code, Code::NotSealed);
    assert_eq!(refusal.causes[0].path, "spec.workload.manifests[0]");

    let key_id = |number: u8| Digest::of(&[number; 32]).to_string()[..16].to_owned();
    let sealed = |number| json!({"skein.dev/sealed": {"recipientKeyId": key_id(number), "ciphertext": "AAAA"}});
    assert_eq!(code(hub.run(&secret(sealed(2)))), Code::NotSealed);
    assert!(hub.run(&secret(sealed(1))).is_ok());
}

#[test]
fn a_sealed_secret_with_a_copy_of_its_payload_is_refused() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let copy = "kubectl.kubernetes.io/last-applied-configuration";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default", "annotations": {copy: "hunter2"}},
        "skein.dev/sealed": {
            "recipientKeyId": Digest::of(&[1; 32]).to_string()[..16].to_owned(), "ciphertext": "AAAA",
        },
    });
    let refusal = hub
        .run(&apply(work_document("c1", "web", &[secret])))
        .unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    let cause = &refusal.causes[0];
    assert_eq!(
        cause.path,
        format!("spec.workload.manifests[0].metadata.annotations[{copy}]")
    );
    assert!(cause.hint.is_some(), "{refusal:?}");
    assert!(!serde_json::to_string(&refusal).unwrap().contains("hunter2"));
}

#[test]
fn bad_works_are_refused() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let nameless =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default"}});
    let generated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-", "name": "x"}});
    let huge: Vec<_> = (0..60)
        .map(|index| config_map(&format!("m{index}"), &"x".repeat(9_000)))
        .collect();
    for (manifests, what) in [
        (vec![], "empty"),
        (vec![nameless], "without a name"),
        (vec![generated], "with generateName"),
        (
            vec![config_map("a", "1"), config_map("a", "2")],
            "twice the same",
        ),
        (huge, "too many bytes"),
    ] {
        let refusal = hub
            .run(&apply(work_document("c1", "web", &manifests)))
            .unwrap_err();
        assert_eq!(refusal.code, Code::InvalidField, "{what}: {refusal:?}");
        assert!(
            refusal.causes[0]
                .path
                .starts_with("spec.workload.manifests"),
            "{what}"
        );
    }
    assert!(hub.world.get(&work_key("c1", "web")).is_none());
}
