//! Discovery, create, read, update, patch, and the shape of refusals.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::discovery::{Discovery, Scope, verbs};
use serde_json::{Value, json};

use crate::context::{Check, Context, checks, refusal};

pub(crate) fn checks() -> Vec<Check> {
    checks!["objects":
        discovery_names_what_the_agent_uses,
        health_and_version_answer,
        a_created_object_has_its_metadata,
        refusals_have_status_bodies,
        an_update_needs_the_present_version,
        a_change_of_nothing_is_none,
        merge_and_json_patch,
        a_patch_that_breaks_the_type_is_refused,
        lists_select_and_page,
        unknown_fields_are_refused_on_request,
        generation_counts_spec_changes,
        identity_cannot_be_changed,
        dry_run_changes_nothing,
    ]
}

async fn discovery_names_what_the_agent_uses(context: Context) {
    let discovery = Discovery::new(context.client.clone())
        .run()
        .await
        .expect("discovery");
    for (group, kind, plural, scope) in [
        ("", "Namespace", "namespaces", Scope::Cluster),
        ("", "ConfigMap", "configmaps", Scope::Namespaced),
        ("", "Secret", "secrets", Scope::Namespaced),
        ("", "Node", "nodes", Scope::Cluster),
        ("apps", "Deployment", "deployments", Scope::Namespaced),
        ("apps", "DaemonSet", "daemonsets", Scope::Namespaced),
        ("batch", "Job", "jobs", Scope::Namespaced),
        ("batch", "CronJob", "cronjobs", Scope::Namespaced),
        (
            "rbac.authorization.k8s.io",
            "ClusterRole",
            "clusterroles",
            Scope::Cluster,
        ),
        (
            "networking.k8s.io",
            "Ingress",
            "ingresses",
            Scope::Namespaced,
        ),
        (
            "policy",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            Scope::Namespaced,
        ),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            Scope::Cluster,
        ),
        ("coordination.k8s.io", "Lease", "leases", Scope::Namespaced),
    ] {
        let group = discovery
            .get(group)
            .unwrap_or_else(|| panic!("group {group:?}"));
        let (resource, capabilities) = group
            .recommended_kind(kind)
            .unwrap_or_else(|| panic!("kind {kind}"));
        assert_eq!(resource.plural, plural);
        assert_eq!(capabilities.scope, scope, "{kind}");
        for verb in [
            verbs::GET,
            verbs::LIST,
            verbs::WATCH,
            verbs::CREATE,
            verbs::PATCH,
            verbs::DELETE,
        ] {
            assert!(capabilities.supports_operation(verb), "{kind} {verb}");
        }
    }
}

async fn health_and_version_answer(context: Context) {
    for path in ["/livez", "/readyz", "/healthz"] {
        let request = http::Request::get(path)
            .body(Vec::new())
            .expect("a request");
        assert_eq!(
            context.client.request_text(request).await.expect(path),
            "ok",
            "{path}"
        );
    }
    let version = context.client.apiserver_version().await.expect("version");
    assert_eq!(version.major, "1");
    assert!(version.git_version.starts_with("v1."), "{version:?}");
}

async fn a_created_object_has_its_metadata(context: Context) {
    let made = context.config_map("a", "1").await.metadata;
    assert_eq!(made.namespace.as_deref(), Some(context.namespace.as_str()));
    assert!(made.uid.is_some_and(|uid| uid.len() == 36));
    assert!(
        made.resource_version
            .is_some_and(|version| version.parse::<u64>().is_ok())
    );
    assert!(made.creation_timestamp.is_some());
    assert_eq!(made.generation, None, "a config map has no generation");
    let body: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "some-"}})).expect("valid");
    let generated = context
        .config_maps()
        .create(&PostParams::default(), &body)
        .await
        .expect("created");
    let name = generated.metadata.name.expect("a name");
    assert!(name.starts_with("some-") && name.len() == 10, "{name}");
}

async fn refusals_have_status_bodies(context: Context) {
    let api = context.config_maps();
    let missing = refusal(api.get("missing").await);
    assert_eq!(missing["code"], 404);
    assert_eq!(missing["reason"], "NotFound");
    assert_eq!(missing["message"], "configmaps \"missing\" not found");
    assert_eq!(
        missing["details"],
        json!({"name": "missing", "kind": "configmaps"})
    );

    context.config_map("a", "1").await;
    let body: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("valid");
    let exists = refusal(api.create(&PostParams::default(), &body).await);
    assert_eq!(
        (&exists["code"], &exists["reason"]),
        (&json!(409), &json!("AlreadyExists"))
    );
    assert_eq!(exists["message"], "configmaps \"a\" already exists");

    let body: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "Bad_Name"}})).expect("valid");
    let invalid = refusal(api.create(&PostParams::default(), &body).await);
    assert_eq!(
        (&invalid["code"], &invalid["reason"]),
        (&json!(422), &json!("Invalid"))
    );
    assert_eq!(invalid["details"]["kind"], "ConfigMap");
    assert_eq!(invalid["details"]["causes"][0]["field"], "metadata.name");
    assert_eq!(
        invalid["details"]["causes"][0]["reason"],
        "FieldValueInvalid"
    );
    let message = invalid["message"].as_str().expect("a message");
    assert!(
        message.starts_with(
            "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\""
        ),
        "{message}"
    );

    let deployments = context.dynamic("apps", "v1", "Deployment");
    let body = serde_json::from_value(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
    );
    let invalid = refusal(
        deployments
            .create(&PostParams::default(), &body.expect("an object"))
            .await,
    );
    assert_eq!(invalid["code"], 422);
    assert_eq!(invalid["details"]["group"], "apps");
    assert_eq!(
        invalid["details"]["causes"][0]["field"],
        "spec.template.metadata.labels"
    );

    let request = http::Request::get("/apis/apps/v1/namespaces/default/gadgets")
        .body(Vec::new())
        .expect("a request");
    let unknown = refusal(context.client.request::<Value>(request).await);
    assert_eq!(unknown["code"], 404);
}

async fn an_update_needs_the_present_version(context: Context) {
    let api = context.config_maps();
    let first = context.config_map("a", "1").await;
    let mut second = first.clone();
    second
        .data
        .get_or_insert_default()
        .insert("key".to_owned(), "2".to_owned());
    let replaced = api
        .replace("a", &PostParams::default(), &second)
        .await
        .expect("replaced");
    assert_ne!(
        replaced.metadata.resource_version,
        first.metadata.resource_version
    );
    let stale = refusal(api.replace("a", &PostParams::default(), &second).await);
    assert_eq!(
        (&stale["code"], &stale["reason"]),
        (&json!(409), &json!("Conflict"))
    );
    assert_eq!(
        stale["message"],
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes \
         to the latest version and try again"
    );
    assert_eq!(stale["details"], json!({"name": "a", "kind": "configmaps"}));
    second.metadata.resource_version = None;
    api.replace("a", &PostParams::default(), &second)
        .await
        .expect("a config map may be replaced whatever its version");
    let missing = refusal(
        api.replace("b", &PostParams::default(), &named(&second, "b"))
            .await,
    );
    assert_eq!(missing["code"], 404);
    let other = refusal(api.replace("b", &PostParams::default(), &second).await);
    assert_eq!(
        other["code"], 400,
        "the name in the body is not the one in the URL"
    );
}

fn named(object: &ConfigMap, name: &str) -> ConfigMap {
    let mut object = object.clone();
    object.metadata = kube::core::ObjectMeta {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    object
}

async fn a_change_of_nothing_is_none(context: Context) {
    let api = context.config_maps();
    let first = context.config_map("a", "1").await;
    let same = api
        .replace("a", &PostParams::default(), &first)
        .await
        .expect("replaced");
    assert_eq!(
        same.metadata.resource_version,
        first.metadata.resource_version
    );
    let patch = Patch::Merge(json!({"data": {"key": "1"}}));
    let same = api
        .patch("a", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(
        same.metadata.resource_version,
        first.metadata.resource_version
    );
}

async fn merge_and_json_patch(context: Context) {
    let api = context.config_maps();
    context.config_map("a", "1").await;
    let patch = Patch::Merge(
        json!({"metadata": {"labels": {"l": "v"}}, "data": {"key": null, "other": "2"}}),
    );
    let merged = api
        .patch("a", &PatchParams::default(), &patch)
        .await
        .expect("merged");
    assert_eq!(
        serde_json::to_value(&merged.data).expect("JSON"),
        json!({"other": "2"})
    );
    assert_eq!(merged.metadata.labels.expect("labels")["l"], "v");
    let operations = json!([{"op": "test", "path": "/data/other", "value": "wrong"}]);
    let patch = Patch::Json::<()>(serde_json::from_value(operations).expect("a JSON patch"));
    let failed = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!(failed["code"], 422);
    let operations = json!([{"op": "replace", "path": "/data/other", "value": "3"}]);
    let patch = Patch::Json::<()>(serde_json::from_value(operations).expect("a JSON patch"));
    let patched = api
        .patch("a", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(patched.data.expect("data")["other"], "3");
    let patch = Patch::Merge(json!({"metadata": {"resourceVersion": "1"}, "data": {"key": "x"}}));
    assert_eq!(
        refusal(api.patch("a", &PatchParams::default(), &patch).await)["code"],
        409
    );
    let missing = refusal(
        api.patch("missing", &PatchParams::default(), &Patch::Merge(json!({})))
            .await,
    );
    assert_eq!(missing["code"], 404);
}

async fn a_patch_that_breaks_the_type_is_refused(context: Context) {
    let api = context.config_maps();
    context.config_map("a", "1").await;
    let patch = Patch::Merge(json!({"data": {"key": 1}}));
    let refused = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!(422), &json!("Invalid"))
    );
    assert_eq!(refused["details"]["causes"][0]["field"], "patch");
}

async fn lists_select_and_page(context: Context) {
    let api = context.config_maps();
    for (name, color) in [("a", "red"), ("b", "blue"), ("c", "red"), ("d", "green")] {
        let body = json!({"metadata": {"name": name, "labels": {"color": color}}});
        api.create(
            &PostParams::default(),
            &serde_json::from_value(body).expect("valid"),
        )
        .await
        .expect("created");
    }
    let names = async |parameters: ListParams| -> Vec<String> {
        let list = api.list(&parameters).await.expect("a list");
        let names = list.items.into_iter().filter_map(|item| item.metadata.name);
        names.filter(|name| name.len() == 1).collect()
    };
    assert_eq!(
        names(ListParams::default().labels("color=red")).await,
        ["a", "c"]
    );
    assert_eq!(
        names(ListParams::default().labels("color in (red, blue),color!=blue")).await,
        ["a", "c"]
    );
    assert_eq!(
        names(
            ListParams::default()
                .labels("color notin (red)")
                .labels("color")
        )
        .await,
        ["a", "b", "c", "d"]
    );
    assert_eq!(
        names(ListParams::default().fields("metadata.name=b")).await,
        ["b"]
    );
    let red = ListParams::default().labels("color");
    let first = api.list(&red.clone().limit(3)).await.expect("a page");
    assert_eq!(first.items.len(), 3);
    let token = first.metadata.continue_.clone().expect("more");
    context.config_map("z", "made between the pages").await;
    let second = api
        .list(&red.limit(3).continue_token(&token))
        .await
        .expect("a page");
    assert_eq!(
        second
            .items
            .iter()
            .filter_map(|item| item.metadata.name.as_deref())
            .collect::<Vec<_>>(),
        ["d"]
    );
    assert_eq!(
        second.metadata.resource_version, first.metadata.resource_version,
        "both pages show one state"
    );
    assert_eq!(second.metadata.continue_.unwrap_or_default(), "");
    let refused = refusal(api.list(&ListParams::default().fields("data.key=1")).await);
    assert_eq!(refused["code"], 400);
}

async fn unknown_fields_are_refused_on_request(context: Context) {
    let deployments = context.dynamic("apps", "v1", "Deployment");
    let body = |name: &str| {
        let mut deployment = deployment(name, 0);
        deployment["spec"]["replicaz"] = 1.into();
        serde_json::from_value(deployment).expect("an object")
    };
    let strict = PostParams {
        field_manager: None,
        ..PostParams::default()
    };
    let url = format!(
        "/apis/apps/v1/namespaces/{}/deployments?fieldValidation=Strict",
        context.namespace
    );
    let bytes = serde_json::to_vec(&body("strict")).expect("JSON");
    let request = http::Request::post(url)
        .header("content-type", "application/json")
        .body(bytes)
        .expect("a request");
    let refused = refusal(context.client.request::<Value>(request).await);
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!(400), &json!("BadRequest"))
    );
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("strict decoding error: unknown field \"spec.replicaz\""),
        "{message}"
    );
    let made = deployments
        .create(&strict, &body("warned"))
        .await
        .expect("created without the field");
    assert_eq!(made.data["spec"].get("replicaz"), None);
}

async fn generation_counts_spec_changes(context: Context) {
    let api = context.dynamic("apps", "v1", "Deployment");
    let body = serde_json::from_value(deployment("d", 0)).expect("an object");
    let made = api
        .create(&PostParams::default(), &body)
        .await
        .expect("created");
    assert_eq!(made.metadata.generation, Some(1));
    for (patch, generation) in [
        (json!({"metadata": {"labels": {"a": "b"}}}), 1),
        (json!({"status": {"replicas": 7}}), 1),
        (json!({"spec": {"paused": true}}), 2),
        (json!({"spec": {"paused": true}}), 2),
    ] {
        let patched = api
            .patch("d", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .expect("patched");
        assert_eq!(patched.metadata.generation, Some(generation), "{patch}");
    }
}

/// A Deployment of one container.
pub(crate) fn deployment(name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
            {"name": "main", "image": "registry.example/app:1"}]}}}})
}

async fn identity_cannot_be_changed(context: Context) {
    let api = context.config_maps();
    let made = context.config_map("a", "1").await;
    let patch = Patch::Merge(json!({"metadata": {"uid": "other"}}));
    let refused = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!(refused["code"], 422);
    assert_eq!(refused["details"]["causes"][0]["field"], "metadata.uid");
    let mut other = made.clone();
    other.metadata.uid = Some("other".to_owned());
    let refused = refusal(api.replace("a", &PostParams::default(), &other).await);
    assert_eq!(refused["code"], 409);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("Precondition failed: UID in precondition: other"),
        "{message}"
    );
    let patch = Patch::Merge(json!({"metadata": {"creationTimestamp": null, "generation": 9}}));
    let same = api
        .patch("a", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(
        same.metadata.creation_timestamp,
        made.metadata.creation_timestamp
    );
}

async fn dry_run_changes_nothing(context: Context) {
    let api = context.config_maps();
    let body: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("valid");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&dry, &body).await.expect("would be created");
    assert_eq!(refusal(api.get("a").await)["code"], 404);
    context.config_map("a", "1").await;
    let patch = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let changed = api
        .patch("a", &patch, &Patch::Merge(json!({"data": {"key": "2"}})))
        .await
        .expect("would be patched");
    assert_eq!(changed.data.expect("data")["key"], "2");
    api.delete(
        "a",
        &DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        },
    )
    .await
    .expect("would be deleted");
    assert_eq!(
        api.get("a").await.expect("still there").data.expect("data")["key"],
        "1"
    );
}
