//! Commands, desired messages, statuses, contents, snapshots and leases on a real server.

use std::time::Duration;

use futures::StreamExt as _;
use skein_nats::accounts::Role;
use skein_nats::commands::CommandQueue;
use skein_nats::content::ContentStore;
use skein_nats::desired::DesiredStream;
use skein_nats::lease::{Claim, Lease};
use skein_nats::snapshots::SnapshotStore;
use skein_nats::status::{self, ReportError, StatusStream};
use skein_nats::{Headers, StoreMessageError};

use crate::support::{Bus, eventually, soon};

#[tokio::test]
async fn commands_come_in_order_and_again_until_they_are_done() {
    let bus = Bus::start().await;
    let alice = bus.client(Role::User, "alice").await;
    for number in 1..=5 {
        let headers = Headers::new().with("ce-id", number.to_string());
        alice
            .request("cmd.alice.apply", headers, "{}".into())
            .await
            .expect("stored");
    }
    let mut queue = CommandQueue::new(&bus.hub);
    let mut batch = Vec::new();
    while batch.len() < 5 {
        batch.extend(soon("commands", queue.next_batch(3)).await);
    }
    assert_eq!(
        batch
            .iter()
            .map(|command| command.sequence)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(
        (batch[0].subject.as_str(), batch[0].headers.get("ce-id")),
        ("cmd.alice.apply", Some("1"))
    );
    for command in &batch[..4] {
        command.done().await;
    }
    batch[4].give_back().await;
    let again = soon("the one given back", queue.next_batch(3)).await;
    assert_eq!(
        again
            .iter()
            .map(|command| (command.sequence, command.deliveries))
            .collect::<Vec<_>>(),
        [(5, 2)]
    );
    again[0].done().await;

    // Another hub takes over: what is done does not come again.
    drop(queue);
    let other = bus.client(Role::Hub, "hub-1").await;
    alice
        .request("cmd.alice.delete", Headers::new(), "{}".into())
        .await
        .expect("stored");
    let mut queue = CommandQueue::new(&other);
    let next = soon("the new one", queue.next_batch(3)).await;
    assert_eq!(
        next.iter()
            .map(|command| command.sequence)
            .collect::<Vec<_>>(),
        [6]
    );
    bus.stop().await;
}

#[tokio::test]
async fn desired_messages_are_stored_once_read_in_pages_and_rolled_up() {
    let bus = Bus::start().await;
    let desired = DesiredStream::new(&bus.hub);
    let mut pending = Vec::new();
    for rev in 1..=20_u64 {
        for cluster in ["c1", "c2"] {
            let subject = format!("desired.default.{cluster}");
            let headers = Headers::new().with("Skein-Rev", rev.to_string());
            pending.push(
                desired
                    .publish(&subject, &headers, rev.to_string().into(), None)
                    .await,
            );
        }
    }
    for (index, answer) in pending.into_iter().enumerate() {
        assert_eq!(answer.await.expect("stored"), index as u64 + 1);
    }

    let last = desired.last_per_subject().await.expect("read");
    assert_eq!(
        last.keys().collect::<Vec<_>>(),
        ["desired.default.c1", "desired.default.c2"]
    );
    assert_eq!(
        last["desired.default.c2"].headers.get("Skein-Rev"),
        Some("20")
    );
    assert_eq!(last["desired.default.c2"].sequence, 40);

    let page = desired
        .page("desired.default.c1", 1, 8)
        .await
        .expect("read");
    let revs = |messages: &[skein_nats::StoredMessage]| {
        messages
            .iter()
            .map(|m| {
                m.headers
                    .get("Skein-Rev")
                    .expect("rev")
                    .parse::<u64>()
                    .expect("number")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!((revs(&page.messages), page.more), ((1..=8).collect(), true));
    let from = page.messages.last().expect("eight").sequence + 1;
    let rest = desired
        .page("desired.default.c1", from, 100)
        .await
        .expect("read");
    assert_eq!(
        (revs(&rest.messages), rest.more),
        ((9..=20).collect(), false)
    );
    let none = desired
        .page("desired.default.c3", 1, 100)
        .await
        .expect("read");
    assert!(none.messages.is_empty() && !none.more);

    let stale = desired
        .publish("desired.default.c1", &Headers::new(), "x".into(), Some(1))
        .await
        .await;
    assert!(
        matches!(stale, Err(StoreMessageError::Conflict { .. })),
        "{stale:?}"
    );

    let headers = Headers::new().with("Skein-Rev", "21");
    let snapshot = desired
        .publish_and_roll_up("desired.default.c1", &headers, "all".into())
        .await
        .await
        .expect("stored");
    let page = desired
        .page("desired.default.c1", 1, 100)
        .await
        .expect("read");
    assert_eq!(
        (revs(&page.messages), page.messages[0].sequence),
        (vec![21], snapshot)
    );
    assert_eq!(
        page.messages[0].headers.get("Nats-Rollup"),
        None,
        "what told JetStream how to store it is not shown"
    );
    let other = desired
        .page("desired.default.c2", 1, 100)
        .await
        .expect("read");
    assert_eq!(other.messages.len(), 20, "the other subject is as it was");
    bus.stop().await;
}

#[tokio::test]
async fn reports_are_stored_and_followed() {
    let bus = Bus::start().await;
    let agent = bus.client(Role::Agent, "c1").await;
    let statuses = StatusStream::new(&bus.hub);
    let bounds = statuses.bounds().await.expect("bounds");
    assert_eq!((bounds.first, bounds.last), (1, 0));
    status::report(&agent, "status.default.c1", Headers::new(), "one".into())
        .await
        .expect("stored");
    let mut following = statuses.read(0);
    assert_eq!(
        soon("one", following.next())
            .await
            .expect("open")
            .expect("read")
            .body,
        "one"
    );
    status::report(&agent, "status.default.c1", Headers::new(), "two".into())
        .await
        .expect("stored");
    assert_eq!(
        soon("two", following.next())
            .await
            .expect("open")
            .expect("read")
            .body,
        "two"
    );
    assert_eq!(statuses.bounds().await.expect("bounds").last, 2);

    let large = vec![b' '; 2 * 1024 * 1024];
    let refused = status::report(&agent, "status.default.c1", Headers::new(), large.into()).await;
    assert!(
        matches!(&refused, Err(ReportError::Refused { reason, .. }) if reason.contains("size")),
        "{refused:?}"
    );
    bus.stop().await;
}

#[tokio::test]
async fn a_content_is_stored_once_and_comes_back_as_it_was() {
    let bus = Bus::start().await;
    let contents = ContentStore::new(&bus.hub);
    let digest = contents.put("a manifest".into()).await.expect("stored");
    assert_eq!(
        contents
            .put("a manifest".into())
            .await
            .expect("stored again"),
        digest
    );
    assert_eq!(
        contents.get(&digest).await.expect("read").expect("there"),
        "a manifest"
    );
    let absent = skein_schema::digest::Digest::of(b"another");
    assert_eq!(contents.get(&absent).await.expect("read"), None);
    // Nobody, not even a hub, can put other bytes under the name.
    let forged = bus
        .hub
        .request(
            &format!("content.{digest}"),
            Headers::new(),
            "forged".into(),
        )
        .await
        .expect("answer");
    assert!(
        String::from_utf8_lossy(&forged.body).contains("error"),
        "{forged:?}"
    );
    assert_eq!(
        contents.get(&digest).await.expect("read").expect("there"),
        "a manifest"
    );
    contents.remove(&digest).await.expect("removed");
    contents.remove(&digest).await.expect("nothing to remove");
    assert_eq!(contents.get(&digest).await.expect("read"), None);
    bus.stop().await;
}

#[tokio::test]
async fn the_newest_snapshots_are_kept_and_come_back_as_they_were() {
    let bus = Bus::start().await;
    let snapshots = SnapshotStore::new(&bus.hub);
    assert_eq!(snapshots.list().await.expect("listed"), []);
    for sequence in [5, 100, 20] {
        let state = vec![u8::try_from(sequence).expect("small"); 300_000];
        snapshots.put(sequence, &state).await.expect("written");
    }
    let list = snapshots.list().await.expect("listed");
    assert_eq!(
        list.iter()
            .map(|snapshot| snapshot.sequence)
            .collect::<Vec<_>>(),
        [100, 20, 5]
    );
    let state = snapshots.get(&list[0]).await.expect("read").expect("there");
    assert_eq!(state, vec![100; 300_000]);
    snapshots.keep(2).await.expect("deleted");
    let left = snapshots.list().await.expect("listed");
    assert_eq!(
        left.iter()
            .map(|snapshot| snapshot.sequence)
            .collect::<Vec<_>>(),
        [100, 20]
    );
    assert_eq!(snapshots.get(&list[2]).await.expect("read"), None);
    bus.stop().await;
}

#[tokio::test]
async fn one_candidate_holds_the_lease_and_the_token_rises() {
    let bus = Bus::start().await;
    let other = bus.client(Role::Hub, "hub-1").await;
    let ttl = Duration::from_secs(1);
    let mut one = Lease::new(&bus.hub, "hub", "hub-0", ttl);
    let mut two = Lease::new(&other, "hub", "hub-1", ttl);
    let Claim::Held { token } = one.claim().await.expect("answer") else {
        panic!("free")
    };
    assert_eq!(
        two.claim().await.expect("answer"),
        Claim::HeldBy {
            holder: Some("hub-0".to_owned())
        }
    );
    assert_eq!(
        one.claim().await.expect("answer"),
        Claim::Held { token },
        "renewed"
    );

    one.release().await.expect("released");
    let Claim::Held { token: second } = two.claim().await.expect("answer") else {
        panic!("free")
    };
    assert!(second > token);
    one.release().await.expect("nothing to release");
    assert_eq!(
        one.claim().await.expect("answer"),
        Claim::HeldBy {
            holder: Some("hub-1".to_owned())
        }
    );

    // hub-1 falls silent: its lease ends by itself, and it does not get it back by renewing.
    let third = eventually("the lease ends", async || {
        match one.claim().await.expect("answer") {
            Claim::Held { token } => Some(token),
            Claim::HeldBy { .. } => None,
        }
    })
    .await;
    assert!(third > second);
    assert_eq!(
        two.claim().await.expect("answer"),
        Claim::HeldBy {
            holder: Some("hub-0".to_owned())
        }
    );
    bus.stop().await;
}
