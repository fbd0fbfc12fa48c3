//! Deletion: finalizers, preconditions, and what happens to dependents.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::context::{Check, Context, checks, eventually, refusal};

pub(crate) fn checks() -> Vec<Check> {
    checks!["deletion":
        a_deletion_answers_with_a_status,
        a_finalizer_holds_an_object,
        preconditions_are_kept,
        dependents_go_after_their_owner,
        a_dependent_with_another_owner_stays,
        a_dependent_of_nobody_goes,
        foreground_waits_for_dependents,
        orphans_stay,
        a_cluster_wide_owner_is_followed,
        a_collection_is_deleted_by_selector,
    ]
}

async fn dependent(context: &Context, name: &str, owners: &[&ConfigMap], block: bool) -> ConfigMap {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.metadata.uid,
                "blockOwnerDeletion": block})
        })
        .collect();
    let body = json!({"metadata": {"name": name, "ownerReferences": references}});
    let body = serde_json::from_value(body).expect("valid");
    context
        .config_maps()
        .create(&PostParams::default(), &body)
        .await
        .expect("created")
}

/// Waits until an object is gone.
pub(crate) async fn gone<K>(api: &Api<K>, name: &str)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    eventually(&format!("{name} is gone"), async || {
        api.get_opt(name)
            .await
            .expect("an answer")
            .is_none()
            .then_some(())
    })
    .await;
}

async fn finalize(
    api: &Api<ConfigMap>,
    name: &str,
    finalizers: &[&str],
) -> kube::Result<ConfigMap> {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    api.patch(name, &PatchParams::default(), &patch).await
}

async fn a_deletion_answers_with_a_status(context: Context) {
    let api = context.config_maps();
    let made = context.config_map("a", "1").await;
    let answer = api
        .delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    let status = answer
        .right()
        .expect("a status, because the object is gone");
    assert!(status.is_success());
    let details = status.details.expect("details");
    assert_eq!(
        (details.name.as_str(), details.kind.as_str()),
        ("a", "configmaps")
    );
    assert_eq!(details.uid, made.metadata.uid.expect("a uid"));
    assert_eq!(
        refusal(api.delete("a", &DeleteParams::default()).await)["code"],
        404
    );
}

async fn a_finalizer_holds_an_object(context: Context) {
    let api = context.config_maps();
    context.config_map("a", "1").await;
    finalize(&api, "a", &["example.com/hold"])
        .await
        .expect("patched");
    let answer = api
        .delete("a", &DeleteParams::default())
        .await
        .expect("begun");
    let held = answer
        .left()
        .expect("the object, because it is still there");
    assert!(held.metadata.deletion_timestamp.is_some());
    assert_eq!(held.metadata.deletion_grace_period_seconds, Some(0));
    let again = api
        .delete("a", &DeleteParams::default())
        .await
        .expect("nothing new")
        .left()
        .expect("still there");
    assert_eq!(
        again.metadata.resource_version,
        held.metadata.resource_version
    );
    let refused = refusal(finalize(&api, "a", &["example.com/hold", "example.com/late"]).await);
    assert_eq!(refused["code"], 422);
    assert_eq!(
        refused["details"]["causes"][0]["field"],
        "metadata.finalizers"
    );
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "FieldValueForbidden"
    );
    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    api.patch("a", &PatchParams::default(), &patch)
        .await
        .expect("it may still change");
    finalize(&api, "a", &[]).await.expect("patched");
    assert_eq!(
        refusal(api.get("a").await)["code"],
        404,
        "gone with its last finalizer"
    );
}

async fn preconditions_are_kept(context: Context) {
    let api = context.config_maps();
    let made = context.config_map("a", "1").await;
    let only = |uid: Option<&str>, version: Option<&str>| {
        let preconditions = Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: version.map(str::to_owned),
        };
        DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        }
    };
    for (wrong, why) in [
        (
            only(Some("00000000-0000-0000-0000-000000000000"), None),
            "the UID in the precondition",
        ),
        (
            only(None, Some("1")),
            "the ResourceVersion in the precondition (1)",
        ),
    ] {
        let refused = refusal(api.delete("a", &wrong).await);
        assert_eq!(
            (&refused["code"], &refused["reason"]),
            (&json!(409), &json!("Conflict"))
        );
        let message = refused["message"].as_str().expect("a message");
        let start = format!("Operation cannot be fulfilled on ConfigMap \"a\": {why}");
        assert!(message.starts_with(&start), "{message}");
        assert_eq!(
            refused["details"],
            json!({"name": "a", "kind": "ConfigMap"})
        );
    }
    let (uid, version) = (
        made.metadata.uid.as_deref(),
        made.metadata.resource_version.as_deref(),
    );
    api.delete("a", &only(uid, version)).await.expect("deleted");
}

async fn dependents_go_after_their_owner(context: Context) {
    let api = context.config_maps();
    let owner = context.config_map("owner", "1").await;
    let child = dependent(&context, "child", &[&owner], false).await;
    dependent(&context, "grandchild", &[&child], false).await;
    api.delete("owner", &DeleteParams::background())
        .await
        .expect("deleted");
    gone(&api, "child").await;
    gone(&api, "grandchild").await;
}

async fn a_dependent_with_another_owner_stays(context: Context) {
    let api = context.config_maps();
    let one = context.config_map("one", "1").await;
    let two = context.config_map("two", "1").await;
    dependent(&context, "child", &[&one, &two], false).await;
    api.delete("one", &DeleteParams::background())
        .await
        .expect("deleted");
    eventually("the reference to the deleted owner is gone", async || {
        let child = api.get("child").await.expect("the child stays");
        let owners: Vec<String> = child
            .owner_references()
            .iter()
            .map(|owner| owner.name.clone())
            .collect();
        (owners == ["two"]).then_some(())
    })
    .await;
    api.delete("two", &DeleteParams::background())
        .await
        .expect("deleted");
    gone(&api, "child").await;
}

async fn a_dependent_of_nobody_goes(context: Context) {
    let api = context.config_maps();
    let mut other = context.config_map("owner", "1").await;
    other.metadata.uid = Some("11111111-2222-4333-8444-555555555555".to_owned());
    dependent(&context, "child", &[&other], false).await;
    gone(&api, "child").await;
    api.get("owner")
        .await
        .expect("an object of the same name is not the owner");
}

async fn foreground_waits_for_dependents(context: Context) {
    let api = context.config_maps();
    let owner = context.config_map("owner", "1").await;
    dependent(&context, "child", &[&owner], true).await;
    finalize(&api, "child", &["example.com/hold"])
        .await
        .expect("patched");
    let answer = api
        .delete("owner", &DeleteParams::foreground())
        .await
        .expect("begun");
    let waiting = answer.left().expect("the owner is still there");
    assert_eq!(waiting.finalizers(), ["foregroundDeletion"]);
    eventually("the child is being deleted", async || {
        let child = api.get("child").await.expect("held");
        child.metadata.deletion_timestamp.map(drop)
    })
    .await;
    api.get("owner").await.expect("the owner waits");
    finalize(&api, "child", &[]).await.expect("patched");
    gone(&api, "child").await;
    gone(&api, "owner").await;
}

async fn orphans_stay(context: Context) {
    let api = context.config_maps();
    let owner = context.config_map("owner", "1").await;
    dependent(&context, "child", &[&owner], true).await;
    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    api.delete("owner", &orphan).await.expect("begun");
    gone(&api, "owner").await;
    assert_eq!(
        api.get("child").await.expect("it stays").owner_references(),
        []
    );
}

async fn a_cluster_wide_owner_is_followed(context: Context) {
    let roles = context.cluster_wide("rbac.authorization.k8s.io", "v1", "ClusterRole");
    let name = format!("owner-{}", context.namespace);
    let body = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}});
    let body = serde_json::from_value(body).expect("an object");
    let owner = roles
        .create(&PostParams::default(), &body)
        .await
        .expect("created");
    let body = json!({"metadata": {"name": "child", "ownerReferences": [{
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": name, "uid": owner.metadata.uid}]}});
    let api = context.config_maps();
    api.create(
        &PostParams::default(),
        &serde_json::from_value(body).expect("valid"),
    )
    .await
    .expect("created");
    roles
        .delete(&name, &DeleteParams::background())
        .await
        .expect("deleted");
    gone(&api, "child").await;
}

async fn a_collection_is_deleted_by_selector(context: Context) {
    let api = context.config_maps();
    for (name, color) in [("a", "red"), ("b", "blue"), ("c", "red")] {
        let body = json!({"metadata": {"name": name, "labels": {"color": color}}});
        api.create(
            &PostParams::default(),
            &serde_json::from_value(body).expect("valid"),
        )
        .await
        .expect("created");
    }
    let red = ListParams::default().labels("color=red");
    api.delete_collection(&DeleteParams::default(), &red)
        .await
        .expect("deleted");
    let left = api
        .list(&ListParams::default().labels("color"))
        .await
        .expect("a list");
    assert_eq!(
        left.items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["b"]
    );
}
