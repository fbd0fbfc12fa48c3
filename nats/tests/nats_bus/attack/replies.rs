//! The reply trick: the server does not ask whether one may publish on the subject one
//! wants the answer on, and publishes it there itself.

use async_nats::HeaderMap;
use skein_nats::accounts::Role;
use skein_nats::{Connection, Message};

use super::siege::{Attacker, Holdings, Siege};

/// Where an attacker would like answers to be published.
const TARGETS: &[&str] = &[
    "desired.default.c2",
    "live.desired.default.c2",
    "status.default.c2",
    "beat.default.c2",
    "sync.default.c2",
    "renew.default.c2",
    "join.t2",
    "cmd.bob.delete",
    "query.bob.get",
    "result.bob.1",
    "ledger.managedclusters._.c2",
    "content.def",
    "_INBOX_c2.guessed",
    "_INBOX_bob.guessed",
    "$JS.API.STREAM.PURGE.DESIRED",
    "$JS.API.STREAM.DELETE.STATUS",
    "$KV.LEASES.hub",
    "$SYS.REQ.CLAIMS.UPDATE",
];

/// Reply subjects that the server keeps to itself: a message with one goes nowhere at all.
const RESERVED: &[&str] = &["_R_.guessed", "$JS.ACK.COMMANDS.hub.1.1.1.1.1"];

/// Sends a request on each of the attacker's own subjects with each target as its reply subject,
/// and answers what the victims heard.
async fn inject(siege: &mut Siege, attacker: &Attacker, own: &[&str]) -> Vec<Message> {
    for subject in own {
        for target in TARGETS.iter().chain(RESERVED) {
            attacker
                .publish(subject, Some(target), HeaderMap::new(), "{}")
                .await;
        }
    }
    round_trip(&attacker.connection, own[0]).await;
    siege.victims_heard().await
}

/// A request of the attacker's own: when it is answered, those before it have been.
async fn round_trip(connection: &Connection, subject: &str) {
    connection
        .request(subject, skein_nats::Headers::new(), "{}".into())
        .await
        .expect("answered");
}

/// The streams have what they had, and in `stream` `more` messages of the attacker's own.
fn assert_only_own(before: &Holdings, after: &Holdings, stream: &str, more: usize) {
    for (name, (messages, _, first, last, consumers)) in after {
        let was = before[name];
        let own = if name == stream { more as u64 } else { 0 };
        assert_eq!(
            (*messages, *first, *last, *consumers),
            (was.0 + own, was.2, was.3 + own, was.4),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_agents_reply_subjects_reach_no_stream_and_no_hub() {
    let mut siege = Siege::lay().await;
    let attacker = Attacker::enter(&siege, Role::Agent, "c1").await;
    siege.forget().await;
    let before = siege.holdings().await;
    let own = [
        "status.default.c1",
        "sync.default.c1",
        "renew.default.c1",
        "beat.default.c1",
    ];
    let planted = inject(&mut siege, &attacker, &own).await;

    // One PubAck each was asked for, and one more by the round trip.
    assert_only_own(
        &before,
        &siege.holdings().await,
        "STATUS",
        TARGETS.len() + 1,
    );
    for subject in siege.hub_heard().await {
        // JetStream copies nothing to `live.`, and no answer came back into the hubs' account.
        assert!(
            own.contains(&subject.as_str()),
            "{subject} was published in the hubs' account"
        );
    }
    // What the server does not prevent: inside AGENTS an answer can be planted where c2 listens.
    // It is an acknowledgement or an answer meant for c1, and it can carry no signature for c2:
    // that is what agents check, and why they obey nothing else.
    assert!(
        !planted.is_empty(),
        "should the server prevent it one day, say so in SECURITY.md"
    );
    for message in &planted {
        assert!(
            ["live.desired.default.c2", "_INBOX_c2.guessed"].contains(&message.subject.as_str()),
            "{message:?}"
        );
        assert_eq!(message.headers.get("Skein-Signature"), None);
    }
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}

#[tokio::test]
async fn a_join_tokens_reply_subjects_reach_no_stream_and_no_hub() {
    let mut siege = Siege::lay().await;
    let attacker = Attacker::enter(&siege, Role::Bootstrap, "t1").await;
    siege.forget().await;
    let before = siege.holdings().await;
    let planted = inject(&mut siege, &attacker, &["join.t1"]).await;
    assert_eq!(siege.holdings().await, before);
    assert!(
        siege
            .hub_heard()
            .await
            .iter()
            .all(|subject| subject == "join.t1")
    );
    for message in &planted {
        assert_eq!(message.headers.get("Skein-Signature"), None);
        assert!(!message.subject.contains("bob"), "{message:?}");
    }
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}

#[tokio::test]
async fn a_users_reply_subjects_reach_no_stream_and_no_hub() {
    let mut siege = Siege::lay().await;
    let attacker = Attacker::enter(&siege, Role::User, "alice").await;
    siege.forget().await;
    let before = siege.holdings().await;
    let own = ["cmd.alice.apply", "query.alice.get"];
    let planted = inject(&mut siege, &attacker, &own).await;
    assert_only_own(
        &before,
        &siege.holdings().await,
        "COMMANDS",
        TARGETS.len() + 1,
    );
    for subject in siege.hub_heard().await {
        assert!(
            own.contains(&subject.as_str()),
            "{subject} was published in the hubs' account"
        );
    }
    // Likewise inside USERS: who guesses the random id of bob's command or inbox can plant an
    // acknowledgement or an answer to a query of their own. No result of a hub is forged thus: a
    // result has an envelope, and neither of these has.
    for message in &planted {
        assert!(
            ["result.bob.1", "_INBOX_bob.guessed"].contains(&message.subject.as_str()),
            "{message:?}"
        );
        assert_eq!(message.headers.get("ce-id"), None);
    }
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}

/// The server can be asked to trace a message and to publish the trace on a subject.
#[tokio::test]
async fn traces_are_not_published_where_one_may_not() {
    let mut siege = Siege::lay().await;
    let agent = Attacker::enter(&siege, Role::Agent, "c1").await;
    let user = Attacker::enter(&siege, Role::User, "alice").await;
    siege.forget().await;
    let before = siege.holdings().await;
    for target in TARGETS {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Trace-Dest", *target);
        headers.insert(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
        agent
            .publish("status.default.c1", None, headers.clone(), "{}")
            .await;
        agent
            .publish("sync.default.c1", None, headers.clone(), "{}")
            .await;
        user.publish("cmd.alice.apply", None, headers, "{}").await;
    }
    round_trip(&agent.connection, "status.default.c1").await;
    round_trip(&user.connection, "cmd.alice.apply").await;
    let after = siege.holdings().await;
    for untouched in ["LEDGER", "DESIRED", "CONTENT", "KV_LEASES", "OBJ_SNAPSHOTS"] {
        assert_eq!(after[untouched], before[untouched], "{untouched}");
    }
    let own = ["status.default.c1", "sync.default.c1", "cmd.alice.apply"];
    for subject in siege.hub_heard().await {
        assert!(own.contains(&subject.as_str()), "{subject}");
    }
    assert_eq!(siege.victims_heard().await, []);
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}
