//! CRDs: a new kind appears, obeys its schema, keeps status apart, and goes again.

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{
    DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::discovery::Discovery;
use serde_json::{Value, json};

use crate::context::{Check, Context, apply, checks, eventually, refusal};
use crate::deletion::gone;

pub(crate) fn checks() -> Vec<Check> {
    checks!["definitions":
        a_definition_is_established_and_discovered,
        custom_resources_obey_their_schema,
        status_is_kept_apart,
        lists_of_custom_resources_merge_by_their_keys,
        a_version_too_far_back_is_gone,
        a_definition_takes_its_objects_along,
        bad_definitions_are_refused,
    ]
}

fn definition(group: &str) -> CustomResourceDefinition {
    let spec = json!({"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "count": {"type": "integer"}}}},
        "words": {"type": "array", "items": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    let status = json!({"type": "object", "properties": {"phase": {"type": "string"}}});
    serde_json::from_value(json!({
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": []},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}}],
        },
    }))
    .expect("a definition")
}

/// Makes the kind Widget in a group of this check alone.
async fn widgets(context: &Context) -> (String, Api<DynamicObject>) {
    let group = format!("{}.example.com", context.namespace);
    let definitions: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    definitions
        .create(&PostParams::default(), &definition(&group))
        .await
        .expect("created");
    established(context, &group).await;
    let api = context.dynamic(&group, "v1", "Widget");
    eventually("the new kind is served", async || {
        api.list(&Default::default()).await.ok()
    })
    .await;
    (group, api)
}

async fn established(context: &Context, group: &str) -> CustomResourceDefinition {
    let definitions: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    eventually("the definition is established", async || {
        let definition = definitions
            .get(&format!("widgets.{group}"))
            .await
            .expect("there");
        let conditions = definition
            .status
            .clone()
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let met = |kind: &str| {
            conditions
                .iter()
                .any(|one| one.type_ == kind && one.status == "True")
        };
        (met("Established") && met("NamesAccepted")).then_some(definition)
    })
    .await
}

fn widget(group: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

async fn a_definition_is_established_and_discovered(context: Context) {
    let (group, _) = widgets(&context).await;
    let definition = established(&context, &group).await;
    let status = definition.status.expect("a status");
    assert_eq!(status.stored_versions, Some(vec!["v1".to_owned()]));
    let accepted = status.accepted_names.expect("names");
    assert_eq!(
        (accepted.singular.as_deref(), accepted.list_kind.as_deref()),
        (Some("widget"), Some("WidgetList"))
    );
    eventually("discovery names the kind", async || {
        let discovery = Discovery::new(context.client.clone())
            .filter(&[&group])
            .run()
            .await
            .expect("discovery");
        let (resource, _) = discovery.get(&group)?.recommended_kind("Widget")?;
        (resource.plural == "widgets").then_some(())
    })
    .await;
}

async fn custom_resources_obey_their_schema(context: Context) {
    let (group, api) = widgets(&context).await;
    let spec = json!({"size": 2, "free": {"any": [1]}});
    let made = apply(&api, "one", &widget(&group, &spec))
        .await
        .expect("created");
    assert_eq!(
        made["spec"],
        json!({"size": 2, "color": "red", "free": {"any": [1]}}),
        "the default is filled in"
    );
    assert_eq!(made["metadata"]["generation"], 1);
    let patch = Patch::Merge(json!({"spec": {"unknown": 1, "size": 3}}));
    let patched = api
        .patch("w", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(
        patched.data["spec"].get("unknown"),
        None,
        "what the schema does not name is dropped"
    );
    assert_eq!(patched.metadata.generation, Some(2));
    for (spec, field, reason) in [
        (json!({"size": 0}), "spec.size", "FieldValueInvalid"),
        (json!({"size": "2"}), "spec.size", "FieldValueTypeInvalid"),
        (json!({"size": null}), "spec.size", "FieldValueRequired"),
        (
            json!({"color": "green"}),
            "spec.color",
            "FieldValueNotSupported",
        ),
    ] {
        let patch = Patch::Merge(json!({"spec": spec}));
        let refused = refusal(api.patch("w", &PatchParams::default(), &patch).await);
        assert_eq!(
            (&refused["code"], &refused["reason"]),
            (&json!(422), &json!("Invalid")),
            "{spec}"
        );
        assert_eq!(refused["details"]["causes"][0]["field"], field, "{refused}");
        assert_eq!(
            refused["details"]["causes"][0]["reason"], reason,
            "{refused}"
        );
        assert_eq!(refused["details"]["kind"], "Widget");
    }
    let refused = refusal(
        apply(
            &api,
            "one",
            &widget(&group, &json!({"size": 1, "unknown": 1})),
        )
        .await,
    );
    assert_eq!(refused["code"], 500, "{refused}");
    let mut versionless = api.get("w").await.expect("there");
    versionless.metadata.resource_version = None;
    let refused = refusal(api.replace("w", &PostParams::default(), &versionless).await);
    assert_eq!(refused["code"], 422, "{refused}");
    assert_eq!(
        refused["details"]["causes"][0]["field"],
        "metadata.resourceVersion"
    );
    let refused = refusal(
        api.patch("w", &PatchParams::default(), &Patch::Strategic(json!({})))
            .await,
    );
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!(415), &json!("UnsupportedMediaType"))
    );
}

async fn status_is_kept_apart(context: Context) {
    let (group, api) = widgets(&context).await;
    let mut config = widget(&group, &json!({"size": 1}));
    config["status"] = json!({"phase": "Wished"});
    let made = apply(&api, "one", &config).await.expect("created");
    assert_eq!(
        made.get("status"),
        None,
        "the main door does not write status"
    );
    let status = json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w"},
        "spec": {"size": 9}, "status": {"phase": "Ready"}});
    let params = PatchParams::apply("controller").force();
    let reported = api
        .patch_status("w", &params, &Patch::Apply(&status))
        .await
        .expect("reported");
    assert_eq!(reported.data["status"], json!({"phase": "Ready"}));
    assert_eq!(
        reported.data["spec"]["size"], 1,
        "the status door does not write spec"
    );
    assert_eq!(reported.metadata.generation, Some(1));
    let entries = reported
        .metadata
        .managed_fields
        .clone()
        .expect("managed fields");
    let entry = entries
        .iter()
        .find(|entry| entry.manager.as_deref() == Some("controller"))
        .expect("the controller");
    assert_eq!(entry.subresource.as_deref(), Some("status"));
    assert_eq!(
        serde_json::to_value(&entry.fields_v1).expect("JSON"),
        json!({"f:status": {"f:phase": {}}})
    );
    let patch =
        Patch::Merge(json!({"status": {"phase": "Gone"}, "metadata": {"labels": {"l": "v"}}}));
    let patched = api
        .patch_status("w", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(patched.data["status"], json!({"phase": "Gone"}));
    assert_eq!(patched.metadata.labels, None);
    let mut replaced = patched.clone();
    replaced.data["status"] = json!({"phase": "Back"});
    let replaced = api
        .replace_status("w", &PostParams::default(), &replaced)
        .await
        .expect("replaced");
    assert_eq!(replaced.data["status"], json!({"phase": "Back"}));
    let missing = refusal(
        api.patch_status(
            "missing",
            &params,
            &Patch::Apply(&json!({"apiVersion": format!("{group}/v1"),
        "kind": "Widget", "metadata": {"name": "missing"}, "status": {}})),
        )
        .await,
    );
    assert_eq!(missing["code"], 404);
}

async fn lists_of_custom_resources_merge_by_their_keys(context: Context) {
    let (group, api) = widgets(&context).await;
    let with = |parts: Value| widget(&group, &json!({"size": 1, "parts": parts}));
    apply(&api, "one", &with(json!([{"name": "a", "count": 1}])))
        .await
        .expect("created");
    let both = apply(&api, "two", &with(json!([{"name": "b", "count": 2}])))
        .await
        .expect("merged");
    assert_eq!(
        both["spec"]["parts"],
        json!([{"name": "a", "count": 1}, {"name": "b", "count": 2}])
    );
    let refused = refusal(apply(&api, "two", &with(json!([{"name": "a", "count": 5}]))).await);
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"one\": .spec.parts[name=\"a\"].count"
    );
    let left = apply(&api, "one", &with(json!([]))).await.expect("applied");
    assert_eq!(left["spec"]["parts"], json!([{"name": "b", "count": 2}]));
    let words = |words: Value| widget(&group, &json!({"size": 1, "words": words}));
    apply(&api, "three", &words(json!(["x"])))
        .await
        .expect("applied");
    let refused = refusal(apply(&api, "four", &words(json!(["y"]))).await);
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"three\": .spec.words"
    );
}

async fn a_version_too_far_back_is_gone(context: Context) {
    let (group, api) = widgets(&context).await;
    apply(&api, "one", &widget(&group, &json!({"size": 1})))
        .await
        .expect("created");
    context.forget_history();
    let mut stream = api
        .watch(&WatchParams::default().timeout(20), "1")
        .await
        .expect("a watch")
        .boxed();
    match stream.next().await {
        Some(Ok(WatchEvent::Error(status))) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
            assert!(
                status.message.starts_with("too old resource version: 1 ("),
                "{}",
                status.message
            );
        }
        other => panic!("expected the end of history, got {other:?}"),
    }
    assert!(
        stream.next().await.is_none(),
        "nothing comes after the error"
    );
}

async fn a_definition_takes_its_objects_along(context: Context) {
    let (group, api) = widgets(&context).await;
    apply(&api, "one", &widget(&group, &json!({"size": 1})))
        .await
        .expect("created");
    let definitions: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    let name = format!("widgets.{group}");
    definitions
        .delete(&name, &DeleteParams::default())
        .await
        .expect("begun");
    gone(&definitions, &name).await;
    eventually("the kind is no longer served", async || {
        let refused = api.get("w").await.err()?;
        matches!(refused, kube::Error::Api(status) if status.code == 404).then_some(())
    })
    .await;
    definitions
        .create(&PostParams::default(), &definition(&group))
        .await
        .expect("made again");
    established(&context, &group).await;
    eventually("the kind is served again, without objects", async || {
        api.list(&Default::default())
            .await
            .ok()
            .filter(|list| list.items.is_empty())
    })
    .await;
}

async fn bad_definitions_are_refused(context: Context) {
    let definitions: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    let group = format!("{}.example.com", context.namespace);
    let mut misnamed = definition(&group);
    misnamed.metadata.name = Some("other.example.com".to_owned());
    let refused = refusal(definitions.create(&PostParams::default(), &misnamed).await);
    assert_eq!(refused["code"], 422);
    assert_eq!(refused["details"]["causes"][0]["field"], "metadata.name");
    let mut unstored = definition(&group);
    unstored.spec.versions[0].storage = false;
    let refused = refusal(definitions.create(&PostParams::default(), &unstored).await);
    assert_eq!(refused["code"], 422);
    assert!(refused.to_string().contains("spec.versions"), "{refused}");
}
