//! Durable commands: how many a second, how long one takes, beside the bus alone.

use std::time::Instant;

use serde_json::{Value, json};
use skein_nats::StoredRecord;
use skein_nats::ledger::{JetStreamLedger, Ledger};
use skein_nats::server_config::Sync;

use super::Sizes;
use super::numbers::{Durations, count, median, millis, ratio};
use super::plane::Plane;
use super::raw::{self, RawBus};
use super::report::Section;
use super::user::User;
use crate::stage::{Failure, Outcome};

/// Clients that send at the same time.
const CLIENTS: usize = 64;
/// Connections that they share.
const CONNECTIONS: usize = 4;

/// One way for the bus to write to disk.
struct Side {
    name: &'static str,
    raw: RawBus,
    plane: Plane,
    users: Vec<User>,
    template: StoredRecord,
    figures: Figures,
}

/// What was measured, once per repetition.
#[derive(Default)]
struct Figures {
    appends: Vec<f64>,
    commands: Vec<f64>,
    ratios: Vec<f64>,
    bare: Durations,
    single: Durations,
    slower: Vec<f64>,
}

/// Measures both ways, in turn.
pub(super) async fn measure(sizes: &Sizes) -> Outcome<Section> {
    let folder = tempfile::tempdir().map_err(|error| Failure::because("make a folder", &error))?;
    let mut sides = Vec::new();
    for (name, argument, sync) in [
        ("default", "interval", Sync::Default),
        ("always", "always", Sync::Always),
    ] {
        let raw = RawBus::start(&folder.path().join(format!("raw-{argument}")), sync).await?;
        let data = folder.path().join(format!("hub-{argument}"));
        let plane = Plane::start(&data, argument).await?;
        let mut users = Vec::new();
        for _ in 0..CONNECTIONS {
            users.push(plane.user().await?);
        }
        let template = warm_up(&plane, &mut users[0]).await?;
        sides.push(Side {
            name,
            raw,
            plane,
            users,
            template,
            figures: Figures::default(),
        });
    }
    for _ in 0..sizes.repetitions {
        for side in &mut sides {
            repeat(side, sizes).await?;
        }
    }
    let bytes = sides.first().map_or(0, |side| side.template.body.len());
    let section = section(&sides, bytes);
    for side in sides {
        side.plane.stop().await?;
        side.raw.stop().await;
    }
    Ok(section)
}

/// Sends a few commands, and answers what a record of one looks like.
async fn warm_up(plane: &Plane, user: &mut User) -> Outcome<StoredRecord> {
    let mut last = 0;
    for value in 0..20 {
        last = user.apply(namespace(0, value)).await?.sequence;
    }
    let ledger = JetStreamLedger::new(&plane.beside().await?);
    let found = ledger
        .get(last)
        .await
        .map_err(|error| Failure::because("read the ledger", &error))?;
    found.ok_or_else(|| Failure::new("the ledger does not have what was answered"))
}

fn namespace(client: usize, value: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": format!("bench-{client}"), "labels": {"value": format!("v{value}")}},
    })
}

async fn repeat(side: &mut Side, sizes: &Sizes) -> Outcome<()> {
    let ledger = side.raw.ledger();
    let appends = raw::pipelined(&ledger, &side.template, sizes.burst).await?;
    let commands = many(&mut side.users, sizes.burst / 2).await?;
    let bare = raw::one_by_one(&ledger, &side.template, sizes.single).await?;
    let single = one(&mut side.users[0], sizes.single).await?;
    let figures = &mut side.figures;
    figures.appends.push(appends);
    figures.commands.push(commands);
    figures.ratios.push(commands / appends);
    let middle = |durations: &Durations| durations.percentile(0.5).as_secs_f64();
    figures.slower.push(middle(&single) / middle(&bare));
    figures.bare.append(bare);
    figures.single.append(single);
    Ok(())
}

/// Commands per second of many clients, each of which waits for its answer before it sends again.
async fn many(users: &mut [User], commands: usize) -> Outcome<f64> {
    let each = (commands / CLIENTS).max(1);
    let begin = Instant::now();
    let round = round();
    let clients = (0..CLIENTS).map(|client| {
        let mut user = users[client % users.len()].beside();
        async move {
            for value in 0..each {
                // Never the same as before, or nothing would be recorded.
                let document = namespace(client, round + value);
                user.apply(document).await?;
            }
            Ok::<_, Failure>(())
        }
    });
    futures::future::try_join_all(clients).await?;
    Ok((each * CLIENTS) as f64 / begin.elapsed().as_secs_f64())
}

/// A number that rises by more than a round has commands.
fn round() -> usize {
    let millis = super::now().as_millisecond().unsigned_abs();
    usize::try_from(millis % 1_000_000_000).unwrap_or_default() * 1_000
}

async fn one(user: &mut User, commands: usize) -> Outcome<Durations> {
    let round = round();
    let mut durations = Durations::default();
    for value in 0..commands {
        let document = namespace(CLIENTS, round + value);
        let begin = Instant::now();
        user.apply(document).await?;
        durations.push(begin.elapsed());
    }
    Ok(durations)
}

fn section(sides: &[Side], bytes: usize) -> Section {
    let rows = sides.iter().map(|side| {
        let figures = &side.figures;
        vec![
            side.name.to_owned(),
            count(median(&figures.appends)),
            count(median(&figures.commands)),
            ratio(median(&figures.ratios)),
            figures.bare.in_words(),
            figures.single.in_words(),
            ratio(median(&figures.slower)),
            count(
                1.0 / figures
                    .single
                    .percentile(0.5)
                    .as_secs_f64()
                    .max(f64::EPSILON),
            ),
        ]
    });
    let slowest = sides
        .iter()
        .map(|side| side.figures.single.percentile(1.0))
        .max()
        .unwrap_or_default();
    Section {
        title: "Durable commands".to_owned(),
        about: format!(
            "{CLIENTS} clients on {CONNECTIONS} connections, and one client alone, apply a Namespace \
             with another label each time, and wait for the hub's answer, which comes after the \
             record is stored. The baseline appends the very records ({bytes} bytes of body) to the \
             ledger's stream on a server of its own: pipelined, each chained to the one before, 256 \
             in flight; and one after another. `sync` is nats-server's `sync_interval`. A command is \
             stored twice, in the queue and in the ledger, and answered twice, by the bus and by the \
             hub. The slowest single command took {} ms.",
            millis(slowest)
        ),
        columns: vec![
            "sync",
            "appends/s, chained, pipelined",
            "commands/s, 64 clients",
            "ratio",
            "publish + ack, ms p50 / p99",
            "command, 1 client, ms p50 / p99",
            "ratio of p50",
            "commands/s, 1 client",
        ],
        rows: rows.collect(),
    }
}
