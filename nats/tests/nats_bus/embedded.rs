//! The server as a supervised child.

use skein_nats::accounts::Role;
use skein_nats::connect::connect;
use skein_nats::embedded::{EmbeddedServer, Options, ServerState, StartError};
use skein_nats::server_config::ServerTls;
use skein_nats::{Headers, OperatorStore, topology};

use crate::support::{Bus, alive, eventually, now, settings, signal, soon};

#[tokio::test]
async fn it_keeps_its_port_its_streams_and_its_accounts_over_a_stop() {
    let bus = Bus::start().await;
    let (keys, url, pid) = (
        bus.keys.clone(),
        bus.server.url().to_owned(),
        bus.server.pid().expect("runs"),
    );
    bus.hub
        .request("content.abc", Headers::new(), "body".into())
        .await
        .expect("stored");
    bus.server.stop().await;
    assert!(!alive(pid), "the server has ended");

    let server = EmbeddedServer::start(Options::new(
        bus.folder.path().join("bus"),
        keys.clone(),
        now(),
    ))
    .await
    .expect("again");
    assert_eq!(server.url(), url);
    let hub = connect(&settings(&keys, Role::Hub, "hub-0", &url))
        .await
        .expect("accounts are kept");
    topology::check(&hub, 1).await.expect("streams are kept");
    server.stop().await;
}

#[tokio::test]
async fn one_that_is_killed_is_started_again_and_clients_come_back() {
    let bus = Bus::start().await;
    let mut state = bus.server.state();
    let pid = bus.server.pid().expect("runs");
    signal("KILL", pid);
    soon("the server runs again", async {
        state
            .wait_for(|state| matches!(state, ServerState::Restarting { .. }))
            .await
            .expect("noticed");
        state
            .wait_for(|state| matches!(state, ServerState::Ready { pid: new } if *new != pid))
            .await
            .expect("ready");
    })
    .await;
    eventually("a client is served again", async || {
        bus.hub
            .request("content.abc", Headers::new(), "body".into())
            .await
            .ok()
    })
    .await;
    bus.stop().await;
}

#[tokio::test]
async fn two_cannot_share_a_folder() {
    let bus = Bus::bare().await;
    let second = EmbeddedServer::start(Options::new(
        bus.folder.path().join("bus"),
        bus.keys.clone(),
        now(),
    ))
    .await;
    assert!(
        matches!(second, Err(StartError::InUse { .. })),
        "{second:?}"
    );
    assert!(
        alive(bus.server.pid().expect("runs")),
        "the first is left alone"
    );
    bus.stop().await;
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let bus = Bus::bare().await;
    let pid = bus.server.pid().expect("runs");
    drop(bus.server);
    eventually("the server ends", async || (!alive(pid)).then_some(())).await;
}

#[tokio::test]
async fn one_that_a_killed_process_left_behind_is_ended_first() {
    let bus = Bus::bare().await;
    let folder = bus.folder.path().join("bus");
    let config = folder.join("nats-server.conf");
    let binary = skein_nats::embedded::find_binary(None)
        .expect("nats-server")
        .path;
    let keys = bus.keys.clone();
    bus.server.stop().await;
    // What is left when process and guard are both killed: a server without either.
    let mut left_behind = std::process::Command::new(binary)
        .arg("-c")
        .arg(&config)
        .spawn()
        .expect("started");
    let pid_file = folder.join("run/nats-server.pid");
    let id = left_behind.id().to_string();
    eventually("it has written its id", async || {
        std::fs::read_to_string(&pid_file)
            .ok()
            .filter(|written| written.trim() == id)
    })
    .await;

    let server = EmbeddedServer::start(Options::new(&folder, keys, now()))
        .await
        .expect("started");
    let ended = left_behind.try_wait().expect("a status");
    assert!(
        ended.is_some(),
        "it was ended before another one was started"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_configuration_the_server_refuses_is_told_with_its_words() {
    let folder = tempfile::tempdir().expect("folder");
    let store = OperatorStore::create(&folder.path().join("operator"), now()).expect("keys");
    let mut options = Options::new(folder.path().join("bus"), store.keys().clone(), now());
    let missing = folder.path().join("missing.pem");
    options.tls = Some(ServerTls {
        certificate: missing.clone(),
        key: missing,
        authority: None,
    });
    match EmbeddedServer::start(options).await {
        Err(StartError::Ended { words, .. }) => assert!(words.contains("missing.pem"), "{words}"),
        other => panic!("{other:?}"),
    }
}
