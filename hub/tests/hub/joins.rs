//! Registration: a token, a wish, an acceptance, a credential that works; and its end.

use skein_schema::code::Code;
use skein_schema::command::{Command, CommandResult};
use skein_schema::join::JoinAnswer;
use skein_schema::sync::SyncEnd;

use crate::agent::{Agent, Joiner};
use crate::process::Plane;
use crate::user::{User, cluster_name};
use crate::wait;

fn available(cluster: &serde_json::Value) -> Option<String> {
    let conditions = cluster["status"]["conditions"].as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == "ManagedClusterConditionAvailable")?;
    found["status"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_cluster_joins_when_somebody_accepts_it_and_is_dropped_when_denied() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let (key, jwt) = user.token("shop", false).await;
    let joiner = Joiner::enter(&user, "shop", &key, &jwt, "c1").await;
    assert!(matches!(joiner.ask().await, JoinAnswer::Pending { .. }));
    let accepted = user
        .command(Command::Accept {
            cluster: cluster_name("c1"),
        })
        .await;
    assert!(
        matches!(accepted, CommandResult::Done { .. }),
        "{accepted:?}"
    );
    let agent = joiner.joined().await;
    assert!(agent.credential.certificate.is_some());
    let connection = agent.enter(&user).await;
    agent.beat(&connection, true).await;
    wait::until("the cluster is available", || async {
        agent.beat(&connection, true).await;
        (available(&user.cluster("c1").await?)? == "True").then_some(())
    })
    .await;
    assert!(matches!(
        agent.renew(&connection).await,
        JoinAnswer::Issued(_)
    ));

    let refused = async { connection.refused().await };
    let denied = user
        .command(Command::Deny {
            cluster: cluster_name("c1"),
        })
        .await;
    assert!(matches!(denied, CommandResult::Done { .. }), "{denied:?}");
    wait::within("the bus drops the agent", refused).await;
    wait::until("the bus lets the agent in no more", || async {
        agent.try_enter(&user).await.err()
    })
    .await;
    plane.process.stop().await;
}

#[tokio::test]
async fn a_lost_agent_is_noticed_by_its_connection() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let agent = Agent::join(&user, "c1").await;
    let connection = agent.enter(&user).await;
    wait::until("the cluster is available", || async {
        agent.beat(&connection, true).await;
        (available(&user.cluster("c1").await?)? == "True").then_some(())
    })
    .await;
    wait::until("the cluster's API server is reported", || async {
        agent.beat(&connection, false).await;
        (available(&user.cluster("c1").await?)? == "False").then_some(())
    })
    .await;
    connection.close().await;
    wait::until("the cluster is unknown", || async {
        (available(&user.cluster("c1").await?)? == "Unknown").then_some(())
    })
    .await;
    plane.process.stop().await;
}

#[tokio::test]
async fn a_revoked_token_and_a_malformed_request_are_refused() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let (key, jwt) = user.token("shop", false).await;
    let joiner = Joiner::enter(&user, "shop", &key, &jwt, "c1").await;
    let JoinAnswer::Refused(refusal) = joiner.send(b"not json".to_vec()).await else {
        panic!("refused")
    };
    assert_eq!(refusal.code, Code::MalformedDocument);
    let refused = async { joiner.connection.refused().await };
    let token = skein_schema::name::TokenName::new("shop").unwrap();
    let revoked = user.command(Command::RevokeToken { token }).await;
    assert!(matches!(revoked, CommandResult::Done { .. }), "{revoked:?}");
    wait::within("the bus drops the token's holder", refused).await;
    plane.process.stop().await;
}

#[tokio::test]
async fn a_malformed_message_on_an_agents_subjects_stops_nobody() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let agent = Agent::join(&user, "c1").await;
    let connection = agent.enter(&user).await;
    for kind in ["status", "beat", "renew"] {
        let subject = format!("{kind}.default.c1");
        connection
            .publish(
                &subject,
                skein_nats::Headers::new(),
                b"\xff{".to_vec().into(),
            )
            .await
            .unwrap();
    }
    let (_, end) = agent.ask_raw(&connection, b"not json".to_vec()).await;
    assert!(
        matches!(end, SyncEnd::Refused(ref refusal) if refusal.code == Code::MalformedDocument),
        "{end:?}"
    );
    let (_, end) = agent.sync(&connection, 0).await;
    assert!(matches!(end, SyncEnd::Current { .. }), "{end:?}");
    plane.process.stop().await;
}
