//! Joining, beating, renewing, moving, and the end of a membership.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use skein_agent::link::RefusalReason;
use skein_agent::{Agent, AgentState};
use skein_schema::code::{Code, Refusal};
use skein_schema::desired::{ClusterSettings, DesiredChange};
use skein_schema::join::JoinAnswer;
use skein_schema::kind::condition;
use skein_schema::name::SetName;
use skein_tests::sim_cluster::{SimCluster, SimOptions};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::hub::{MemoryHub, State, cluster};
use super::scene::{Scene, change, config_map, data, is, options};

#[tokio::test]
async fn an_agent_asks_until_it_is_let_in_and_says_what_it_waits_for() {
    let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
    hub.state().join_answer = Some(JoinAnswer::Pending {
        message: "ask the fleet team".into(),
    });
    let state_dir = tempfile::tempdir().unwrap();
    let mut given = options(&hub, &sim, state_dir.path());
    given.labels.insert("region".into(), "eu".into());
    let agent = Agent::start(given).await.unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    scene
        .until_state(|state| state.to_string() == "waiting to be accepted: ask the fleet team")
        .await;
    scene
        .hub
        .until("a second question", |state| {
            (state.joins.len() > 1).then_some(())
        })
        .await;

    scene.hub.state().join_answer = Some(JoinAnswer::Refused(Refusal::new(
        Code::ClusterDenied,
        "denied",
    )));
    scene
        .until_state(|state| state.to_string() == "refused: denied (SK3006)")
        .await;
    scene.hub.state().join_answer = None;
    scene
        .until_state(|state| matches!(state, AgentState::Running { .. }))
        .await;

    let joins = scene.hub.state().joins.clone();
    assert_eq!(
        joins[0].request, joins[1].request,
        "while it waits, it is one wish"
    );
    assert_ne!(
        joins[0].request,
        joins.last().unwrap().request,
        "after a refusal it is another"
    );
    assert_eq!(joins[0].keys.nkey, joins.last().unwrap().keys.nkey);
    assert_eq!(
        joins[0].labels.get("region").map(String::as_str),
        Some("eu")
    );
    assert!(
        joins[0]
            .claims
            .iter()
            .any(|claim| claim.name == "id.k8s.io")
    );

    // A restarted agent is a member already.
    let count = scene.hub.state().joins.len();
    let scene = scene.restart().await;
    scene
        .until_state(|state| matches!(state, AgentState::Running { current: true, .. }))
        .await;
    assert_eq!(scene.hub.state().joins.len(), count);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_member_beats_and_tells_what_its_cluster_is_like() {
    let scene = Scene::start().await;
    let report = scene.hub.until("the inventory", State::cluster).await;
    assert_eq!(report.kubernetes_version.as_deref(), Some("v1.36.3"));
    assert_eq!(report.capacity["cpu"].0, "4");
    assert_eq!(
        condition::status(&report.conditions, "ManagedClusterJoined"),
        Some("True")
    );
    let names: Vec<_> = report
        .claims
        .iter()
        .map(|claim| claim.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["id.k8s.io", "kubeversion.open-cluster-management.io"]
    );
    scene
        .hub
        .until("three heartbeats", |state| {
            (state.beats.len() >= 3).then_some(())
        })
        .await;
    let beat = scene.hub.state().beats[0].1.clone();
    assert!(beat.kube_api_healthy);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_unhealthy_api_server_shows_in_the_heartbeats() {
    let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
    let state_dir = tempfile::tempdir().unwrap();
    let mut given = options(&hub, &sim, state_dir.path());
    given.times.inventory.probe = Duration::from_millis(10);
    given.times.inventory.retry = Duration::from_millis(10);
    given.times.inventory.grace = Duration::from_millis(50);
    let agent = Agent::start(given).await.unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    scene
        .until_state(|state| matches!(state, AgentState::Running { current: true, .. }))
        .await;
    scene.sim.set_faults(|faults| faults.unreachable = true);
    let sick = scene
        .hub
        .until("an unhealthy heartbeat", |state| {
            state
                .beats
                .iter()
                .map(|(_, beat)| beat)
                .find(|beat| !beat.kube_api_healthy)
                .cloned()
        })
        .await;
    assert!(sick.message.is_some());
    scene.sim.set_faults(|faults| faults.unreachable = false);
    scene
        .hub
        .until("a healthy heartbeat again", |state| {
            state
                .beats
                .last()
                .filter(|(_, beat)| beat.kube_api_healthy)
                .map(|_| ())
        })
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_credential_is_renewed_in_time() {
    let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
    hub.state().life = SignedDuration::from_secs(1);
    let state_dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(options(&hub, &sim, state_dir.path()))
        .await
        .unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    let before = scene
        .hub
        .until("two renewals", |state| {
            (state.renewals.len() >= 2).then(|| state.renewals.clone())
        })
        .await;
    assert_ne!(before[0].request, before[1].request);
    let apart = before[1].time.duration_since(before[0].time);
    assert!(
        apart >= SignedDuration::from_millis(700) && apart < SignedDuration::from_millis(1000),
        "{apart:?}"
    );
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_moved_cluster_speaks_on_the_subjects_of_its_new_set() {
    let scene = Scene::start().await;
    let europe = SetName::new("europe").unwrap();
    scene.hub.move_to("europe");
    scene.hub.publish(vec![DesiredChange::Moved {
        clusterset: europe.clone(),
    }]);
    let settings = ClusterSettings {
        clusterset: europe.clone(),
        lease_duration_seconds: 60,
        managed_namespaces: [("shop".to_owned(), europe.clone())].into(),
    };
    scene.hub.publish(vec![
        DesiredChange::Settings(settings),
        change("web", 1, json!([config_map("a", "1")])),
    ]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    {
        let state = scene.hub.state();
        let (set, _) = state
            .statuses
            .iter()
            .rev()
            .find(|(_, message)| message.rev == 2)
            .unwrap();
        assert_eq!(*set, europe);
    }
    scene
        .hub
        .until("a heartbeat there", |state| {
            state
                .beats
                .last()
                .filter(|(set, _)| *set == europe)
                .map(|_| ())
        })
        .await;
    let report = scene
        .hub
        .until("the managed namespace", |state| {
            state
                .cluster()
                .filter(|report| !report.managed_namespaces.is_empty())
        })
        .await;
    let namespace = &report.managed_namespaces[0];
    assert_eq!(
        (namespace.name.as_str(), namespace.cluster_set.as_str()),
        ("shop", "europe")
    );
    assert_eq!(
        condition::status(&namespace.conditions, "NamespaceAvailable"),
        Some("True")
    );
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_revoked_agent_forgets_its_membership_and_leaves_the_workloads() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    scene.hub.state().join_answer = Some(JoinAnswer::Refused(Refusal::new(
        Code::ClusterDenied,
        "detached",
    )));
    scene.hub.refuse(RefusalReason::Revoked);
    scene
        .until_state(|state| matches!(state, AgentState::Joining(_)))
        .await;
    assert!(!scene.state_dir.path().join("credential.json").exists());
    assert!(!scene.state_dir.path().join("desired.json").exists());
    assert!(scene.state_dir.path().join("keys.json").exists());
    assert_eq!(data(scene.config_map("a").await.as_ref()), Some("1"));

    // Accepted again, it takes up where it was.
    scene.hub.state().join_answer = None;
    scene.hub.restore();
    scene
        .hub
        .keep(vec![change("web", 2, json!([config_map("a", "2")]))]);
    scene
        .hub
        .work("web", "applied again", |report| {
            is(report, "Applied", "True", 2)
        })
        .await;
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_token_an_agent_waits_and_says_so() {
    let (hub, sim) = (MemoryHub::new(), SimCluster::new(SimOptions::named("c1")));
    let state_dir = tempfile::tempdir().unwrap();
    let mut given = options(&hub, &sim, state_dir.path());
    given.token = None;
    given.listen = Some("127.0.0.1:0".parse().unwrap());
    let agent = Agent::start(given).await.unwrap();
    let scene = Scene {
        hub,
        sim,
        agent,
        state_dir,
    };
    scene
        .until_state(|state| *state == AgentState::NotJoined)
        .await;
    assert_eq!(scene.agent.cluster(), &cluster());

    let address = scene.agent.address().unwrap();
    let get = |path: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!(get("/healthz").await, 200);
    assert_eq!(get("/readyz").await, 503);
    assert_eq!(get("/metrics").await, 200);
    assert_eq!(get("/else").await, 404);
    scene.agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_agent_whose_credential_ended_joins_again_and_keeps_its_works() {
    let scene = Scene::start().await;
    scene
        .hub
        .publish(vec![change("web", 1, json!([config_map("a", "1")]))]);
    scene
        .hub
        .work("web", "applied", |report| is(report, "Applied", "True", 1))
        .await;
    let syncs = scene.hub.state().syncs.len();
    scene.hub.refuse(RefusalReason::Expired);
    scene
        .hub
        .until("another join", |state| {
            (state.joins.len() == 2).then_some(())
        })
        .await;
    // While it is out, the cluster is kept as it should be.
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
    let again = scene
        .hub
        .until("a catch-up", |state| state.syncs.get(syncs).copied())
        .await;
    assert_eq!(again, 1, "it knows what it knew");
    scene.agent.stop().await.unwrap();
}
