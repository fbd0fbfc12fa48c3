//! What a work owns, and what becomes of it when the work goes.

use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use skein_schema::desired::DesiredChange;

use super::scene::{Scene, change, config_map, data, is, uid_of, with_spec};

fn remove(name: &str) -> DesiredChange {
    DesiredChange::RemoveWork {
        name: name.parse().unwrap(),
        uid: uid_of(name),
    }
}

fn owners(object: Option<&Value>) -> usize {
    let references = object.and_then(|object| object.pointer("/metadata/ownerReferences"));
    references.and_then(Value::as_array).map_or(0, Vec::len)
}

fn records_api(scene: &Scene) -> Api<DynamicObject> {
    scene.api(
        "work.open-cluster-management.io/v1",
        "AppliedManifestWork",
        "appliedmanifestworks",
    )
}

async fn records(scene: &Scene) -> usize {
    let all = records_api(scene).list(&ListParams::default()).await;
    all.unwrap().items.len()
}

/// The name and the status of the record of a work.
async fn record(scene: &Scene, work: &str) -> Option<(String, Value)> {
    let all = records_api(scene).list(&ListParams::default()).await;
    all.unwrap().items.into_iter().find_map(|record| {
        let name = record.metadata.name?;
        let status = record.data.get("status").cloned().unwrap_or_default();
        name.ends_with(&format!("-{work}"))
            .then_some((name, status))
    })
}

/// Names of the objects that a work's record has, with whether their uid is known.
async fn recorded(scene: &Scene, work: &str) -> Vec<(String, bool)> {
    let status = record(scene, work).await.map(|(_, status)| status);
    let entries = status.and_then(|status| status["appliedResources"].as_array().cloned());
    let entry = |entry: Value| {
        let known = !matches!(entry["uid"].as_str(), None | Some(""));
        (entry["name"].as_str().unwrap().to_owned(), known)
    };
    entries.unwrap_or_default().into_iter().map(entry).collect()
}

#[tokio::test]
async fn a_removed_work_takes_its_objects_along_and_says_so() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![change(
        "web",
        1,
        json!([config_map("a", "1"), config_map("b", "1")]),
    )]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    assert_eq!(records(&scene).await, 1);
    assert_eq!(owners(scene.config_map("a").await.as_ref()), 1);

    scene.hub.publish(vec![remove("web")]);
    scene
        .hub
        .until("web removed", |state| state.removed("web"))
        .await;
    assert_eq!(scene.config_map("a").await, None);
    assert_eq!(scene.config_map("b").await, None);
    assert_eq!(records(&scene).await, 0);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_removal_waits_for_finalizers() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "a",
            json!({"metadata": {"finalizers": ["example.com/wait"]}}),
        )
        .await;
    scene.hub.publish(vec![remove("web")]);
    scene
        .until_config_map("a", "being deleted", |found| {
            found.is_some_and(|found| found.pointer("/metadata/deletionTimestamp").is_some())
        })
        .await;
    assert_eq!(scene.hub.state().removed("web"), None);

    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "a",
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
    scene
        .hub
        .until("web removed", |state| state.removed("web"))
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn orphans_stay_without_their_owner() {
    let scene = Scene::start().await;
    let spec = json!({
        "workload": {"manifests": [config_map("a", "1"), config_map("b", "1")]},
        "deleteOption": {"propagationPolicy": "SelectivelyOrphan", "selectivelyOrphans": {"orphaningRules": [
            {"group": "", "resource": "configmaps", "namespace": "default", "name": "a"}]}},
    });
    scene.hub.publish(vec![with_spec("web", 1, spec)]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene.hub.publish(vec![remove("web")]);
    scene
        .hub
        .until("web removed", |state| state.removed("web"))
        .await;
    let kept = scene.config_map("a").await;
    assert!(kept.is_some());
    assert_eq!(owners(kept.as_ref()), 0);
    assert_eq!(scene.config_map("b").await, None);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_object_of_two_works_goes_with_the_last_of_them() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("one", 1, json!([config_map("shared", "1")]))]);
    scene
        .hub
        .work("one", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene
        .hub
        .publish(vec![change("two", 1, json!([config_map("shared", "1")]))]);
    scene
        .hub
        .work("two", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene
        .until_config_map("shared", "owned by both", |found| owners(found) == 2)
        .await;

    scene.hub.publish(vec![remove("one")]);
    scene
        .hub
        .until("one removed", |state| state.removed("one"))
        .await;
    let left = scene.config_map("shared").await;
    assert_eq!((data(left.as_ref()), owners(left.as_ref())), (Some("1"), 1));

    scene.hub.publish(vec![remove("two")]);
    scene
        .hub
        .until("two removed", |state| state.removed("two"))
        .await;
    assert_eq!(scene.config_map("shared").await, None);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_work_that_never_came_is_reported_as_removed() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![remove("ghost")]);
    scene
        .hub
        .until("ghost removed", |state| state.removed("ghost"))
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_agent_with_an_empty_disk_still_knows_what_it_owns() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![change(
        "web",
        1,
        json!([config_map("a", "1"), config_map("b", "1")]),
    )]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let Scene {
        hub, sim, agent, ..
    } = scene;
    agent.stop().await.unwrap();

    // While it is away, b is dropped from the work.
    hub.keep(vec![change("web", 2, json!([config_map("a", "2")]))]);
    let state_dir = tempfile::tempdir().unwrap();
    let agent = skein_agent::Agent::start(super::scene::options(&hub, &sim, state_dir.path()))
        .await
        .unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    scene
        .hub
        .work("web", "applied again", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    scene
        .until_config_map("b", "pruned", |found| found.is_none())
        .await;
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("2"));
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_may_have_been_applied_is_recorded() {
    let scene = Scene::start().await;
    let mut lost = config_map("lost", "1");
    lost["metadata"]["namespace"] = json!("nowhere");
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1"), lost]))]);
    scene
        .hub
        .work("web", "not applied", |report| {
            is(report, "Applied", "False", 1)
        })
        .await;
    super::scene::eventually("both to be recorded", || async {
        recorded(&scene, "web").await == [("a".to_owned(), true), ("lost".to_owned(), false)]
    })
    .await;

    scene
        .hub
        .publish(vec![change("web", 2, json!([config_map("a", "1")]))]);
    super::scene::eventually("the record to forget it", || async {
        recorded(&scene, "web").await == [("a".to_owned(), true)]
    })
    .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_an_agent_applied_before_it_died_is_pruned() {
    let scene = Scene::start().await;
    let both = json!([config_map("a", "1"), config_map("b", "1")]);
    scene.hub.publish(vec![change("web", 1, both)]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    // As if it had died between applying and recording: the uids are not known.
    let (name, mut status) = record(&scene, "web").await.unwrap();
    for entry in status["appliedResources"].as_array_mut().unwrap() {
        entry["uid"] = json!("");
    }
    let api = records_api(&scene);
    let Scene {
        hub,
        sim,
        agent,
        state_dir,
    } = scene;
    agent.stop().await.unwrap();
    let patch = Patch::Merge(json!({"status": {"appliedResources": status["appliedResources"]}}));
    api.patch_status(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    hub.keep(vec![change("web", 2, json!([config_map("a", "2")]))]);
    let agent = skein_agent::Agent::start(super::scene::options(&hub, &sim, state_dir.path()))
        .await
        .unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    scene
        .until_config_map("b", "pruned", |found| found.is_none())
        .await;
    super::scene::eventually("the uid to be recorded", || async {
        recorded(&scene, "web").await == [("a".to_owned(), true)]
    })
    .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_eviction_that_waits_for_finalizers_does_not_begin_anew() {
    let scene = Scene::start().await;
    let both = json!([config_map("a", "1"), config_map("b", "1")]);
    scene.hub.publish(vec![change("web", 1, both)]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let waiting = json!({"metadata": {"finalizers": ["example.com/wait"]}});
    scene
        .patch("v1", "ConfigMap", "configmaps", "a", waiting)
        .await;
    let forget = DesiredChange::ForgetWork {
        name: "web".parse().unwrap(),
        uid: uid_of("web"),
    };
    scene.hub.publish(vec![forget]);
    super::scene::eventually("the forgetting", || async {
        scene.agent.metrics().works.get() == 0
    })
    .await;
    let Scene {
        hub,
        sim,
        agent,
        state_dir,
    } = scene;
    agent.stop().await.unwrap();
    let mut given = super::scene::options(&hub, &sim, state_dir.path());
    given.times.driver.evict = std::time::Duration::from_millis(50);
    given.times.driver.eviction_grace = jiff::SignedDuration::from_millis(300);
    let agent = skein_agent::Agent::start(given).await.unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    let start = async || {
        let (_, status) = record(&scene, "web").await?;
        status["evictionStartTime"].as_str().map(str::to_owned)
    };
    super::scene::eventually("the grace to begin", || async { start().await.is_some() }).await;
    let begun = start().await;
    super::scene::eventually("b to be gone from the record", || async {
        recorded(&scene, "web").await == [("a".to_owned(), true)]
    })
    .await;
    assert_eq!(start().await, begun);

    let none = json!({"metadata": {"finalizers": null}});
    scene
        .patch("v1", "ConfigMap", "configmaps", "a", none)
        .await;
    super::scene::eventually("the record to go", || async { records(&scene).await == 0 }).await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_work_that_the_hub_forgot_by_force_is_evicted_after_its_grace() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![
        change("web", 1, json!([config_map("a", "1")])),
        change("kept", 1, json!([config_map("b", "1")])),
    ]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene
        .hub
        .work("kept", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let forget = DesiredChange::ForgetWork {
        name: "web".parse().unwrap(),
        uid: uid_of("web"),
    };
    scene.hub.publish(vec![forget]);
    super::scene::eventually("the forgetting", || async {
        scene.agent.metrics().works.get() == 1
    })
    .await;
    assert!(
        scene.config_map("a").await.is_some(),
        "forgetting alone removes nothing"
    );

    // Restarted with short times: the grace period begins with the first look, and ends soon.
    let Scene {
        hub,
        sim,
        agent,
        state_dir,
    } = scene;
    agent.stop().await.unwrap();
    let mut given = super::scene::options(&hub, &sim, state_dir.path());
    given.times.driver.evict = std::time::Duration::from_millis(50);
    given.times.driver.eviction_grace = jiff::SignedDuration::from_millis(100);
    let agent = skein_agent::Agent::start(given).await.unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    scene
        .until_config_map("a", "evicted", |found| found.is_none())
        .await;
    super::scene::eventually("the record to go", || async { records(&scene).await == 1 }).await;
    assert!(scene.config_map("b").await.is_some());
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_definition_that_somebody_has_deleted_is_installed_again() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let resource = kube::core::ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    };
    let definitions: Api<DynamicObject> = Api::all_with(scene.sim.client(), &resource);
    let name = "appliedmanifestworks.work.open-cluster-management.io";
    definitions.delete(name, &Default::default()).await.unwrap();
    super::scene::eventually("the end of the definition", || async {
        definitions.get_opt(name).await.unwrap().is_none()
    })
    .await;

    scene
        .hub
        .publish(vec![change("late", 1, json!([config_map("b", "1")]))]);
    scene
        .hub
        .work("late", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    assert!(definitions.get_opt(name).await.unwrap().is_some());
    scene.agent.stop().await.unwrap();
}
