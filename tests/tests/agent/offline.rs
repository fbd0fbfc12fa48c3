//! Cut off, restarted, and both.

use serde_json::json;
use skein_agent::AgentState;

use super::scene::{Scene, change, config_map, data, is};

#[tokio::test]
async fn an_agent_restarted_while_cut_off_goes_on_enforcing_and_reports_later() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene.hub.cut();
    scene
        .until_state(|state| {
            matches!(
                state,
                AgentState::Running {
                    connected: false,
                    ..
                }
            )
        })
        .await;

    let scene = scene.restart().await;
    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "a",
            json!({"data": {"key": "drift"}}),
        )
        .await;
    scene
        .until_config_map("a", "healed", |found| data(found) == Some("1"))
        .await;
    scene
        .api("v1", "ConfigMap", "configmaps")
        .delete("a", &Default::default())
        .await
        .unwrap();
    scene
        .until_config_map("a", "made again", |found| data(found) == Some("1"))
        .await;

    // Meanwhile the hub wants something new.
    scene
        .hub
        .keep(vec![change("web", 2, json!([config_map("a", "2")]))]);
    scene.hub.restore();
    scene
        .hub
        .work("web", "caught up", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    scene
        .until_state(|state| {
            matches!(
                state,
                AgentState::Running {
                    connected: true,
                    current: true
                }
            )
        })
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn reports_that_could_not_be_sent_are_sent_after_a_restart() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let spec = json!([config_map("a", "1"), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "later"}}]);
    scene.hub.publish(vec![change("web", 2, spec)]);
    scene
        .hub
        .work("web", "failing", |report| is(report, "Applied", "False", 2))
        .await;
    scene.hub.cut();
    scene
        .until_state(|state| {
            matches!(
                state,
                AgentState::Running {
                    connected: false,
                    ..
                }
            )
        })
        .await;

    // What was missing comes; the work gets better while nobody hears of it.
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
        kube::Api::all(scene.sim.client());
    namespaces
        .create(
            &Default::default(),
            &serde_json::from_value(json!({"metadata": {"name": "later"}})).unwrap(),
        )
        .await
        .unwrap();
    super::scene::eventually("an unsent report", || async {
        scene.agent.metrics().outbox.get() > 0
    })
    .await;
    let before = scene.hub.state().statuses.len();

    let scene = scene.restart().await;
    scene.hub.restore();
    scene
        .hub
        .work("web", "better", |report| is(report, "Applied", "True", 2))
        .await;
    let sessions: std::collections::BTreeSet<_> = scene
        .hub
        .state()
        .statuses
        .iter()
        .skip(before)
        .map(|(_, message)| message.session)
        .collect();
    assert_eq!(sessions.len(), 1, "one run, one session");
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_comes_back_is_put_right() {
    let scene = Scene::start().await;
    scene.sim.set_faults(|faults| faults.unreachable = true);
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    super::scene::eventually("the message", || async {
        scene.agent.metrics().desired_rev.get() == 1
    })
    .await;
    scene.sim.set_faults(|faults| faults.unreachable = false);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;

    // Watches that were dropped, or whose history has gone, are made anew.
    scene.sim.expire_history();
    scene.sim.drop_watches();
    scene
        .patch(
            "v1",
            "ConfigMap",
            "configmaps",
            "a",
            json!({"data": {"key": "drift"}}),
        )
        .await;
    scene
        .until_config_map("a", "healed", |found| data(found) == Some("1"))
        .await;
    scene.agent.stop().await.unwrap();
}
