//! Reports that are large, many, or refused.

use serde_json::{Value, json};
use skein_schema::desired::DesiredChange;
use skein_schema::kind::condition;

use super::scene::{Scene, change, config_map, eventually, is, with_spec};

/// A work that reports so many bytes of each of its ConfigMaps.
fn talkative(name: &str, maps: usize, bytes: usize) -> DesiredChange {
    let map = |index: usize| format!("{name}-{index}");
    let manifests: Vec<Value> = (0..maps)
        .map(|index| config_map(&map(index), &"x".repeat(bytes)))
        .collect();
    let configs: Vec<Value> = (0..maps)
        .map(|index| {
            json!({
                "resourceIdentifier": {"group": "", "resource": "configmaps", "namespace": "default", "name": map(index)},
                "feedbackRules": [{"type": "JSONPaths", "jsonPaths": [{"name": "key", "path": ".data.key"}]}],
            })
        })
        .collect();
    let spec = json!({"workload": {"manifests": manifests}, "manifestConfigs": configs});
    with_spec(name, 1, spec)
}

#[tokio::test]
async fn many_large_reports_go_in_several_messages() {
    let scene = Scene::start().await;
    scene.hub.state().is_deaf = true;
    let names: Vec<String> = (0..32).map(|index| format!("w{index}")).collect();
    let works = names.iter().map(|name| talkative(name, 1, 60_000));
    scene.hub.publish(works.collect());
    eventually("all reports to wait", || async {
        scene.agent.metrics().outbox.get() >= 32
    })
    .await;
    scene.hub.state().is_deaf = false;
    for name in &names {
        let report = scene
            .hub
            .work(name, "applied", |report| is(report, "Applied", "True", 1))
            .await;
        let feedback = &report.status.resource_status.manifests[0].status_feedback;
        assert_eq!(feedback.values.len(), 1, "nothing is left out");
    }
    let text = scene.agent.metrics().encode();
    assert!(
        text.contains("status_messages_total{result=\"refused\"} 0"),
        "{text}"
    );
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_report_that_is_too_large_for_the_bus_comes_without_its_feedback() {
    let scene = Scene::start().await;
    scene.hub.publish(vec![talkative("web", 3, 400_000)]);
    let report = scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let manifests = &report.status.resource_status.manifests;
    let told = |index: usize| manifests[index].status_feedback.values.len();
    assert_eq!(told(0) + told(1) + told(2), 2, "two of them fit");
    let silent = manifests
        .iter()
        .find(|entry| entry.status_feedback.values.is_empty());
    let synced = condition::find(&silent.unwrap().conditions, "StatusFeedbackSynced").unwrap();
    assert_eq!(synced.status, "False");
    assert!(synced.message.contains("left out"), "{}", synced.message);
    assert!(is(&report, "Available", "True", 1));
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_report_that_is_refused_for_good_does_not_hold_up_the_others() {
    let scene = Scene::start().await;
    {
        let mut state = scene.hub.state();
        state.refuses = Some("bad".into());
        state.is_deaf = true;
    }
    let names = ["a", "b", "bad", "c", "d"];
    let works = names.map(|name| change(name, 1, json!([config_map(name, "1")])));
    scene.hub.publish(works.into());
    eventually("all reports to wait", || async {
        scene.agent.metrics().outbox.get() >= 5
    })
    .await;
    scene.hub.state().is_deaf = false;
    for name in ["a", "b", "c", "d"] {
        scene
            .hub
            .work(name, "applied", |report| is(report, "Applied", "True", 1))
            .await;
    }
    eventually("an empty outbox", || async {
        scene.agent.metrics().outbox.get() == 0
    })
    .await;
    assert_eq!(scene.hub.state().work("bad"), None);
    let text = scene.agent.metrics().encode();
    assert!(
        !text.contains("status_messages_total{result=\"refused\"} 0"),
        "{text}"
    );

    // There is news of it, and this time it is taken.
    scene.hub.state().refuses = None;
    scene
        .hub
        .publish(vec![change("bad", 2, json!([config_map("bad", "2")]))]);
    scene
        .hub
        .work("bad", "applied", |report| is(report, "Applied", "True", 2))
        .await;
    scene.agent.stop().await.unwrap();
}
