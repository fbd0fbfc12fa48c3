//! A bus that refuses: what an agent keeps, and what it tries.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use skein_agent::link::RefusalReason;
use skein_agent::{Agent, AgentState};
use skein_schema::code::{Code, Refusal};
use skein_schema::join::JoinAnswer;
use skein_tests::sim_cluster::{SimCluster, SimOptions};

use super::hub::{MemoryHub, token};
use super::scene::{Scene, change, config_map, data, is, options};

const CURRENT: AgentState = AgentState::Running {
    connected: true,
    current: true,
};

async fn member() -> Scene {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene
}

fn keeps_everything(scene: &Scene) -> bool {
    let folder = scene.state_dir.path();
    ["credential.json", "desired.json", "reported.json"]
        .iter()
        .all(|file| folder.join(file).exists())
}

/// Waits until the agent has tried to connect so many times more.
async fn until_tried(scene: &Scene, times: u32) {
    let before = scene.hub.state().attempts;
    scene
        .hub
        .until("more attempts to connect", |state| {
            (state.attempts >= before + times).then_some(())
        })
        .await;
}

#[tokio::test]
async fn an_unclear_refusal_takes_nothing_away() {
    let scene = member()
        .await
        .restart_with(|given| given.token = None)
        .await;
    scene.until_state(|state| *state == CURRENT).await;
    scene.hub.refuse(RefusalReason::Unclear);
    until_tried(&scene, 2).await;
    assert!(keeps_everything(&scene));
    // The cluster is kept as it should be.
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
    scene.hub.restore();
    scene
        .until_state(|state| {
            matches!(
                state,
                AgentState::Running {
                    connected: true,
                    ..
                }
            )
        })
        .await;
    assert_eq!(scene.hub.state().joins.len(), 1);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_is_tried_beside_a_credential_that_is_refused() {
    let scene = member().await;
    scene.hub.state().join_answer = Some(JoinAnswer::Refused(Refusal::new(
        Code::TokenExhausted,
        "used up",
    )));
    scene.hub.refuse(RefusalReason::Unclear);
    scene
        .hub
        .until("two more questions", |state| {
            (state.joins.len() >= 3).then_some(())
        })
        .await;
    until_tried(&scene, 1).await;
    assert!(keeps_everything(&scene));
    let syncs = scene.hub.state().syncs.len();
    scene.hub.restore();
    let asked = scene
        .hub
        .until("a catch-up", |state| state.syncs.get(syncs).copied())
        .await;
    assert_eq!(asked, 1, "it knows what it knew");
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_joins_another_hub_begins_anew_there() {
    let scene = member().await;
    scene.hub.state().hub_id = "g".repeat(64);
    scene.hub.forget_everything();
    let syncs = scene.hub.state().syncs.len();
    scene.hub.refuse(RefusalReason::Expired);
    scene
        .hub
        .until("another join", |state| {
            (state.joins.len() >= 2).then_some(())
        })
        .await;
    scene.hub.restore();
    let asked = scene
        .hub
        .until("a catch-up", |state| state.syncs.get(syncs).copied())
        .await;
    assert_eq!(asked, 0, "nothing is known of the other hub");
    scene
        .hub
        .publish(vec![change("other", 1, json!([config_map("b", "1")]))]);
    scene
        .hub
        .work("other", "applied", |report| {
            is(report, "Applied", "True", 1)
        })
        .await;
    assert_eq!(scene.agent.metrics().works.get(), 1);
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("1"));

    // A restarted agent is the other hub's, too.
    let scene = scene.restart().await;
    scene.until_state(|state| *state == CURRENT).await;
    assert_eq!(scene.hub.state().syncs.last(), Some(&1));
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_joiner_is_told_what_is_wrong_with_its_token() {
    let claims = BASE64URL_NOPAD.encode(br#"{"exp":1600000000}"#);
    let ended = format!("header.{claims}.signature");
    let expired = "refused: the join token t1 has expired at 2020-09-13T12:26:40Z (SK3003); mint a new one: skein token create";
    let unknown = "refused: the bus does not know the join token t1, or it was revoked (SK3002); mint a new one: skein token create";
    for (jwt, told) in [(ended.as_str(), expired), ("j", unknown)] {
        let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
        hub.state().refuses_token = true;
        let state_dir = tempfile::tempdir().unwrap();
        let mut given = options(&hub, &sim, state_dir.path());
        let mut token = token();
        jwt.clone_into(&mut token.jwt);
        given.token = Some(token);
        let agent = Agent::start(given).await.unwrap();
        let scene = Scene {
            hub,
            sim,
            agent,
            state_dir,
        };
        scene.until_state(|state| state.to_string() == told).await;
        // The bus has the last word: this machine's clock may be wrong.
        scene.hub.state().refuses_token = false;
        scene.until_state(|state| *state == CURRENT).await;
        scene.agent.stop().await.unwrap();
    }
}
