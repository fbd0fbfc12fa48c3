//! What every ledger promises, as one suite.
//!
//! Each function takes an empty ledger, or one that the functions before it have
//! written to, and panics when a promise is broken. It is public so that every
//! implementation, wherever it lives, can be held to it.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use super::{Appender, Ledger, NewRecord, Outcome, Settled, Tip, read_range};
use crate::message::Headers;

/// A record that is easy to tell from others.
#[must_use]
pub fn record(id: &str) -> NewRecord {
    NewRecord {
        id: id.to_owned(),
        subject: "ledger.manifestworks.c1.web".to_owned(),
        headers: Headers::new()
            .with("ce-id", id)
            .with("ce-type", "skein.test.v1"),
        body: Bytes::from(format!(r#"{{"events":["{id}"]}}"#)),
    }
}

/// Runs all of it on `ledger`, which must be empty, through two handles of it.
pub async fn run(ledger: Arc<dyn Ledger>, second: Arc<dyn Ledger>) {
    an_empty_ledger_has_no_tip(&*ledger).await;
    an_append_is_read_back(&*ledger).await;
    an_append_elsewhere_than_at_the_end_is_refused(&*ledger).await;
    many_in_flight_are_answered_in_order(&ledger).await;
    a_foreign_record_breaks_the_chain(&ledger, &*second).await;
    a_reader_follows(&ledger).await;
}

async fn append(ledger: &dyn Ledger, record: NewRecord, after: Tip) -> Outcome {
    let pending = ledger.append(record, after).await;
    pending.await.expect("an answer")
}

async fn tip(ledger: &dyn Ledger) -> Tip {
    ledger.tip().await.expect("a tip")
}

async fn an_empty_ledger_has_no_tip(ledger: &dyn Ledger) {
    assert_eq!(tip(ledger).await, Tip::default());
    assert_eq!(ledger.get(1).await.expect("an answer"), None);
    assert_eq!(ledger.get(0).await.expect("an answer"), None);
    assert_eq!(read_range(ledger, 1, 0).count().await, 0);
}

async fn an_append_is_read_back(ledger: &dyn Ledger) {
    let new = record("first");
    assert_eq!(
        append(ledger, new.clone(), Tip::default()).await,
        Outcome::Appended { sequence: 1 }
    );
    let stored = ledger.get(1).await.expect("an answer").expect("there");
    assert_eq!(
        (stored.sequence, stored.subject.as_str(), &stored.body),
        (1, new.subject.as_str(), &new.body)
    );
    assert_eq!(
        (stored.id(), stored.headers.get("ce-type")),
        (Some("first"), Some("skein.test.v1"))
    );
    assert_eq!(stored.digest(), new.digest());
    assert_eq!(
        tip(ledger).await,
        Tip {
            sequence: 1,
            id: Some("first".to_owned())
        }
    );
}

async fn an_append_elsewhere_than_at_the_end_is_refused(ledger: &dyn Ledger) {
    let at = |sequence, id: Option<&str>| Tip {
        sequence,
        id: id.map(str::to_owned),
    };
    let mut stale = vec![at(0, None), at(2, None), at(7, Some("first"))];
    if ledger.max_in_flight() > 1 {
        stale.push(at(1, Some("another")));
    }
    for stale in stale {
        let outcome = append(ledger, record("misplaced"), stale.clone()).await;
        assert_eq!(
            outcome,
            Outcome::Conflict {
                after: stale.sequence
            },
            "{stale:?}"
        );
    }
    assert_eq!(tip(ledger).await.sequence, 1, "nothing was stored");
}

async fn many_in_flight_are_answered_in_order(ledger: &Arc<dyn Ledger>) {
    let begin = tip(&**ledger).await;
    let mut appender = Appender::new(Arc::clone(ledger), begin.clone());
    for number in 0..200_u64 {
        appender
            .push(record(&format!("many-{number}")), number)
            .await;
    }
    for number in 0..200_u64 {
        let Settled { ticket, outcome } = appender.settled().await.expect("outstanding");
        assert_eq!(ticket, number);
        assert_eq!(
            outcome.expect("an answer"),
            Outcome::Appended {
                sequence: begin.sequence + 1 + number
            }
        );
    }
    assert!(appender.settled().await.is_none() && !appender.is_broken());
    assert_eq!(tip(&**ledger).await, *appender.tip());
}

/// Two records are in flight; another writer comes between the state they were decided on and
/// the first of them. The second stands on a sequence that exists by then, and must be refused
/// nevertheless.
async fn a_foreign_record_breaks_the_chain(ledger: &Arc<dyn Ledger>, second: &dyn Ledger) {
    let begin = tip(&**ledger).await;
    let mut appender = Appender::new(Arc::clone(ledger), begin.clone());
    let foreign = append(second, record("foreign"), begin.clone()).await;
    assert_eq!(
        foreign,
        Outcome::Appended {
            sequence: begin.sequence + 1
        }
    );
    appender.push(record("ours-1"), "first").await;
    appender.push(record("ours-2"), "second").await;
    for ticket in ["first", "second"] {
        let settled = appender.settled().await.expect("outstanding");
        assert_eq!(settled.ticket, ticket);
        assert!(
            matches!(settled.outcome, Ok(Outcome::Conflict { .. })),
            "{ticket}: {:?}",
            settled.outcome
        );
    }
    assert!(appender.is_broken() && !appender.has_room());
    appender.push(record("ours-3"), "third").await;
    let settled = appender.settled().await.expect("outstanding");
    assert!(
        matches!(settled.outcome, Ok(Outcome::Conflict { .. })),
        "a broken appender sends nothing"
    );
    assert_eq!(
        tip(&**ledger).await,
        Tip {
            sequence: begin.sequence + 1,
            id: Some("foreign".to_owned())
        }
    );
}

async fn a_reader_follows(ledger: &Arc<dyn Ledger>) {
    let begin = tip(&**ledger).await;
    let mut seen = Vec::new();
    let mut all = read_range(&**ledger, 1, begin.sequence);
    while let Some(record) = all.next().await {
        seen.push(record.expect("a record").sequence);
    }
    assert_eq!(seen, (1..=begin.sequence).collect::<Vec<_>>());

    let mut following = ledger.read(begin.sequence);
    assert_eq!(
        following
            .next()
            .await
            .expect("open")
            .expect("a record")
            .id(),
        begin.id.as_deref()
    );
    let outcome = append(&**ledger, record("late"), begin.clone()).await;
    assert_eq!(
        outcome,
        Outcome::Appended {
            sequence: begin.sequence + 1
        }
    );
    let late = following.next().await.expect("open").expect("a record");
    assert_eq!(
        (late.sequence, late.id()),
        (begin.sequence + 1, Some("late"))
    );
}
