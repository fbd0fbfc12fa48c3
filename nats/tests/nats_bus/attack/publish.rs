//! Publishing on subjects of others.

use async_nats::HeaderMap;
use skein_nats::accounts::Role;

use super::siege::{Attacker, Siege};

/// What is the hubs', the servers' or nobody's: no client may say anything there.
const NOBODYS: &[&str] = &[
    "desired.default.c1",
    "desired.default.c2",
    "live.desired.default.c1",
    "live.desired.default.c2",
    "ledger.managedclusters._.c2",
    "content.abc",
    "content.e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "result.alice.1",
    "result.bob.1",
    "$KV.LEASES.hub",
    "$O.SNAPSHOTS.C.x",
    "$O.SNAPSHOTS.M.x",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.UPDATE.STATUS",
    "$JS.API.STREAM.DELETE.LEDGER",
    "$JS.API.STREAM.PURGE.DESIRED",
    "$JS.API.STREAM.MSG.GET.DESIRED",
    "$JS.API.STREAM.MSG.DELETE.DESIRED",
    "$JS.API.DIRECT.GET.DESIRED",
    "$JS.API.DIRECT.GET.DESIRED.desired.default.c2",
    "$JS.API.CONSUMER.CREATE.DESIRED",
    "$JS.API.CONSUMER.CREATE.DESIRED.mine.desired.default.c2",
    "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.hub",
    "$JS.API.CONSUMER.DELETE.COMMANDS.hub",
    "$JS.ACK.COMMANDS.hub.1.1.1.1.1",
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.DELETE",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.USER.INFO",
    "_INBOX_c2.x",
    "_INBOX_bob.x",
    "_INBOX_hub-0.x",
    "_JOIN_t2.x",
    "_R_.x",
    "anything",
];

/// What belongs to one role or name, and to nobody else.
const SOMEBODYS: &[(Role, &str, &[&str])] = &[
    (
        Role::Agent,
        "c1",
        &[
            "status.default.c1",
            "beat.default.c1",
            "sync.default.c1",
            "renew.default.c1",
            "status.other.c1",
        ],
    ),
    (
        Role::Agent,
        "c2",
        &[
            "status.default.c2",
            "beat.default.c2",
            "sync.default.c2",
            "renew.default.c2",
            "status.c1.c2",
        ],
    ),
    (Role::Bootstrap, "t1", &["join.t1"]),
    (Role::Bootstrap, "t2", &["join.t2"]),
    (Role::User, "alice", &["cmd.alice.apply", "query.alice.get"]),
    (Role::User, "bob", &["cmd.bob.apply", "query.bob.get"]),
];

/// Forms of one's own subjects that are not one's own.
const MALFORMED: &[&str] = &[
    "status.c1",
    "status.default.c1.more",
    "status.default.c1.c2",
    "status.default",
    "status",
    "sync.default.c10",
    "cmd.alice",
    "cmd.alice.apply.more",
    "join.t1.more",
    "Status.default.c1",
];

async fn cannot_publish_as_others(role: Role, name: &str) {
    let mut siege = Siege::lay().await;
    let mut attacker = Attacker::enter(&siege, role, name).await;
    siege.forget().await;
    let before = siege.holdings().await;
    let others = SOMEBODYS
        .iter()
        .filter(|(owner, owners_name, _)| (*owner, *owners_name) != (role, name));
    let subjects = NOBODYS
        .iter()
        .chain(others.flat_map(|(_, _, subjects)| subjects.iter()))
        .chain(MALFORMED);
    for subject in subjects {
        attacker
            .publish(subject, None, HeaderMap::new(), "forged")
            .await;
        attacker.was_refused(subject).await;
    }
    assert_eq!(siege.holdings().await, before, "no stream has changed");
    assert_eq!(
        siege.hub_heard().await,
        Vec::<String>::new(),
        "no hub has heard anything"
    );
    assert_eq!(
        siege.victims_heard().await,
        [],
        "no victim has heard anything"
    );
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}

#[tokio::test]
async fn an_agent_cannot_speak_as_another_agent_a_token_a_user_or_a_hub() {
    cannot_publish_as_others(Role::Agent, "c1").await;
}

#[tokio::test]
async fn a_join_token_cannot_do_anything_but_join() {
    cannot_publish_as_others(Role::Bootstrap, "t1").await;
}

#[tokio::test]
async fn a_user_cannot_speak_as_another_user_an_agent_or_a_hub() {
    cannot_publish_as_others(Role::User, "alice").await;
}

/// A token, a user and a cluster may have the same name. They are still three.
#[tokio::test]
async fn sharing_a_name_with_the_victim_gives_nothing() {
    for (role, own) in [(Role::Bootstrap, "join.c2"), (Role::User, "cmd.c2.apply")] {
        let mut siege = Siege::lay().await;
        let mut attacker = Attacker::enter(&siege, role, "c2").await;
        siege.forget().await;
        let before = siege.holdings().await;
        for subject in [
            "status.default.c2",
            "beat.default.c2",
            "sync.default.c2",
            "renew.default.c2",
            "_INBOX_c2.x",
        ] {
            attacker
                .publish(subject, None, HeaderMap::new(), "forged")
                .await;
            // A user's own inbox is called like the cluster's, in another account.
            if role != Role::User || subject != "_INBOX_c2.x" {
                attacker.was_refused(subject).await;
            }
        }
        assert_eq!(siege.holdings().await, before);
        assert_eq!(siege.victims_heard().await, []);
        attacker.publish(own, None, HeaderMap::new(), "own").await;
        assert!(siege.hub_heard().await.iter().all(|subject| subject == own));
        siege.bus.stop().await;
    }
}

/// A literal `*` in a subject matches a permission with a wildcard there. Whatever the server makes
/// of it, it must not pass for somebody else's, and the language refuses to read it.
#[tokio::test]
async fn a_wildcard_where_the_set_stands_reaches_nobody_else() {
    let mut siege = Siege::lay().await;
    let attacker = Attacker::enter(&siege, Role::Agent, "c1").await;
    siege.forget().await;
    for subject in ["status.*.c1", "beat.*.c1", "sync.>.c1"] {
        attacker
            .publish(subject, None, HeaderMap::new(), "forged")
            .await;
    }
    for subject in siege.hub_heard().await {
        assert!(
            skein_schema::subject::parse_of_cluster(&subject).is_err(),
            "{subject} can be read"
        );
        assert!(subject.ends_with(".c1"), "{subject}");
    }
    assert_eq!(siege.victims_heard().await, []);
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}

/// What a client may use is bounded: a message that is too large ends its own connection only.
#[tokio::test]
async fn a_flood_of_bytes_or_subscriptions_is_the_attackers_own_problem() {
    let mut siege = Siege::lay().await;
    let attacker = Attacker::enter(&siege, Role::Agent, "c1").await;
    siege.forget().await;
    let before = siege.holdings().await;
    let large = "x".repeat(5 * 1024 * 1024);
    // The server closes the connection on it; whether that shows here is a matter of timing.
    let _ = attacker
        .client
        .publish("status.default.c1".to_owned(), large.into())
        .await;
    let _ = attacker.connection.round_trip().await;
    assert_eq!(siege.holdings().await, before);
    assert_eq!(siege.hub_heard().await, Vec::<String>::new());

    let hoarder = Attacker::enter(&siege, Role::Agent, "c1").await;
    let mut events = hoarder.connection.events();
    let mut hoard = Vec::new();
    for number in 0..20 {
        let subscription = hoarder
            .connection
            .subscribe(&format!("_INBOX_c1.{number}"))
            .await;
        hoard.push(subscription.expect("sent"));
    }
    let told = crate::support::soon("the limit is told", async {
        loop {
            if let Ok(skein_nats::connect::ConnectionEvent::Other { text }) = events.recv().await
                && text.to_lowercase().contains("subscriptions")
            {
                return text;
            }
        }
    })
    .await;
    assert!(
        told.to_lowercase().contains("maximum subscriptions"),
        "{told}"
    );
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}
