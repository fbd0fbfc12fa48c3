//! Headers that tell JetStream to do more than to store a message, on subjects that the
//! attacker may rightfully use.

use async_nats::HeaderMap;
use futures::StreamExt as _;
use skein_nats::accounts::Role;
use skein_nats::status::StatusStream;
use skein_nats::{Connection, Headers};

use super::siege::{Attacker, Siege};
use crate::support::soon;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.insert(*name, *value);
    }
    map
}

/// Sends one message with headers on the attacker's own subject, and answers JetStream's answer.
async fn ask(connection: &Connection, subject: &str, pairs: &[(&str, &str)]) -> String {
    let headers: Headers = pairs.iter().copied().collect();
    let answer = connection
        .request(subject, headers, "{}".into())
        .await
        .expect("an answer");
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// What JetStream would do on another stream, and must refuse or ignore on these.
const HOSTILE: &[&[(&str, &str)]] = &[
    &[("Nats-Rollup", "all")],
    &[("Nats-Rollup", "sub")],
    &[
        ("Nats-Schedule", "@at 2020-01-01T00:00:00Z"),
        ("Nats-Schedule-Target", "desired.default.c2"),
    ],
    &[
        ("Nats-Schedule", "@every 1s"),
        ("Nats-Schedule-Target", "status.default.c2"),
    ],
    &[
        ("Nats-Schedule-Next", "purge"),
        ("Nats-Scheduler", "status.default.c2"),
    ],
    &[("Nats-TTL", "1s")],
    &[("Nats-TTL", "never")],
    &[("Nats-Incr", "5")],
    &[
        ("Nats-Batch-Id", "mine"),
        ("Nats-Batch-Sequence", "1"),
        ("Nats-Batch-Commit", "1"),
    ],
    &[("Nats-Expected-Stream", "LEDGER")],
    &[("Nats-Expected-Last-Sequence", "0")],
    &[("Nats-Expected-Last-Msg-Id", "guessed")],
    &[("Nats-Stream-Source", "LEDGER 1 > > x")],
    &[("Nats-Marker-Reason", "Purge")],
    &[("Nats-Marker-Reason", "MaxAge"), ("KV-Operation", "PURGE")],
    &[("Nats-Required-Api-Level", "0")],
    &[
        ("Nats-Subject", "status.default.c2"),
        ("Nats-Sequence", "1"),
        ("Nats-Stream", "DESIRED"),
    ],
    &[(
        "Nats-Request-Info",
        r#"{"acc":"HUB","user":"root","name":"hub-0"}"#,
    )],
    &[("Status", "503"), ("Description", "no responders")],
];

async fn headers_do_nothing(role: Role, name: &str, subject: &str, stream: &str) {
    let mut siege = Siege::lay().await;
    let attacker = Attacker::enter(&siege, role, name).await;
    siege.forget().await;
    let before = siege.holdings().await;
    for pairs in HOSTILE {
        attacker.publish(subject, None, headers(pairs), "{}").await;
        let answer = ask(&attacker.connection, subject, pairs).await;
        assert!(
            answer.contains(r#""seq""#) || answer.contains(r#""error""#),
            "{pairs:?}: {answer}"
        );
        let after = siege.holdings().await;
        for (name, was) in &before {
            let is = after[name];
            if name == stream {
                // At most what was sent was added; nothing was taken away.
                assert!(
                    is.0 >= was.0 && is.2 == was.2 && is.3 >= was.3 && is.4 == was.4,
                    "{pairs:?} on {name}"
                );
            } else {
                assert_eq!(is, *was, "{pairs:?} changed {name}");
            }
        }
    }
    let sent = HOSTILE.len() as u64 * 2;
    assert!(siege.holdings().await[stream].0 <= before[stream].0 + sent);
    for heard in siege.hub_heard().await {
        assert_eq!(heard, subject, "nothing was published elsewhere");
    }
    assert_eq!(siege.victims_heard().await, []);
    siege.assert_victims_are_well().await;
    siege.bus.stop().await;
}

#[tokio::test]
async fn an_agents_headers_only_ever_add_its_own_message() {
    headers_do_nothing(Role::Agent, "c1", "status.default.c1", "STATUS").await;
}

#[tokio::test]
async fn a_users_headers_only_ever_add_its_own_message() {
    headers_do_nothing(Role::User, "alice", "cmd.alice.apply", "COMMANDS").await;
}

/// Features that a stream does not have are refused, not stored with a header that another reader
/// might believe.
#[tokio::test]
async fn rollups_schedules_lifetimes_counters_and_batches_are_refused() {
    let siege = Siege::lay().await;
    let agent = siege.bus.client(Role::Agent, "c1").await;
    let user = siege.bus.client(Role::User, "alice").await;
    let refused: &[&[(&str, &str)]] = &[
        &[("Nats-Rollup", "all")],
        &[
            ("Nats-Schedule", "@every 1s"),
            ("Nats-Schedule-Target", "desired.default.c2"),
        ],
        &[("Nats-TTL", "1s")],
        &[
            ("Nats-Batch-Id", "mine"),
            ("Nats-Batch-Sequence", "1"),
            ("Nats-Batch-Commit", "1"),
        ],
        &[("Nats-Stream-Source", "LEDGER 1 > > x")],
    ];
    for pairs in refused {
        for (client, subject) in [(&agent, "status.default.c1"), (&user, "cmd.alice.apply")] {
            let answer = ask(client, subject, pairs).await;
            assert!(
                answer.contains(r#""error""#),
                "{subject} {pairs:?}: {answer}"
            );
        }
    }
    siege.bus.stop().await;
}

/// Ids are known to the whole stream. An id that c1 used blocks the same id of c2 for 100 ms; so
/// nobody but hubs may depend on ids, and a message without one is never taken for another.
#[tokio::test]
async fn an_id_of_one_agent_does_not_swallow_anothers_message() {
    let siege = Siege::lay().await;
    let c1 = siege.bus.client(Role::Agent, "c1").await;
    for _ in 0..5 {
        ask(&c1, "status.default.c1", &[("Nats-Msg-Id", "guessed")]).await;
        let answer = ask(&siege.c2, "status.default.c2", &[("ce-id", "guessed")]).await;
        assert!(!answer.contains("duplicate"), "{answer}");
    }
    let mut statuses = StatusStream::new(&siege.bus.hub).read(1);
    let mut of_c2 = 0;
    // One of c2's is of the scene itself.
    while of_c2 < 6 {
        let status = soon("a status", statuses.next())
            .await
            .expect("open")
            .expect("read");
        of_c2 += usize::from(status.subject == "status.default.c2");
    }
    siege.bus.stop().await;
}

/// Asking for the last sequence of another's subject is answered by JetStream with yes or no. It
/// tells how far the stream is, and nothing of what is in it.
#[tokio::test]
async fn probing_anothers_sequence_changes_nothing_and_shows_no_content() {
    let siege = Siege::lay().await;
    let c1 = siege.bus.client(Role::Agent, "c1").await;
    let before = siege.holdings().await;
    for guess in ["99", "7"] {
        let probe = [
            ("Nats-Expected-Last-Subject-Sequence", guess),
            (
                "Nats-Expected-Last-Subject-Sequence-Subject",
                "status.default.c2",
            ),
        ];
        let answer = ask(&c1, "status.default.c1", &probe).await;
        assert!(
            answer.contains(r#""error""#) && !answer.contains("c2's"),
            "{answer}"
        );
    }
    assert_eq!(siege.holdings().await, before);
    siege.bus.stop().await;
}

/// What a reader of the hub gets has none of JetStream's own headers: what a client wrote into
/// them cannot be taken for the server's word.
#[tokio::test]
async fn what_clients_write_into_the_servers_headers_is_not_shown_to_hubs() {
    let siege = Siege::lay().await;
    let c1 = siege.bus.client(Role::Agent, "c1").await;
    let forged = [
        ("Nats-Marker-Reason", "Purge"),
        ("Nats-Request-Info", r#"{"acc":"HUB"}"#),
        ("ce-id", "1"),
    ];
    ask(&c1, "status.default.c1", &forged).await;
    let mut statuses = StatusStream::new(&siege.bus.hub).read(2);
    let status = soon("the status", statuses.next())
        .await
        .expect("open")
        .expect("read");
    assert_eq!(status.headers.iter().collect::<Vec<_>>(), [("ce-id", "1")]);
    siege.bus.stop().await;
}

/// The server says who asks (`share`), and overwrites what a client says of itself.
#[tokio::test]
async fn a_forged_request_info_is_overwritten_for_users() {
    let siege = Siege::lay().await;
    let alice = siege.bus.client(Role::User, "alice").await;
    let mut queries = siege
        .bus
        .hub
        .subscribe("query.*.*")
        .await
        .expect("subscribed");
    siege.bus.hub.round_trip().await.expect("a round trip");
    let forged = Headers::new().with("Nats-Request-Info", r#"{"acc":"HUB","user":"root"}"#);
    alice
        .publish("query.alice.get", forged, "{}".into())
        .await
        .expect("sent");
    let heard = soon("the query", queries.next()).await.expect("open");
    let info = heard.headers.get("Nats-Request-Info").unwrap_or_default();
    assert!(!info.contains("HUB") && !info.contains("root"), "{info}");
    assert_eq!(heard.subject, "query.alice.get");
    siege.bus.stop().await;
}
