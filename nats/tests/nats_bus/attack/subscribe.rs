//! Listening to what others are told, say and ask.

use skein_nats::Headers;
use skein_nats::accounts::Role;

use super::siege::{Attacker, Siege, drain_quiet};

/// Wide nets, and what belongs to the victims.
const NETS: &[&str] = &[
    ">",
    "*",
    "*.>",
    "*.*.*",
    "*.*.*.*",
    "live.>",
    "live.desired.>",
    "live.desired.*.*",
    "live.desired.*.c2",
    "live.desired.default.*",
    "live.desired.default.c2",
    "desired.>",
    "desired.*.c1",
    "status.>",
    "status.*.c1",
    "status.*.c2",
    "beat.*.*",
    "sync.*.*",
    "sync.*.c1",
    "renew.>",
    "join.*",
    "cmd.>",
    "cmd.alice.*",
    "query.>",
    "result.>",
    "result.*.*",
    "result.bob.*",
    "ledger.>",
    "content.*",
    "_INBOX.>",
    "_INBOX_c2.>",
    "_INBOX_bob.>",
    "_INBOX_hub-0.>",
    "_JOIN_t2.>",
    "_R_.>",
    "$JS.>",
    "$KV.>",
    "$O.>",
    "$SYS.>",
    "$SYS.ACCOUNT.*.CONNECT",
];

async fn cannot_listen_to_others(role: Role, name: &str) {
    let mut siege = Siege::lay().await;
    let mut attacker = Attacker::enter(&siege, role, name).await;
    let mut nets = Vec::new();
    for net in NETS {
        // Alone, and in the hub's queue, as one who wants to get the questions meant for hubs.
        nets.push((
            *net,
            attacker.connection.subscribe(net).await.expect("sent"),
        ));
        nets.push((
            *net,
            attacker
                .connection
                .queue_subscribe(net, "hub")
                .await
                .expect("sent"),
        ));
        attacker
            .connection
            .round_trip()
            .await
            .expect("a round trip");
        attacker.was_refused(net).await;
    }
    // The victims' daily life, and a lot for others in the attacker's account.
    siege.assert_victims_are_well().await;
    let other = siege.bus.client(Role::Bootstrap, "t2").await;
    other
        .request("join.t2", Headers::new(), "let me in".into())
        .await
        .expect("answered");
    siege
        .c2
        .request("renew.default.c2", Headers::new(), "my key".into())
        .await
        .expect("answered");
    siege
        .c2
        .publish("beat.default.c2", Headers::new(), "alive".into())
        .await
        .expect("sent");
    siege
        .bob
        .request("query.bob.get", Headers::new(), "secrets".into())
        .await
        .expect("answered");
    siege.c2.round_trip().await.expect("a round trip");
    attacker
        .connection
        .round_trip()
        .await
        .expect("a round trip");
    let listening = nets
        .into_iter()
        .map(async |(net, mut subscription)| (net, drain_quiet(&mut subscription).await));
    for (net, caught) in futures::future::join_all(listening).await {
        assert_eq!(caught, [], "{role:?} {name} caught something with {net}");
    }
    siege.bus.stop().await;
}

#[tokio::test]
async fn an_agent_hears_nothing_of_others() {
    cannot_listen_to_others(Role::Agent, "c1").await;
}

#[tokio::test]
async fn a_join_token_hears_nothing_of_others_even_with_a_clusters_name() {
    cannot_listen_to_others(Role::Bootstrap, "c2").await;
}

#[tokio::test]
async fn a_user_hears_nothing_of_others() {
    cannot_listen_to_others(Role::User, "alice").await;
}
