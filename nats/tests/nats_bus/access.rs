//! What each role *can* do, and that credentials end when they are said to.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::SignedDuration;
use skein_nats::Headers;
use skein_nats::accounts::{Account, Role};
use skein_nats::connect::{ConnectError, Credentials, Refusal, Settings, connect};
use skein_nats::nkey::{Key, KeyKind};
use skein_nats::resolver::{AccountRevocations, ClientChange};

use crate::support::{Bus, beside, eventually, now, settings, soon};

const INBOX_WAIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_agent_reports_beats_asks_and_hears() {
    let bus = Bus::start().await;
    let agent = bus.client(Role::Agent, "c1").await;
    let mut live = agent
        .subscribe("live.desired.*.c1")
        .await
        .expect("subscribed");
    let mut beats = bus.hub.subscribe("beat.*.*").await.expect("subscribed");
    let mut syncs = bus
        .hub
        .queue_subscribe("sync.*.*", "hub")
        .await
        .expect("subscribed");
    agent.round_trip().await.expect("a round trip");
    bus.hub.round_trip().await.expect("a round trip");

    let stored = agent
        .request("status.default.c1", Headers::new(), "{}".into())
        .await
        .expect("acknowledged");
    assert!(String::from_utf8_lossy(&stored.body).contains(r#""stream":"STATUS""#));

    agent
        .publish("beat.default.c1", Headers::new(), "{}".into())
        .await
        .expect("sent");
    assert_eq!(
        soon("the beat", beats.next()).await.expect("open").subject,
        "beat.default.c1"
    );

    let mut answers = agent
        .request_many("sync.default.c1", Headers::new(), "{}".into())
        .await
        .expect("asked");
    let asked = soon("the question", syncs.next()).await.expect("open");
    for page in ["one", "two", "three"] {
        bus.hub
            .respond(&asked, Headers::new(), page.into())
            .await
            .expect("answered");
    }
    for page in ["one", "two", "three"] {
        assert_eq!(
            answers.next(INBOX_WAIT).await.expect("an answer").body,
            page
        );
    }

    let headers = Headers::new().with("Skein-Rev", "1");
    bus.hub
        .request("desired.default.c1", headers, "{}".into())
        .await
        .expect("stored");
    let heard = soon("the desired message", live.next())
        .await
        .expect("open");
    assert_eq!(
        (heard.subject.as_str(), heard.headers.get("Skein-Rev")),
        ("live.desired.default.c1", Some("1"))
    );
    bus.stop().await;
}

#[tokio::test]
async fn a_user_commands_asks_and_hears_results() {
    let bus = Bus::start().await;
    let alice = bus.client(Role::User, "alice").await;
    let mut results = alice.subscribe("result.alice.*").await.expect("subscribed");
    let mut queries = bus
        .hub
        .queue_subscribe("query.*.*", "hub")
        .await
        .expect("subscribed");
    alice.round_trip().await.expect("a round trip");
    bus.hub.round_trip().await.expect("a round trip");

    let stored = alice
        .request("cmd.alice.apply", Headers::new(), "{}".into())
        .await
        .expect("acknowledged");
    assert!(String::from_utf8_lossy(&stored.body).contains(r#""stream":"COMMANDS""#));
    bus.hub
        .publish("result.alice.7", Headers::new(), "done".into())
        .await
        .expect("sent");
    assert_eq!(
        soon("the result", results.next()).await.expect("open").body,
        "done"
    );

    let mut answers = alice
        .request_many("query.alice.get", Headers::new(), "{}".into())
        .await
        .expect("asked");
    let asked = soon("the query", queries.next()).await.expect("open");
    assert_eq!(asked.subject, "query.alice.get");
    for part in ["one", "two"] {
        bus.hub
            .respond(&asked, Headers::new(), part.into())
            .await
            .expect("answered");
    }
    for part in ["one", "two"] {
        assert_eq!(
            answers.next(INBOX_WAIT).await.expect("an answer").body,
            part
        );
    }
    bus.stop().await;
}

#[tokio::test]
async fn a_join_token_asks_to_join_and_is_answered() {
    let bus = Bus::start().await;
    let token = bus.client(Role::Bootstrap, "t1").await;
    let mut joins = bus
        .hub
        .queue_subscribe("join.*", "hub")
        .await
        .expect("subscribed");
    bus.hub.round_trip().await.expect("a round trip");
    let asking = beside(async move { token.request("join.t1", Headers::new(), "me".into()).await });
    let asked = soon("the request", joins.next()).await.expect("open");
    bus.hub
        .respond(&asked, Headers::new(), "wait".into())
        .await
        .expect("answered");
    assert_eq!(
        asking.await.expect("joined").expect("an answer").body,
        "wait"
    );
    bus.stop().await;
}

#[tokio::test]
async fn a_revoked_agent_is_dropped_at_once_and_a_later_token_is_welcome() {
    let bus = Bus::start().await;
    let key = Key::generate(KeyKind::User);
    let settings_of = |issued_at| {
        let jwt = bus
            .keys
            .mint_user(Role::Agent, "c1", key.public(), issued_at, None)
            .expect("minted");
        let credentials = skein_nats::connect::UserCredentials {
            jwt,
            seed: key.seed().to_owned(),
        };
        let mut settings = settings(&bus.keys, Role::Agent, "c1", bus.server.url());
        settings.credentials = Credentials::Fixed(credentials);
        settings
    };
    let issued_at = now();
    let agent = connect(&settings_of(issued_at)).await.expect("welcome");
    let mut advisories = bus.resolver.advisories().await.expect("subscribed");

    let mut revocations = AccountRevocations::default();
    revocations
        .agents
        .insert(key.public().to_owned(), issued_at);
    bus.resolver
        .push(Account::Agents, &revocations, now())
        .await
        .expect("told");
    soon("the agent is dropped", agent.refused()).await;
    let gone = soon("the advisory", async {
        loop {
            let advisory = advisories.next().await.expect("open");
            if matches!(advisory.change, ClientChange::Disconnected { .. }) {
                return advisory;
            }
        }
    })
    .await;
    assert_eq!(
        (gone.role, gone.name.as_str(), gone.user_key.as_str()),
        (Role::Agent, "c1", key.public())
    );

    assert!(matches!(
        connect(&settings_of(issued_at)).await,
        Err(ConnectError::Refused { .. })
    ));
    let later = issued_at + SignedDuration::from_secs(1);
    connect(&settings_of(later))
        .await
        .expect("a token issued later is welcome");
    bus.stop().await;
}

#[tokio::test]
async fn an_expired_credential_is_dropped_and_a_renewed_one_is_used_by_itself() {
    let bus = Bus::start().await;
    let path = bus.folder.path().join("c1.creds");
    let ends = now() + SignedDuration::from_secs(2);
    let short = bus
        .keys
        .credentials(Role::Agent, "c1", now(), Some(ends))
        .expect("minted");
    short.write(&path).expect("written");
    let mut settings = Settings::new(
        vec![bus.server.url().to_owned()],
        "c1",
        Credentials::File(path.clone()),
        "_INBOX_c1",
    );
    settings.request_timeout = Duration::from_millis(500);
    let agent = connect(&settings).await.expect("welcome");

    let refusal = soon("the end", agent.refused()).await;
    assert!(
        matches!(refusal, Refusal::Expired | Refusal::Violation),
        "{refusal:?}"
    );
    assert!(
        agent
            .request("status.default.c1", Headers::new(), "{}".into())
            .await
            .is_err()
    );

    let renewed = bus
        .keys
        .credentials(Role::Agent, "c1", now(), None)
        .expect("minted");
    renewed.write(&path).expect("written");
    eventually("the renewed credential is used", async || {
        agent
            .request("status.default.c1", Headers::new(), "{}".into())
            .await
            .ok()
    })
    .await;
    bus.stop().await;
}

#[tokio::test]
async fn refused_credentials_and_an_absent_server_are_told_apart() {
    let bus = Bus::bare().await;
    let strangers =
        skein_nats::OperatorStore::create(&bus.folder.path().join("other"), now()).expect("keys");
    let foreign = settings(strangers.keys(), Role::Hub, "hub-0", bus.server.url());
    assert!(matches!(
        connect(&foreign).await,
        Err(ConnectError::Refused { .. })
    ));

    let url = bus.server.url().to_owned();
    let keys = bus.keys.clone();
    bus.stop().await;
    let absent = connect(&settings(&keys, Role::Hub, "hub-0", &url)).await;
    assert!(
        matches!(absent, Err(ConnectError::Unreachable { .. })),
        "{absent:?}"
    );

    let mut unreadable = settings(&keys, Role::Hub, "hub-0", &url);
    unreadable.credentials = Credentials::File("/nowhere/c.creds".into());
    assert!(matches!(
        connect(&unreadable).await,
        Err(ConnectError::Credentials { .. })
    ));
}
