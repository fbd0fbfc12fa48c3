//! Credentials that are forged, borrowed, expired or taken back.

use jiff::SignedDuration;
use skein_nats::accounts::{Account, Role};
use skein_nats::connect::{ConnectError, Credentials, Settings, UserCredentials, connect};
use skein_nats::jwt::{Token, UserClaims};
use skein_nats::nkey::{Key, KeyKind};
use skein_nats::resolver::AccountRevocations;
use skein_nats::{Headers, OperatorStore};

use crate::support::{Bus, now, settings, soon};

async fn is_refused(bus: &Bus, credentials: UserCredentials) {
    let mut settings = settings(&bus.keys, Role::Agent, "c1", bus.server.url());
    settings.credentials = Credentials::Fixed(credentials);
    let entered = connect(&settings).await;
    assert!(
        matches!(entered, Err(ConnectError::Refused { .. })),
        "{entered:?}"
    );
}

fn claims(bus: &Bus, account: Account, name: &str, user: &Key) -> Token<UserClaims> {
    Token {
        jti: String::new(),
        iat: now().as_second(),
        exp: None,
        iss: String::new(),
        name: name.to_owned(),
        sub: user.public().to_owned(),
        nats: UserClaims::new(bus.keys.account(account)),
    }
}

#[tokio::test]
async fn tokens_of_ones_own_making_are_refused() {
    let bus = Bus::bare().await;
    let user = Key::generate(KeyKind::User);
    let seed = || user.seed().to_owned();
    // Signed by oneself: an agent has no other private key than its own.
    let own = claims(&bus, Account::Hub, "hub-0", &user).sign(&user);
    is_refused(
        &bus,
        UserCredentials {
            jwt: own,
            seed: seed(),
        },
    )
    .await;
    // Signed by a key of the right kind that no account knows.
    let unknown = claims(&bus, Account::Hub, "hub-0", &user).sign(&Key::generate(KeyKind::Account));
    is_refused(
        &bus,
        UserCredentials {
            jwt: unknown,
            seed: seed(),
        },
    )
    .await;
    // Minted by another bus.
    let other = OperatorStore::create(&bus.folder.path().join("other"), now()).expect("keys");
    let foreign = other
        .keys()
        .credentials(Role::Hub, "hub-0", now(), None)
        .expect("minted");
    is_refused(&bus, foreign).await;
    bus.stop().await;
}

#[tokio::test]
async fn a_token_that_was_changed_or_belongs_to_somebody_else_is_refused() {
    let bus = Bus::bare().await;
    let own = bus
        .keys
        .credentials(Role::Agent, "c1", now(), None)
        .expect("minted");
    let other = bus
        .keys
        .credentials(Role::Agent, "c2", now(), None)
        .expect("minted");
    // Another's token with one's own key: seen on the wire or in a log.
    is_refused(
        &bus,
        UserCredentials {
            jwt: other.jwt,
            seed: own.seed.clone(),
        },
    )
    .await;
    // One's own token with another name.
    let mut token = Token::<UserClaims>::read(&own.jwt).expect("readable");
    token.name = "c2".to_owned();
    let payload = data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(&token).expect("JSON"));
    let parts: Vec<&str> = own.jwt.split('.').collect();
    let forged = format!("{}.{payload}.{}", parts[0], parts[2]);
    is_refused(
        &bus,
        UserCredentials {
            jwt: forged,
            seed: own.seed,
        },
    )
    .await;
    bus.stop().await;
}

#[tokio::test]
async fn an_expired_join_token_is_refused_and_one_that_expires_is_dropped() {
    let bus = Bus::bare().await;
    let past = now() - SignedDuration::from_secs(10);
    let ended = bus.keys.credentials(
        Role::Bootstrap,
        "t1",
        past,
        Some(past + SignedDuration::from_secs(5)),
    );
    is_refused(&bus, ended.expect("minted")).await;

    let ends = now() + SignedDuration::from_secs(2);
    let short = bus
        .keys
        .credentials(Role::Bootstrap, "t1", now(), Some(ends))
        .expect("minted");
    let url = vec![bus.server.url().to_owned()];
    let settings = Settings::new(
        url,
        "t1",
        Credentials::Fixed(short),
        Role::Bootstrap.inbox_prefix("t1"),
    );
    let token = connect(&settings).await.expect("welcome for two seconds");
    soon("the end", token.refused()).await;
    bus.stop().await;
}

#[tokio::test]
async fn taking_a_token_or_a_user_back_drops_it_and_nobody_else() {
    let bus = Bus::bare().await;
    let token = bus
        .keys
        .credentials(Role::Bootstrap, "t1", now(), None)
        .expect("minted");
    let user = bus
        .keys
        .credentials(Role::User, "alice", now(), None)
        .expect("minted");
    let enter = async |role: Role, name: &str, credentials: &UserCredentials| {
        let mut settings = settings(&bus.keys, role, name, bus.server.url());
        settings.credentials = Credentials::Fixed(credentials.clone());
        connect(&settings).await
    };
    let t1 = enter(Role::Bootstrap, "t1", &token).await.expect("welcome");
    let alice = enter(Role::User, "alice", &user).await.expect("welcome");
    let bob = bus.client(Role::User, "bob").await;
    let c1 = bus.client(Role::Agent, "c1").await;

    let mut revocations = AccountRevocations::default();
    revocations
        .agents
        .insert(token.public_key().expect("key"), now());
    revocations
        .users
        .insert(user.public_key().expect("key"), now());
    bus.resolver
        .push_all(&revocations, now())
        .await
        .expect("told");
    soon("the token is dropped", t1.refused()).await;
    soon("alice is dropped", alice.refused()).await;
    assert!(matches!(
        enter(Role::Bootstrap, "t1", &token).await,
        Err(ConnectError::Refused { .. })
    ));
    assert!(matches!(
        enter(Role::User, "alice", &user).await,
        Err(ConnectError::Refused { .. })
    ));
    for well in [&bob, &c1] {
        well.publish("anything", Headers::new(), "".into())
            .await
            .expect("sent");
        well.round_trip().await.expect("still there");
        assert!(well.is_connected());
    }

    // A hub that starts later and forgets them would let them in again: it must know all.
    bus.resolver
        .push_all(&AccountRevocations::default(), now())
        .await
        .expect("told");
    enter(Role::User, "alice", &user)
        .await
        .expect("revocations are the ledger's to remember");
    bus.stop().await;
}
