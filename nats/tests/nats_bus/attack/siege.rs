//! The scene: a bus, victims that listen to all they may, a hub that answers, and a
//! watcher in the hubs' account that hears everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use futures::StreamExt as _;
use skein_nats::accounts::Role;
use skein_nats::connect::{ConnectionEvent, Subscription};
use skein_nats::{Connection, Headers, Message};
use tokio::sync::broadcast::Receiver;

use crate::support::{Bus, beside, eventually};

/// How long a victim listens for what must not come.
const SILENCE: Duration = Duration::from_millis(150);

pub(super) struct Siege {
    pub(super) bus: Bus,
    /// The agent of cluster `c2`.
    pub(super) c2: Connection,
    c2_hears: Vec<Subscription>,
    /// The user `bob`.
    pub(super) bob: Connection,
    bob_hears: Vec<Subscription>,
    hub_heard: Arc<Mutex<Vec<Message>>>,
    watcher: Connection,
}

/// What the streams hold: for each its messages, bytes, first and last sequence, and consumers.
pub(super) type Holdings = BTreeMap<String, (u64, u64, u64, u64, usize)>;

impl Siege {
    pub(super) async fn lay() -> Self {
        let bus = Bus::start().await;
        let c2 = bus.client(Role::Agent, "c2").await;
        let bob = bus.client(Role::User, "bob").await;
        let c2_hears = listen(&c2, &["live.desired.*.c2", "_INBOX_c2.>"]).await;
        let bob_hears = listen(&bob, &["result.bob.*", "_INBOX_bob.>"]).await;
        let siege = Self {
            watcher: bus.client(Role::Hub, "watcher").await,
            hub_heard: Arc::default(),
            bus,
            c2,
            c2_hears,
            bob,
            bob_hears,
        };
        siege.answer_as_hub().await;
        siege.watch().await;
        // Something to read, to delete and to forge.
        for subject in [
            "desired.default.c1",
            "desired.default.c2",
            "ledger.works.c2.web",
            "content.abc",
        ] {
            siege
                .bus
                .hub
                .request(subject, Headers::new(), "hub's".into())
                .await
                .expect("stored");
        }
        siege
            .c2
            .request("status.default.c2", Headers::new(), "c2's".into())
            .await
            .expect("stored");
        siege
            .bob
            .request("cmd.bob.apply", Headers::new(), "bob's".into())
            .await
            .expect("stored");
        siege
    }

    /// A hub that answers whatever is asked of it, with what it was asked as content: the worst
    /// that an attacker can hope for.
    async fn answer_as_hub(&self) {
        for subject in ["sync.*.*", "renew.*.*", "join.*", "query.*.*"] {
            let mut asked = self
                .bus
                .hub
                .queue_subscribe(subject, "hub")
                .await
                .expect("subscribed");
            let hub = self.bus.hub.clone();
            beside(async move {
                while let Some(question) = asked.next().await {
                    let headers = Headers::new().with("Skein-Rev", "7");
                    let _ = hub.respond(&question, headers, question.body.clone()).await;
                }
            });
        }
        self.bus.hub.round_trip().await.expect("a round trip");
    }

    async fn watch(&self) {
        let mut all = self.watcher.subscribe(">").await.expect("subscribed");
        let heard = Arc::clone(&self.hub_heard);
        beside(async move {
            while let Some(message) = all.next().await {
                heard.lock().expect("no panic while locked").push(message);
            }
        });
        self.watcher.round_trip().await.expect("a round trip");
    }

    /// What the streams hold now.
    pub(super) async fn holdings(&self) -> Holdings {
        let jetstream = async_nats::jetstream::new(self.bus.hub.raw());
        let mut holdings = Holdings::new();
        let mut streams = jetstream.streams();
        while let Some(info) = streams.next().await {
            let info = info.expect("a stream");
            let state = info.state;
            let numbers = (
                state.messages,
                state.bytes,
                state.first_sequence,
                state.last_sequence,
                state.consumer_count,
            );
            holdings.insert(info.config.name, numbers);
        }
        assert_eq!(holdings.len(), 7);
        holdings
    }

    /// Forgets what the hubs' account and the victims have heard so far.
    pub(super) async fn forget(&mut self) {
        self.settle().await;
        self.hub_heard
            .lock()
            .expect("no panic while locked")
            .clear();
        for subscription in self.c2_hears.iter_mut().chain(&mut self.bob_hears) {
            drain_quiet(subscription).await;
        }
    }

    /// Waits until the watcher has taken note of everything that was said in the hubs' account.
    async fn settle(&self) {
        let marker = self.bus.hub.raw().new_inbox();
        self.bus
            .hub
            .publish(&marker, Headers::new(), "marker".into())
            .await
            .expect("sent");
        eventually("the watcher has heard all", async || {
            let heard = self.hub_heard.lock().expect("no panic while locked");
            heard
                .iter()
                .any(|message| message.subject == marker)
                .then_some(())
        })
        .await;
    }

    /// What was heard in the hubs' account, apart from the bus' own doings.
    pub(super) async fn hub_heard(&self) -> Vec<String> {
        self.settle().await;
        let own = ["_R_.", "_INBOX", "$JS.", "_GR_."];
        let heard = self.hub_heard.lock().expect("no panic while locked");
        let subjects = heard.iter().map(|message| message.subject.clone());
        subjects
            .filter(|subject| !own.iter().any(|prefix| subject.starts_with(prefix)))
            .collect()
    }

    /// What the victims have heard since.
    pub(super) async fn victims_heard(&mut self) -> Vec<Message> {
        self.settle().await;
        let mut heard = Vec::new();
        for subscription in self.c2_hears.iter_mut().chain(&mut self.bob_hears) {
            heard.extend(drain_quiet(subscription).await);
        }
        heard
    }

    /// The victims can still do all that is theirs.
    pub(super) async fn assert_victims_are_well(&mut self) {
        self.forget().await;
        self.c2
            .request("status.default.c2", Headers::new(), "well".into())
            .await
            .expect("c2 reports");
        self.c2
            .request("sync.default.c2", Headers::new(), "well".into())
            .await
            .expect("c2 asks");
        self.bob
            .request("cmd.bob.apply", Headers::new(), "well".into())
            .await
            .expect("bob commands");
        self.bus
            .hub
            .request("desired.default.c2", Headers::new(), "well".into())
            .await
            .expect("stored");
        self.bus
            .hub
            .publish("result.bob.1", Headers::new(), "well".into())
            .await
            .expect("sent");
        let heard = self.victims_heard().await;
        let to = |subject: &str| heard.iter().any(|message| message.subject == subject);
        assert!(
            to("live.desired.default.c2") && to("result.bob.1"),
            "{heard:?}"
        );
    }
}

async fn listen(connection: &Connection, subjects: &[&str]) -> Vec<Subscription> {
    let mut subscriptions = Vec::new();
    for subject in subjects {
        subscriptions.push(connection.subscribe(subject).await.expect("subscribed"));
    }
    connection.round_trip().await.expect("a round trip");
    subscriptions
}

/// All that comes until nothing has come for a while.
pub(super) async fn drain_quiet(subscription: &mut Subscription) -> Vec<Message> {
    let mut heard = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(SILENCE, subscription.next()).await {
        heard.push(message);
    }
    heard
}

/// An attacker: somebody's connection, used without manners.
pub(super) struct Attacker {
    pub(super) client: Client,
    pub(super) connection: Connection,
    events: Receiver<ConnectionEvent>,
}

impl Attacker {
    pub(super) async fn enter(siege: &Siege, role: Role, name: &str) -> Self {
        let connection = siege.bus.client(role, name).await;
        Self {
            client: connection.raw(),
            events: connection.events(),
            connection,
        }
    }

    /// Publishes whatever is wanted, and waits until the server has read it.
    pub(super) async fn publish(
        &self,
        subject: &str,
        reply: Option<&str>,
        headers: HeaderMap,
        body: &str,
    ) {
        let (subject, body) = (subject.to_owned(), body.to_owned().into());
        let sent = match reply {
            Some(reply) => {
                self.client
                    .publish_with_reply_and_headers(subject, reply.to_owned(), headers, body)
                    .await
            }
            None => {
                self.client
                    .publish_with_headers(subject, headers, body)
                    .await
            }
        };
        sent.expect("sent");
        self.connection.round_trip().await.expect("read");
    }

    /// Waits until the server has refused something that has `what` in it.
    pub(super) async fn was_refused(&mut self, what: &str) {
        let events = &mut self.events;
        eventually(&format!("{what} is refused"), async || {
            while let Ok(event) = events.try_recv() {
                if let ConnectionEvent::NotPermitted { text } = event
                    && text.contains(&format!("\"{what}\""))
                {
                    return Some(());
                }
            }
            None
        })
        .await;
    }
}
