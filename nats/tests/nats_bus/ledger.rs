//! The ledger on a real server: the common suite, and what only a real server can do.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use skein_nats::accounts::Role;
use skein_nats::connect::{Connection, connect};
use skein_nats::embedded::ServerState;
use skein_nats::ledger::{
    Appender, Fenced, JetStreamLedger, Ledger, MemoryLedger, Tip, Witness, WitnessError,
    conformance, read_range,
};
use skein_nats::{NewRecord, Outcome};

use crate::support::{Bus, now, settings, signal, soon, wait_a_moment};

#[tokio::test]
async fn memory_keeps_the_promises() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new(now));
    soon("the suite", conformance::run(Arc::clone(&ledger), ledger)).await;
}

#[tokio::test]
async fn jetstream_keeps_the_promises() {
    let bus = Bus::start().await;
    let other = bus.client(Role::Hub, "hub-1").await;
    let first: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&bus.hub));
    let second: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&other));
    soon("the suite", conformance::run(first, second)).await;
    bus.stop().await;
}

#[tokio::test]
async fn the_sequence_alone_would_let_a_stale_record_in() {
    let bus = Bus::start().await;
    let ledger = JetStreamLedger::new(&bus.hub);
    let foreign = ledger
        .append(conformance::record("foreign"), Tip::default())
        .await
        .await;
    assert_eq!(
        foreign.expect("an answer"),
        Outcome::Appended { sequence: 1 }
    );
    let stale = Tip {
        sequence: 1,
        id: None,
    };
    let outcome = ledger
        .append(conformance::record("stale"), stale)
        .await
        .await
        .expect("an answer");
    assert_eq!(
        outcome,
        Outcome::Appended { sequence: 2 },
        "which is why an appender names the id, too"
    );
    bus.stop().await;
}

#[tokio::test]
async fn a_record_the_server_will_never_take_is_rejected_and_not_tried_for_ever() {
    let bus = Bus::start().await;
    let ledger = JetStreamLedger::new(&bus.hub);
    for size in [1024 * 1024, 9 * 1024 * 1024] {
        let large = NewRecord {
            body: vec![b' '; size].into(),
            ..conformance::record("large")
        };
        let refused = soon("an answer", ledger.append(large, Tip::default()).await).await;
        assert!(
            matches!(
                refused,
                Err(skein_nats::ledger::AppendError::Rejected { .. })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(ledger.tip().await.expect("a tip"), Tip::default());
    bus.stop().await;
}

/// A hub whose requests are given up after 300 ms, so that an answer that does not come is soon
/// looked for.
async fn impatient_hub(bus: &Bus) -> Connection {
    let mut settings = settings(&bus.keys, Role::Hub, "hub-1", bus.server.url());
    settings.request_timeout = Duration::from_millis(300);
    connect(&settings).await.expect("connected")
}

/// Appends records until `count` are stored, as a hub does it: after a conflict it reads on and
/// sends what is not there yet.
async fn write_all(ledger: &Arc<dyn Ledger>, count: usize) {
    let mut done = 0;
    while done < count {
        let tip = soon("a tip", async {
            loop {
                if let Ok(tip) = ledger.tip().await {
                    return tip;
                }
                wait_a_moment(Duration::from_millis(20)).await;
            }
        })
        .await;
        done = usize::try_from(tip.sequence).expect("small");
        let mut appender = Appender::new(Arc::clone(ledger), tip);
        for number in done..count.min(done + 200) {
            appender
                .push(conformance::record(&format!("record-{number}")), number)
                .await;
        }
        while let Some(settled) = appender.settled().await {
            match settled.outcome.expect("known in the end") {
                Outcome::Appended { sequence } => {
                    assert_eq!(usize::try_from(sequence), Ok(settled.ticket + 1));
                }
                Outcome::Conflict { .. } => {}
            }
        }
    }
}

async fn assert_all_there_once(ledger: &Arc<dyn Ledger>, count: usize) {
    let last = u64::try_from(count).expect("small");
    assert_eq!(
        ledger.tip().await.expect("a tip").sequence,
        last,
        "nothing was doubled"
    );
    let ids: Vec<String> = read_range(&**ledger, 1, last)
        .map(|record| record.expect("a record").id().expect("an id").to_owned())
        .collect()
        .await;
    assert_eq!(
        ids,
        (0..count)
            .map(|number| format!("record-{number}"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_server_killed_in_the_middle_loses_and_doubles_nothing() {
    let bus = Bus::start().await;
    let hub = impatient_hub(&bus).await;
    let ledger: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&hub));
    let mut state = bus.server.state();
    let killing = async {
        for stored in [150, 900, 1_700] {
            let mut reader = ledger.read(stored);
            reader.next().await.expect("open").expect("a record");
            signal("KILL", bus.server.pid().expect("runs"));
            state
                .wait_for(|state| matches!(state, ServerState::Restarting { .. }))
                .await
                .expect("noticed");
            state
                .wait_for(|state| matches!(state, ServerState::Ready { .. }))
                .await
                .expect("ready");
        }
    };
    let both = async { tokio::join!(write_all(&ledger, 2_500), killing) };
    tokio::time::timeout(Duration::from_secs(120), both)
        .await
        .expect("written in two minutes");
    assert_all_there_once(&ledger, 2_500).await;
    bus.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_read_back() {
    let bus = Bus::start().await;
    let hub = impatient_hub(&bus).await;
    let ledger: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&hub));
    let pid = bus.server.pid().expect("runs");
    write_all(&ledger, 10).await;
    // A server that stands still takes the bytes and answers nobody.
    signal("STOP", pid);
    let mut appender = Appender::new(
        Arc::clone(&ledger),
        Tip {
            sequence: 10,
            id: Some("record-9".to_owned()),
        },
    );
    for number in 10..60 {
        appender
            .push(conformance::record(&format!("record-{number}")), number)
            .await;
    }
    assert!(
        tokio::time::timeout(Duration::from_secs(1), appender.settled())
            .await
            .is_err(),
        "no answer yet"
    );
    signal("CONT", pid);
    let first = soon("the answer", appender.settled())
        .await
        .expect("outstanding");
    assert_eq!(
        first.outcome.expect("known"),
        Outcome::Appended { sequence: 11 }
    );
    while soon("the answer", appender.settled()).await.is_some() {}
    write_all(&ledger, 60).await;
    assert_all_there_once(&ledger, 60).await;
    bus.stop().await;
}

#[tokio::test]
async fn a_ledger_that_lost_its_end_or_is_another_one_fences_the_writer() {
    let bus = Bus::start().await;
    let path = bus.folder.path().join("witness");
    let ledger: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&bus.hub));
    write_all(&ledger, 3).await;
    let last = ledger.get(3).await.expect("an answer").expect("there");
    let mut witness = Witness::open(&path).expect("new");
    witness
        .check(&*ledger)
        .await
        .expect("nothing is remembered yet");
    witness.note(3, last.digest());
    witness.note(2, conformance::record("earlier").digest());
    witness.flush().expect("written");

    let remembered = Witness::open(&path).expect("read");
    assert_eq!(remembered.sequence(), 3);
    remembered.check(&*ledger).await.expect("the same ledger");

    let shorter: Arc<dyn Ledger> = Arc::new(MemoryLedger::new(now));
    write_all(&shorter, 2).await;
    let fenced = remembered.check(&*shorter).await;
    assert!(
        matches!(
            fenced,
            Err(WitnessError::Fenced(Fenced::Shorter {
                acknowledged: 3,
                found: 2
            }))
        ),
        "{fenced:?}"
    );
    let another = MemoryLedger::new(now);
    let mut tip = Tip::default();
    for number in 0..3 {
        let record = conformance::record(&format!("other-{number}"));
        tip = Tip {
            sequence: tip.sequence + 1,
            id: Some(record.id.clone()),
        };
        let after = another.tip().await.expect("a tip");
        another.append(record, after).await.await.expect("stored");
    }
    let fenced = remembered.check(&another).await;
    assert!(
        matches!(
            fenced,
            Err(WitnessError::Fenced(Fenced::Different { sequence: 3, .. }))
        ),
        "{fenced:?} {tip:?}"
    );
    bus.stop().await;
}

#[tokio::test]
async fn a_reader_goes_on_over_a_restart_and_tells_a_missing_stream() {
    let bus = Bus::bare().await;
    let ledger: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&bus.hub));
    let missing = soon("an answer", ledger.read(1).next())
        .await
        .expect("an item");
    assert!(
        matches!(
            missing,
            Err(skein_nats::ReadError::Missing { stream: "LEDGER" })
        ),
        "{missing:?}"
    );

    skein_nats::topology::ensure(&bus.hub, 1)
        .await
        .expect("streams");
    write_all(&ledger, 2).await;
    let mut reader = ledger.read(1);
    for sequence in [1, 2] {
        assert_eq!(
            reader
                .next()
                .await
                .expect("open")
                .expect("a record")
                .sequence,
            sequence
        );
    }
    let mut state = bus.server.state();
    signal("KILL", bus.server.pid().expect("runs"));
    soon("a restart", async {
        state
            .wait_for(|state| matches!(state, ServerState::Restarting { .. }))
            .await
            .expect("noticed");
        state
            .wait_for(|state| matches!(state, ServerState::Ready { .. }))
            .await
            .expect("ready");
    })
    .await;
    write_all(&ledger, 4).await;
    for sequence in [3, 4] {
        let next = tokio::time::timeout(Duration::from_secs(40), reader.next())
            .await
            .expect("in time");
        assert_eq!(next.expect("open").expect("a record").sequence, sequence);
    }
    bus.stop().await;
}
