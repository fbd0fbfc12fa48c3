//! The bus alone: a nats-server with Skein's streams and nothing else that uses them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skein_nats::accounts::Role;
use skein_nats::embedded::{EmbeddedServer, Options};
use skein_nats::ledger::{Appender, JetStreamLedger, Ledger, NewRecord, Outcome as Appended, Tip};
use skein_nats::resolver::{AccountResolver, AccountRevocations};
use skein_nats::server_config::Sync;
use skein_nats::{Connection, OperatorKeys, OperatorStore, StoredRecord, connect, topology};
use uuid::Uuid;

use super::now;
use super::numbers::Durations;
use crate::stage::{Failure, Outcome};

/// A nats-server with Skein's streams.
pub(super) struct RawBus {
    server: EmbeddedServer,
    connection: Connection,
}

/// Connects as `role` to the bus at `url` with the keys in `data`.
pub(super) async fn enter(data: &Path, url: &str, role: Role, name: &str) -> Outcome<Connection> {
    let keys = operator(data)?;
    let settings = keys
        .settings(role, name, vec![url.to_owned()], now())
        .map_err(|error| Failure::because("make a credential", &error))?;
    connect(&settings)
        .await
        .map_err(|error| Failure::because("connect to the bus", &error))
}

fn operator(data: &Path) -> Outcome<OperatorKeys> {
    let store = OperatorStore::open_or_create(&data.join("keys/operator"), now())
        .map_err(|error| Failure::because("make the bus's keys", &error))?;
    Ok(store.keys().clone())
}

impl RawBus {
    /// Starts in `data`, laid out as an embedded hub has it, so that one can be started there later.
    pub(super) async fn start(data: &Path, sync: Sync) -> Outcome<Self> {
        let failed =
            |what: &'static str| move |error: &dyn std::error::Error| Failure::because(what, error);
        std::fs::create_dir_all(data.join("keys"))
            .map_err(|error| Failure::because("make a folder", &error))?;
        let keys = operator(data)?;
        let mut options = Options::new(data.join("nats"), keys.clone(), now());
        options.listen = ([127, 0, 0, 1], 0).into();
        options.sync = sync;
        let server = EmbeddedServer::start(options)
            .await
            .map_err(|error| failed("start nats-server")(&error))?;
        let system = enter(data, server.url(), Role::System, "bench").await?;
        AccountResolver::new(system, keys)
            .push_all(&AccountRevocations::default(), now())
            .await
            .map_err(|error| failed("make the accounts")(&error))?;
        let connection = enter(data, server.url(), Role::Hub, "bench").await?;
        topology::ensure(&connection, 1)
            .await
            .map_err(|error| failed("make the streams")(&error))?;
        Ok(Self { server, connection })
    }

    pub(super) fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(JetStreamLedger::new(&self.connection))
    }

    pub(super) async fn stop(self) {
        self.connection.close().await;
        self.server.stop().await;
    }
}

/// A record like `template` under an id of its own.
fn another(template: &StoredRecord, number: u64) -> NewRecord {
    let id = Uuid::from_u128((now().as_nanosecond().unsigned_abs() << 32) | u128::from(number));
    NewRecord {
        id: id.to_string(),
        subject: template.subject.clone(),
        headers: template.headers.clone(),
        body: template.body.clone(),
    }
}

async fn tip(ledger: &Arc<dyn Ledger>) -> Outcome<Tip> {
    ledger
        .tip()
        .await
        .map_err(|error| Failure::because("find the ledger's end", &error))
}

/// Appends records like `template`, each behind the one before without waiting for it, and answers
/// how many a second.
pub(super) async fn pipelined(
    ledger: &Arc<dyn Ledger>,
    template: &StoredRecord,
    count: usize,
) -> Outcome<f64> {
    let records = (0..count as u64).map(|number| another(template, number));
    let begin = Instant::now();
    append_all(ledger, records).await?;
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}

/// Appends records as fast as the ledger takes them.
pub(super) async fn append_all(
    ledger: &Arc<dyn Ledger>,
    records: impl Iterator<Item = NewRecord>,
) -> Outcome<()> {
    let mut appender = Appender::<()>::new(Arc::clone(ledger), tip(ledger).await?);
    for record in records {
        while !appender.has_room() {
            settle(&mut appender).await?;
        }
        appender.push(record, ()).await;
    }
    while appender.in_flight() > 0 {
        settle(&mut appender).await?;
    }
    Ok(())
}

async fn settle(appender: &mut Appender<()>) -> Outcome<()> {
    match appender.settled().await.map(|settled| settled.outcome) {
        Some(Ok(Appended::Appended { .. })) => Ok(()),
        Some(Ok(other)) => Err(Failure::new(format!("an append was not taken: {other:?}"))),
        Some(Err(error)) => Err(Failure::because("append", &error)),
        None => Err(Failure::new("the appender takes nothing more")),
    }
}

/// Appends records like `template` one after another, each acknowledged before the next.
pub(super) async fn one_by_one(
    ledger: &Arc<dyn Ledger>,
    template: &StoredRecord,
    count: usize,
) -> Outcome<Durations> {
    let mut tip = tip(ledger).await?;
    let mut durations = Durations::default();
    for number in 0..count as u64 {
        let record = another(template, number);
        let id = record.id.clone();
        let begin = Instant::now();
        let answer = ledger.append(record, tip.clone()).await.await;
        durations.push(begin.elapsed());
        match answer {
            Ok(Appended::Appended { sequence }) => {
                tip = Tip {
                    sequence,
                    id: Some(id),
                };
            }
            Ok(other) => return Err(Failure::new(format!("an append was not taken: {other:?}"))),
            Err(error) => return Err(Failure::because("append", &error)),
        }
    }
    Ok(durations)
}

/// How long something is waited for that should come at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
