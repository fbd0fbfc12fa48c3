//! Namespaces: what they bring, and how they end.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::context::{Check, Context, checks, eventually, refusal};
use crate::deletion::gone;

pub(crate) fn checks() -> Vec<Check> {
    checks!["namespaces":
        a_new_namespace_is_furnished,
        nothing_goes_into_a_missing_namespace,
        a_namespace_takes_its_content_along,
    ]
}

async fn a_new_namespace_is_furnished(context: Context) {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let own = namespaces.get(&context.namespace).await.expect("there");
    assert_eq!(
        own.status.and_then(|status| status.phase).as_deref(),
        Some("Active")
    );
    assert_eq!(
        own.spec.and_then(|spec| spec.finalizers),
        Some(vec!["kubernetes".to_owned()])
    );
    let labels = own.metadata.labels.expect("labels");
    assert_eq!(labels["kubernetes.io/metadata.name"], context.namespace);
    let accounts: Api<ServiceAccount> = Api::namespaced(context.client.clone(), &context.namespace);
    eventually("the default service account", async || {
        accounts.get_opt("default").await.expect("an answer")
    })
    .await;
    let maps = context.config_maps();
    eventually("the root certificates", async || {
        maps.get_opt("kube-root-ca.crt").await.expect("an answer")
    })
    .await;
}

async fn nothing_goes_into_a_missing_namespace(context: Context) {
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), "no-such-namespace");
    let body: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("valid");
    let refused = refusal(api.create(&PostParams::default(), &body).await);
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!(404), &json!("NotFound"))
    );
    assert_eq!(
        refused["message"],
        "namespaces \"no-such-namespace\" not found"
    );
    assert_eq!(
        refused["details"],
        json!({"name": "no-such-namespace", "kind": "namespaces"})
    );
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let refused = refusal(
        api.patch("a", &PatchParams::apply("one"), &Patch::Apply(config))
            .await,
    );
    assert_eq!(
        refused["message"],
        "namespaces \"no-such-namespace\" not found"
    );
    let list = api
        .list(&kube::api::ListParams::default())
        .await
        .expect("an empty list");
    assert!(list.items.is_empty());
}

async fn a_namespace_takes_its_content_along(context: Context) {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let name = format!("{}-ending", context.namespace);
    let body = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
    namespaces
        .create(&PostParams::default(), &body)
        .await
        .expect("created");
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &name);
    let body = |name: &str, finalizers: &[&str]| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name, "finalizers": finalizers}}))
            .expect("valid")
    };
    api.create(&PostParams::default(), &body("free", &[]))
        .await
        .expect("created");
    api.create(&PostParams::default(), &body("held", &["example.com/hold"]))
        .await
        .expect("created");
    let answer = namespaces
        .delete(&name, &DeleteParams::default())
        .await
        .expect("begun");
    let ending = answer
        .left()
        .expect("the namespace, because it is still there");
    assert!(ending.metadata.deletion_timestamp.is_some());
    assert_eq!(
        ending.status.and_then(|status| status.phase).as_deref(),
        Some("Terminating")
    );
    let refused = refusal(api.create(&PostParams::default(), &body("late", &[])).await);
    assert_eq!(
        (&refused["code"], &refused["reason"]),
        (&json!(403), &json!("Forbidden"))
    );
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    assert_eq!(
        refused["message"],
        format!(
            "configmaps \"late\" is forbidden: unable to create new content in namespace {name} because it is being terminated"
        )
    );
    gone(&api, "free").await;
    eventually("the condition that says what remains", async || {
        let namespace = namespaces.get(&name).await.expect("still there");
        let conditions = namespace
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        conditions
            .iter()
            .any(|one| one.type_ == "NamespaceFinalizersRemaining" && one.status == "True")
            .then_some(())
    })
    .await;
    let patch = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    api.patch("held", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    gone(&namespaces, &name).await;
}
