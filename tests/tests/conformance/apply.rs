//! Server-side apply: ownership, conflicts, removal.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::context::{Check, Context, apply, checks, refusal};

pub(crate) fn checks() -> Vec<Check> {
    checks!["apply":
        applying_creates_and_updates,
        applying_the_same_again_changes_nothing,
        fields_of_others_conflict_until_forced,
        what_is_no_longer_applied_is_removed,
        two_managers_share_an_object,
        lists_merge_by_their_keys,
        atomic_parts_are_replaced,
        an_update_takes_fields_over,
        bad_configurations_are_refused,
        owners_and_finalizers_merge,
    ]
}

fn config(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

/// Who owns what, as `managedFields` has it.
fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .expect("managed fields");
    let entry = entries.iter().find(|entry| entry["manager"] == manager);
    entry
        .map(|entry| entry["fieldsV1"].clone())
        .unwrap_or_default()
}

async fn applying_creates_and_updates(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    let made = apply(&api, "one", &config(&json!({"a": "1"})))
        .await
        .expect("created");
    assert_eq!(made["data"], json!({"a": "1"}));
    let entry = &made["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["manager"], &entry["operation"]),
        (&json!("one"), &json!("Apply"))
    );
    assert_eq!(
        (&entry["apiVersion"], &entry["fieldsType"]),
        (&json!("v1"), &json!("FieldsV1"))
    );
    assert_eq!(entry["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    let changed = apply(&api, "one", &config(&json!({"a": "2"})))
        .await
        .expect("updated");
    assert_eq!(changed["data"], json!({"a": "2"}));
    assert_eq!(changed["metadata"]["uid"], made["metadata"]["uid"]);
}

async fn applying_the_same_again_changes_nothing(context: Context) {
    let api = context.dynamic("apps", "v1", "Deployment");
    let config = crate::objects::deployment("d", 0);
    let first = apply(&api, "one", &config).await.expect("created");
    // The controller may report a status in between; the desired part must not move.
    let again = apply(&api, "one", &config).await.expect("applied");
    assert_eq!(again["metadata"]["generation"], 1);
    assert_eq!(again["spec"], first["spec"]);
    let api = context.dynamic("", "v1", "ConfigMap");
    let config = self::config(&json!({"a": "1"}));
    let first = apply(&api, "one", &config).await.expect("created");
    let again = apply(&api, "one", &config).await.expect("applied");
    assert_eq!(
        again["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
}

async fn fields_of_others_conflict_until_forced(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    apply(&api, "one", &config(&json!({"a": "1", "b": "1"})))
        .await
        .expect("created");
    let refused = refusal(apply(&api, "two", &config(&json!({"a": "2"}))).await);
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!(409), &json!("Conflict"))
    );
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"one\": .data.a"
    );
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"}])
    );
    let refused = refusal(apply(&api, "two", &config(&json!({"a": "2", "b": "2"}))).await);
    assert_eq!(
        refused["message"],
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b"
    );
    let force = PatchParams::apply("two").force();
    let forced = api
        .patch("a", &force, &Patch::Apply(config(&json!({"a": "2"}))))
        .await
        .expect("forced");
    let forced = serde_json::to_value(forced).expect("JSON");
    assert_eq!(forced["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(owned(&forced, "one"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(owned(&forced, "two"), json!({"f:data": {"f:a": {}}}));
}

async fn what_is_no_longer_applied_is_removed(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    let mut full = config(&json!({"a": "1", "b": "2"}));
    full["metadata"]["labels"] = json!({"l": "v"});
    full["metadata"]["annotations"] = json!({"x": "y"});
    apply(&api, "one", &full).await.expect("created");
    let mut less = config(&json!({"b": "2"}));
    less["metadata"]["annotations"] = json!({"x": "y"});
    let left = apply(&api, "one", &less).await.expect("applied");
    assert_eq!(left["data"], json!({"b": "2"}));
    assert_eq!(left["metadata"].get("labels"), None);
    assert_eq!(left["metadata"]["annotations"], json!({"x": "y"}));

    let deployments = context.dynamic("apps", "v1", "Deployment");
    let mut full = crate::objects::deployment("d", 0);
    full["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    full["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    apply(&deployments, "one", &full).await.expect("created");
    full["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "B", "value": "2"}]);
    full["spec"]["template"]["spec"]
        .as_object_mut()
        .expect("an object")
        .remove("nodeSelector");
    full["spec"]
        .as_object_mut()
        .expect("an object")
        .remove("replicas");
    let left = apply(&deployments, "one", &full).await.expect("applied");
    let spec = &left["spec"]["template"]["spec"];
    assert_eq!(
        spec["containers"][0]["env"],
        json!([{"name": "B", "value": "2"}])
    );
    assert_eq!(spec.get("nodeSelector"), None);
    assert_eq!(left["spec"]["replicas"], 1, "the default comes back");
}

async fn two_managers_share_an_object(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    apply(&api, "one", &config(&json!({"a": "1", "both": "x"})))
        .await
        .expect("created");
    let both = apply(&api, "two", &config(&json!({"b": "2", "both": "x"})))
        .await
        .expect("the same value is no conflict");
    assert_eq!(both["data"], json!({"a": "1", "b": "2", "both": "x"}));
    let left = apply(&api, "one", &config(&json!({})))
        .await
        .expect("applied");
    assert_eq!(
        left["data"],
        json!({"b": "2", "both": "x"}),
        "what the other owns stays"
    );
    let left = apply(&api, "two", &config(&json!({"b": "2"})))
        .await
        .expect("applied");
    assert_eq!(left["data"], json!({"b": "2"}));
}

async fn lists_merge_by_their_keys(context: Context) {
    let api = context.dynamic("", "v1", "Service");
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    apply(&api, "one", &service(json!([{"name": "http", "port": 80}])))
        .await
        .expect("created");
    let ports =
        json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]);
    let both = apply(&api, "two", &service(ports))
        .await
        .expect("other keys, no conflict");
    let numbers: Vec<String> = both["spec"]["ports"]
        .as_array()
        .expect("ports")
        .iter()
        .map(|port| {
            format!(
                "{}/{}",
                port["port"],
                port["protocol"].as_str().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(numbers, ["80/TCP", "53/UDP", "53/TCP"]);
    assert_eq!(
        owned(&both, "one"),
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}}}})
    );
    let refused = refusal(apply(&api, "two", &service(json!([{"name": "web", "port": 80}]))).await);
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"one\": .spec.ports[port=80,protocol=\"TCP\"].name"
    );
    let left = apply(&api, "one", &service(json!([])))
        .await
        .expect("applied");
    assert_eq!(left["spec"]["ports"].as_array().map(Vec::len), Some(2));
}

async fn atomic_parts_are_replaced(context: Context) {
    let api = context.dynamic("", "v1", "Service");
    let service = |selector: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"selector": selector, "ports": [{"port": 80}]}})
    };
    apply(&api, "one", &service(json!({"app": "a", "tier": "b"})))
        .await
        .expect("created");
    let changed = apply(&api, "one", &service(json!({"app": "c"})))
        .await
        .expect("applied");
    assert_eq!(changed["spec"]["selector"], json!({"app": "c"}));
    let refused = refusal(apply(&api, "two", &service(json!({"app": "d"}))).await);
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"one\": .spec.selector"
    );
}

async fn an_update_takes_fields_over(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    apply(&api, "one", &config(&json!({"a": "1", "b": "1"})))
        .await
        .expect("created");
    let params = PatchParams {
        field_manager: Some("hand".to_owned()),
        ..PatchParams::default()
    };
    let edited = api
        .patch(
            "a",
            &params,
            &Patch::Merge(json!({"data": {"a": "edited"}})),
        )
        .await
        .expect("patched");
    let edited = serde_json::to_value(edited).expect("JSON");
    assert_eq!(owned(&edited, "one"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(owned(&edited, "hand"), json!({"f:data": {"f:a": {}}}));
    let refused = refusal(apply(&api, "one", &config(&json!({"a": "1", "b": "1"}))).await);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.starts_with("Apply failed with 1 conflict: conflict with \"hand\" using v1"),
        "{message}"
    );
    assert!(message.ends_with(": .data.a"), "{message}");
    let force = PatchParams::apply("one").force();
    let healed = api
        .patch(
            "a",
            &force,
            &Patch::Apply(config(&json!({"a": "1", "b": "1"}))),
        )
        .await
        .expect("forced");
    assert_eq!(healed.data["data"], json!({"a": "1", "b": "1"}));
}

async fn bad_configurations_are_refused(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    let mut other = config(&json!({}));
    other["metadata"]["name"] = "other".into();
    let refused = refusal(
        api.patch("a", &PatchParams::apply("one"), &Patch::Apply(&other))
            .await,
    );
    assert_eq!(
        refused["code"], 400,
        "the name in the body is not the one in the URL: {refused}"
    );
    let mut managed = config(&json!({}));
    managed["metadata"]["managedFields"] = json!([]);
    apply(&api, "one", &config(&json!({"a": "1"})))
        .await
        .expect("created");
    let mut stale = config(&json!({"a": "2"}));
    stale["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(refusal(apply(&api, "one", &stale).await)["code"], 409);
    let deployments = context.dynamic("apps", "v1", "Deployment");
    let mut unknown = crate::objects::deployment("d", 0);
    unknown["spec"]["replicaz"] = 1.into();
    let refused = refusal(apply(&deployments, "one", &unknown).await);
    assert_eq!(refused["code"], 500, "{refused}");
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains(".spec.replicaz: field not declared in schema"),
        "{message}"
    );
    let mut twice = crate::objects::deployment("d", 0);
    let container = twice["spec"]["template"]["spec"]["containers"][0].clone();
    twice["spec"]["template"]["spec"]["containers"] = json!([container, container]);
    let refused = refusal(apply(&deployments, "one", &twice).await);
    assert_eq!(refused["code"], 500, "{refused}");
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("duplicate entries for key [name=\"main\"]"),
        "{message}"
    );
}

async fn owners_and_finalizers_merge(context: Context) {
    let api = context.dynamic("", "v1", "ConfigMap");
    let owner = context.config_map("owner", "1").await;
    let second = context.config_map("second", "1").await;
    let reference = |object: &k8s_openapi::api::core::v1::ConfigMap| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": object.metadata.name, "uid": object.metadata.uid});
    let with = |owner: &k8s_openapi::api::core::v1::ConfigMap, finalizer: &str| {
        let mut config = config(&json!({"a": "1"}));
        config["metadata"]["ownerReferences"] = json!([reference(owner)]);
        config["metadata"]["finalizers"] = json!([finalizer]);
        config
    };
    apply(&api, "one", &with(&owner, "example.com/one"))
        .await
        .expect("created");
    let both = apply(&api, "two", &with(&second, "example.com/two"))
        .await
        .expect("merged");
    assert_eq!(
        both["metadata"]["finalizers"],
        json!(["example.com/one", "example.com/two"])
    );
    assert_eq!(
        both["metadata"]["ownerReferences"].as_array().map(Vec::len),
        Some(2)
    );
    let left = apply(&api, "one", &config(&json!({"a": "1"})))
        .await
        .expect("applied");
    assert_eq!(left["metadata"]["finalizers"], json!(["example.com/two"]));
    assert_eq!(
        left["metadata"]["ownerReferences"],
        json!([reference(&second)])
    );
}
