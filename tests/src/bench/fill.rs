//! A large ledger: how fast it is read and folded, how soon a hub is back that has one, and what it
//! takes in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skein_hub_core::{Context, Decision, Observed, Stored, Trigger, World, decide, react};
use skein_nats::Headers;
use skein_nats::ledger::{Ledger, NewRecord, read_range};
use skein_nats::server_config::Sync;
use skein_schema::command::{Command, FieldValidation, Precondition};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, Producer, SCHEMA_VERSION};
use skein_schema::name::UserName;
use skein_schema::record::Record;
use uuid::Uuid;

use super::Sizes;
use super::numbers::{count, mebibytes, median, ratio};
use super::plane::Plane;
use super::raw::{self, RawBus};
use super::report::Section;
use crate::stage::{Failure, Outcome};

/// Writes a ledger as a hub would have.
struct Writer {
    world: World,
    actor: Actor,
    now: Timestamp,
    ids: u128,
}

impl Writer {
    fn new() -> Self {
        Self {
            world: World::default(),
            actor: Actor::User(UserName::new("admin").expect("a label")),
            now: super::now() - SignedDuration::from_hours(2),
            ids: 1,
        }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        let millis = u64::try_from(self.now.as_millisecond()).unwrap_or_default();
        let mut tail = [0; 10];
        tail[2..].copy_from_slice(&(self.ids as u64).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    /// The records that a hub makes of an empty ledger.
    fn bootstrap(&mut self) -> Vec<NewRecord> {
        let decisions = react::after(
            &self.world,
            &Observed::default(),
            &Trigger::Started,
            self.now,
        );
        decisions
            .iter()
            .map(|decision| self.record(decision, None))
            .collect()
    }

    /// The record of a document that is applied.
    fn apply(&mut self, resource: Value) -> Outcome<NewRecord> {
        let command = Command::Apply {
            resource,
            manager: "bench".to_owned(),
            precondition: Precondition::None,
            validation: FieldValidation::Strict,
            dry_run: false,
        };
        self.now += SignedDuration::from_micros(50);
        let id = self.id();
        let actor = self.actor.clone();
        let context = Context {
            now: self.now,
            actor: &actor,
            command: id,
        };
        let decision = decide(&self.world, &Observed::default(), &command, &context)
            .map_err(|refusal| Failure::new(format!("refused: {}", refusal.message)))?;
        Ok(self.record(&decision, Some(id)))
    }

    fn record(&mut self, decision: &Decision, command: Option<Uuid>) -> NewRecord {
        let id = self.id();
        let body = decision.record.encode();
        let kind = decision.record.events.first();
        let envelope = Envelope {
            id,
            kind: kind.map_or("", |event| event.kind()).to_owned(),
            source: "/hub/hub-0".to_owned(),
            subject: decision.subject.to_string(),
            time: self.now,
            actor: self.actor.clone(),
            on_behalf_of: None,
            command_id: command,
            causation_id: None,
            correlation_id: command.unwrap_or(id),
            traceparent: None,
            producer: Producer::this_build("skein-hub"),
            schema_version: SCHEMA_VERSION,
            digest: Digest::of(&body),
        };
        let headers: Headers = envelope.to_headers().into_iter().collect();
        self.world.evolve(&Stored {
            sequence: self.world.sequence() + 1,
            time: self.now,
            envelope,
            record: decision.record.clone(),
        });
        NewRecord {
            id: id.to_string(),
            subject: decision.subject.ledger_subject(),
            headers,
            body: body.into(),
        }
    }
}

fn cluster(number: usize) -> Value {
    json!({
        "apiVersion": "cluster.open-cluster-management.io/v1",
        "kind": "ManagedCluster",
        "metadata": {"name": format!("c{number}"), "labels": {"region": format!("r{}", number % 20)}},
        "spec": {"hubAcceptsClient": true},
    })
}

fn work(cluster: usize, number: usize) -> Value {
    json!({
        "apiVersion": "work.open-cluster-management.io/v1",
        "kind": "ManifestWork",
        "metadata": {"name": format!("w{number}"), "namespace": format!("c{cluster}")},
        "spec": {"workload": {"manifests": [{
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": format!("settings-{number}"), "namespace": "default"},
            "data": {"level": "info", "peers": "a.example.com,b.example.com,c.example.com"},
        }]}},
    })
}

/// Writes a ledger of so many clusters and works each.
async fn fill(ledger: &Arc<dyn Ledger>, clusters: usize, works: usize) -> Outcome<u64> {
    let mut writer = Writer::new();
    let mut records = writer.bootstrap();
    for number in 0..clusters {
        records.push(writer.apply(cluster(number))?);
    }
    for number in 0..clusters {
        for name in 0..works {
            records.push(writer.apply(work(number, name))?);
        }
    }
    raw::append_all(ledger, records.into_iter()).await?;
    Ok(writer.world.sequence())
}

/// Reads the ledger and does nothing with it: records per second.
async fn read(ledger: &Arc<dyn Ledger>, last: u64) -> Outcome<f64> {
    let begin = Instant::now();
    let mut stream = read_range(&**ledger, 1, last);
    while let Some(record) = stream.next().await {
        record.map_err(|error| Failure::because("read the ledger", &error))?;
    }
    Ok(last as f64 / begin.elapsed().as_secs_f64())
}

/// Reads the ledger and folds it, as a hub that starts does: records per second.
async fn fold(ledger: &Arc<dyn Ledger>, last: u64) -> Outcome<f64> {
    let begin = Instant::now();
    let mut world = World::default();
    let mut stream = read_range(&**ledger, 1, last);
    while let Some(record) = stream.next().await {
        let record = record.map_err(|error| Failure::because("read the ledger", &error))?;
        let envelope = Envelope::from_headers(|name| record.headers.get(name))
            .map_err(|error| Failure::because("read an envelope", &error))?;
        envelope
            .check_body(&record.body)
            .map_err(|error| Failure::because("read a record", &error))?;
        let decoded = Record::decode(&record.body)
            .map_err(|error| Failure::because("read a record", &error))?;
        world.evolve(&Stored {
            sequence: record.sequence,
            time: envelope.time,
            envelope,
            record: decoded,
        });
    }
    if world.sequence() != last {
        return Err(Failure::new("the ledger was not read to its end"));
    }
    Ok(last as f64 / begin.elapsed().as_secs_f64())
}

/// What a hub with a ledger of some size took.
struct Hub {
    first: Duration,
    again: Vec<f64>,
    resident: f64,
    bus: f64,
}

async fn hub(data: &Path, repetitions: usize) -> Outcome<Hub> {
    let plane = Plane::start(data, "always").await?;
    let first = plane.ready_after;
    // What is told to every cluster for the first time has to be out before it is stopped.
    plane.resident().await?;
    plane.stop().await?;
    let mut again = Vec::new();
    let mut taken = (0.0, 0.0);
    for _ in 0..repetitions {
        let plane = Plane::start(data, "always").await?;
        again.push(plane.ready_after.as_secs_f64());
        taken = plane.resident().await?;
        plane.stop().await?;
    }
    Ok(Hub {
        first,
        again,
        resident: taken.0,
        bus: taken.1,
    })
}

/// Measures reading, folding, starting and memory.
pub(super) async fn measure(sizes: &Sizes) -> Outcome<Vec<Section>> {
    let folder = tempfile::tempdir().map_err(|error| Failure::because("make a folder", &error))?;
    let mut hubs = BTreeMap::new();
    let mut replay = None;
    for (name, clusters, works) in [
        ("empty", 0, 0),
        ("clusters", sizes.clusters, 0),
        ("works", sizes.clusters, sizes.works),
    ] {
        let data = folder.path().join(name);
        let bus = RawBus::start(&data, Sync::Default).await?;
        let ledger = bus.ledger();
        let last = fill(&ledger, clusters, works).await?;
        if name == "works" {
            replay = Some(replay_section(&ledger, last, sizes.repetitions).await?);
        }
        drop(ledger);
        bus.stop().await;
        eprintln!("  a hub with {last} records …");
        hubs.insert(name, hub(&data, sizes.repetitions).await?);
    }
    let (Some(empty), Some(clusters), Some(works)) =
        (hubs.get("empty"), hubs.get("clusters"), hubs.get("works"))
    else {
        return Err(Failure::new("a measurement is missing"));
    };
    let mut sections: Vec<_> = replay.into_iter().collect();
    sections.push(restart_section(sizes, works));
    sections.push(memory_section(sizes, empty, clusters, works));
    Ok(sections)
}

async fn replay_section(
    ledger: &Arc<dyn Ledger>,
    last: u64,
    repetitions: usize,
) -> Outcome<Section> {
    let (mut raw, mut folded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repetitions {
        let (read, fold) = (read(ledger, last).await?, fold(ledger, last).await?);
        raw.push(read);
        folded.push(fold);
        ratios.push(fold / read);
    }
    Ok(Section {
        title: "Replay".to_owned(),
        about: format!(
            "A ledger of {} records is read through, and read and folded (envelope and digest \
             checked, decoded, evolved).",
            count(last as f64)
        ),
        columns: vec!["records/s read", "records/s folded", "ratio"],
        rows: vec![vec![
            count(median(&raw)),
            count(median(&folded)),
            ratio(median(&ratios)),
        ]],
    })
}

fn restart_section(sizes: &Sizes, works: &Hub) -> Section {
    let objects = sizes.clusters * (2 + sizes.works);
    Section {
        title: "Restart of a hub".to_owned(),
        about: format!(
            "From the start of `skein-hub embedded` (its nats-server included) until it leads and \
             serves, with {} objects: {} clusters, their namespaces, and {} works on each. The first \
             start reads the whole ledger and has no snapshot; the later ones come after a clean \
             stop.",
            count(objects as f64),
            count(sizes.clusters as f64),
            sizes.works
        ),
        columns: vec!["first start, s", "later starts, s, median"],
        rows: vec![vec![
            format!("{:.2}", works.first.as_secs_f64()),
            format!("{:.2}", median(&works.again)),
        ]],
    }
}

fn memory_section(sizes: &Sizes, empty: &Hub, clusters: &Hub, works: &Hub) -> Section {
    let row = |name: String, hub: &Hub, each: String| {
        vec![name, mebibytes(hub.resident), mebibytes(hub.bus), each]
    };
    let per_cluster = (clusters.resident - empty.resident) / sizes.clusters as f64;
    let all_works = (sizes.clusters * sizes.works) as f64;
    let per_work = (works.resident - clusters.resident) / all_works;
    Section {
        title: "Memory of a hub".to_owned(),
        about:
            "Resident memory of `skein-hub` after a start, as the kernel tells it, with what the \
                allocator keeps from starting. A cluster comes with its namespace; a work has one \
                ConfigMap, inline."
                .to_owned(),
        columns: vec!["ledger", "hub", "its nats-server", "each"],
        rows: vec![
            row("empty".to_owned(), empty, String::new()),
            row(
                format!("{} clusters", count(sizes.clusters as f64)),
                clusters,
                format!("{per_cluster:.1} KiB per cluster"),
            ),
            row(
                format!("and {} works", count(all_works)),
                works,
                format!("{per_work:.1} KiB per work"),
            ),
        ],
    }
}
