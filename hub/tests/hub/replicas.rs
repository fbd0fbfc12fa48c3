//! Two hubs on one bus: one leads, the other takes over.

use std::path::Path;

use skein_nats::accounts::{Account, Role};
use skein_nats::connect::{Credentials, Settings, connect};
use skein_nats::embedded::{EmbeddedServer, Options};
use skein_nats::operator::{OperatorKeys, OperatorStore};
use skein_nats::resolver::{AccountResolver, AccountRevocations};
use skein_schema::command::CommandResult;
use skein_schema::name::UserName;
use skein_schema::query::{Answer, Query};
use skein_schema::resource::KindName;
use skein_schema::sync::SyncEnd;

use crate::agent::Agent;
use crate::process::Process;
use crate::user::{User, apply, clusterset, now, work};
use crate::wait;

/// A bus of its own, as an operator runs it beside the hubs.
async fn bus(folder: &Path) -> (EmbeddedServer, OperatorKeys) {
    let keys = OperatorStore::create(&folder.join("keys/operator"), now())
        .unwrap()
        .keys()
        .clone();
    let server = EmbeddedServer::start(Options::new(folder.join("nats"), keys.clone(), now()))
        .await
        .expect("a server");
    let credentials = keys
        .credentials(Role::System, "setup", now(), None)
        .unwrap();
    let prefix = Role::System.inbox_prefix("setup");
    let settings = Settings::new(
        vec![server.url().to_owned()],
        "setup",
        Credentials::Fixed(credentials),
        prefix,
    );
    let system = connect(&settings).await.expect("the system account");
    let resolver = AccountResolver::new(system.clone(), keys.clone());
    resolver
        .push(Account::Hub, &AccountRevocations::default(), now())
        .await
        .expect("the account is taken");
    system.close().await;
    (server, keys)
}

/// Writes a replica's configuration and starts it.
async fn replica(folder: &Path, url: &str, keys: &OperatorKeys, name: &str) -> Process {
    for (role, file) in [(Role::Hub, "hub"), (Role::System, "system")] {
        let credentials = keys.credentials(role, name, now(), None).unwrap();
        credentials
            .write(&folder.join(format!("{name}-{file}.creds")))
            .unwrap();
    }
    let config = format!(
        "name = \"{name}\"\ndata-dir = \"{name}\"\nkeys = \"keys\"\nhttp = \"127.0.0.1:0\"\n\
         [bus]\nservers = [\"{url}\"]\ncredentials = \"{name}-hub.creds\"\n\
         system-credentials = \"{name}-system.creds\"\n[lead]\nlease-seconds = 3\n"
    );
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, config).unwrap();
    Process::start(&["--config", path.to_str().unwrap()]).await
}

async fn leader(user: &User) -> Option<String> {
    let answers = user.query(&Query::Health).await;
    answers.into_iter().find_map(|answer| match answer {
        Answer::Health(health) if health.leads => Some(health.hub),
        _ => None,
    })
}

#[tokio::test]
async fn the_second_hub_takes_over_what_the_first_left() {
    let folder = tempfile::tempdir().unwrap();
    let (server, keys) = bus(folder.path()).await;
    let url = server.url().to_owned();
    let first = replica(folder.path(), &url, &keys, "hub-0").await;
    let admin = folder.path().join("admin.creds");
    keys.credentials(Role::User, "admin", now(), None)
        .unwrap()
        .write(&admin)
        .unwrap();
    let user = User::enter(vec![url.clone()], UserName::new("admin").unwrap(), &admin).await;
    let agent = Agent::join(&user, "c1").await;
    user.apply(work("c1", "web", 10)).await;
    let second = replica(folder.path(), &url, &keys, "hub-1").await;
    let connection = agent.enter(&user).await;
    let (_, end) = agent.sync(&connection, 0).await;
    let SyncEnd::Current { rev, .. } = end else {
        panic!("{end:?}")
    };

    first.kill().await;
    let result = wait::within(
        "a command after the take-over",
        user.command(apply(clusterset("eu"))),
    )
    .await;
    assert!(matches!(result, CommandResult::Done { .. }), "{result:?}");
    assert_eq!(
        wait::until("the new lead answers", || leader(&user)).await,
        "hub-1"
    );
    assert_eq!(user.get(KindName::ManagedClusterSet).await.len(), 3);
    let mut live = agent.listen(&connection).await;
    user.apply(work("c1", "second", 10)).await;
    let told = agent.told(&mut live).await;
    assert_eq!(
        (told.header.rev, told.header.previous),
        (rev + 1, rev),
        "the line goes on, signed by the shared key"
    );

    // The first comes back and follows.
    let first = replica(folder.path(), &url, &keys, "hub-0").await;
    assert_eq!(wait::until("one leads", || leader(&user)).await, "hub-1");
    first.stop().await;
    second.stop().await;
    server.stop().await;
}
