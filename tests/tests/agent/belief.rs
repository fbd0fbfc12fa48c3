//! What an agent believes: what the hub has signed, in order, and contents with the right digest.

use std::time::Duration;

use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use skein_agent::{Agent, AgentState};
use skein_schema::digest::Digest;
use skein_schema::kind::condition;
use skein_schema::seal::{PublicKey, SecretKey, seal};

use super::scene::{Scene, change, config_map, data, is, options};

#[tokio::test]
async fn forged_and_replayed_messages_change_nothing() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let evil = || vec![change("evil", 1, json!([config_map("evil", "1")]))];

    // Signed by another key, with a body that was exchanged, without a signature, from the past,
    // not numbered as the next one.
    scene.hub.inject(
        scene
            .hub
            .sign_with(&SigningKey::from_bytes(&[8; 32]), 2, 1, evil()),
    );
    let mut exchanged = scene.hub.sign(2, 1, vec![]);
    exchanged.body = scene.hub.sign(2, 1, evil()).body;
    scene.hub.inject(exchanged);
    let mut bare = scene.hub.sign(2, 1, evil());
    bare.headers = Default::default();
    scene.hub.inject(bare);
    scene.hub.inject(scene.hub.sign(1, 0, evil()));

    scene
        .hub
        .publish(vec![change("web", 2, json!([config_map("a", "2")]))]);
    scene
        .hub
        .work("web", "applied again", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    assert_eq!(scene.config_map("evil").await, None);
    assert_eq!(scene.hub.state().work("evil"), None);
    let text = scene.agent.metrics().encode();
    assert!(
        text.contains("desired_messages_total{result=\"rejected\"} 2"),
        "{text}"
    );
    assert!(
        text.contains("desired_messages_total{result=\"malformed\"} 1"),
        "{text}"
    );
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_gap_is_noticed_and_filled_in_pages() {
    let scene = Scene::start().await;
    for generation in 1..=9 {
        scene.hub.keep(vec![change(
            "web",
            generation,
            json!([config_map("a", &generation.to_string())]),
        )]);
    }
    let syncs = scene.hub.state().syncs.len();
    scene
        .hub
        .publish(vec![change("web", 10, json!([config_map("a", "10")]))]);
    scene
        .hub
        .work("web", "caught up", |report| {
            is(report, "Applied", "True", 10)
        })
        .await;
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("10"));
    assert!(
        scene.hub.state().syncs.len() >= syncs + 3,
        "ten messages are three pages"
    );
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_content_comes_by_digest_and_a_forged_one_is_refused() {
    let scene = Scene::start().await;
    let manifest = config_map("big", &"x".repeat(20_000));
    let reference = |digest: Digest| {
        json!({"skein.dev/content": {
            "digest": digest.to_string(), "size": 20_100, "apiVersion": "v1", "kind": "ConfigMap",
            "namespace": "default", "name": "big",
        }})
    };
    let digest = Digest::of_json(&manifest);
    scene
        .hub
        .put_forged_content(digest, br#"{"kind":"ConfigMap","evil":true}"#);
    scene
        .hub
        .publish(vec![change("web", 1, json!([reference(digest)]))]);
    let report = scene
        .hub
        .work("web", "refused", |report| is(report, "Applied", "False", 1))
        .await;
    let applied = condition::find(
        &report.status.resource_status.manifests[0].conditions,
        "Applied",
    )
    .unwrap();
    assert!(applied.message.contains("digest"), "{}", applied.message);
    assert_eq!(scene.config_map("big").await, None);

    scene.hub.put_content(&manifest);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    assert_eq!(
        data(scene.config_map("big").await.as_ref()).map(str::len),
        Some(20_000)
    );

    // It is kept as long as a work names it, and no longer.
    let folder = scene.state_dir.path().join("content");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    scene
        .hub
        .publish(vec![change("web", 2, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied again", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_sealed_secret_is_opened_here_and_nowhere_else() {
    let scene = Scene::start().await;
    let keys = scene.hub.state().joins[0].keys.clone();
    let raw = BASE64.decode(keys.sealing_key.unwrap().as_bytes()).unwrap();
    let ours = PublicKey::from(<[u8; 32]>::try_from(raw).unwrap());
    let sealed = |name: &str, recipient: &PublicKey| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": "default"},
            "stringData": {"password": "hunter2"},
        });
        Value::Object(seal(secret.as_object().unwrap(), recipient, &[3; 32]).unwrap())
    };
    let other = SecretKey::from([9; 32]).public_key();
    scene.hub.publish(vec![
        change("ours", 1, json!([sealed("ours", &ours)])),
        change("other", 1, json!([sealed("other", &other)])),
    ]);
    scene
        .hub
        .work("ours", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let secret = scene.get("v1", "Secret", "secrets", "ours").await.unwrap();
    assert_eq!(secret["data"]["password"], BASE64.encode(b"hunter2"));
    assert_eq!(secret.get("skein.dev/sealed"), None);
    let report = scene
        .hub
        .work("other", "refused", |report| {
            is(report, "Applied", "False", 1)
        })
        .await;
    let applied = condition::find(
        &report.status.resource_status.manifests[0].conditions,
        "Applied",
    )
    .unwrap();
    assert!(applied.message.contains("sealed"), "{}", applied.message);

    // Neither the disk nor what the hub hears holds the plaintext.
    for entry in std::fs::read_dir(scene.state_dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(
                !text.contains("hunter2") && !text.contains(&BASE64.encode(b"hunter2")),
                "{path:?}"
            );
        }
    }
    let said = serde_json::to_string(
        &scene
            .hub
            .state()
            .statuses
            .iter()
            .map(|(_, m)| m)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(!said.contains("hunter2") && !said.contains(&BASE64.encode(b"hunter2")));
    scene.agent.stop().await.unwrap();
}

/// An agent with an empty disk, on a cluster with a work, and a hub that it cannot understand.
async fn perplexed(messages: u64) -> Scene {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let Scene {
        hub, sim, agent, ..
    } = scene;
    agent.stop().await.unwrap();
    hub.speak_in_riddles(messages);
    let state_dir = tempfile::tempdir().unwrap();
    let mut given = options(&hub, &sim, state_dir.path());
    given.times.driver.evict = Duration::from_millis(10);
    given.times.driver.eviction_grace = jiff::SignedDuration::ZERO;
    let agent = Agent::start(given).await.unwrap();
    Scene {
        hub,
        sim,
        agent,
        state_dir,
    }
}

#[tokio::test]
async fn an_agent_that_cannot_read_what_is_wanted_evicts_nothing_and_asks_now_and_then() {
    // All that there is, and the first page of more.
    for messages in [1, 5] {
        let scene = perplexed(messages).await;
        let count = |more: usize| {
            let before = scene.hub.state().syncs.len();
            let hub = scene.hub.clone();
            async move {
                hub.until("catch-ups", |state| {
                    (state.syncs.len() >= before + more).then_some(())
                })
                .await;
            }
        };
        count(1).await;
        let started = tokio::time::Instant::now();
        count(3).await;
        let asked_for = started.elapsed();
        assert!(asked_for >= Duration::from_millis(200), "{asked_for:?}");
        let state = scene.agent.state().borrow().clone();
        let perplexed = AgentState::Running {
            connected: true,
            current: false,
        };
        assert_eq!(state, perplexed);
        assert!(scene.config_map("a").await.is_some(), "nothing is evicted");

        // The hub speaks as before.
        scene.hub.forget_everything();
        scene
            .hub
            .keep(vec![change("web", 1, json!([config_map("a", "2")]))]);
        scene
            .until_state(|state| matches!(state, AgentState::Running { current: true, .. }))
            .await;
        scene
            .until_config_map("a", "applied", |found| data(found) == Some("2"))
            .await;
        scene.agent.stop().await.unwrap();
    }
}
