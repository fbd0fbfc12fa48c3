//! From an apply to the status at the command line, hop by hop.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};
use skein_nats::Message;
use skein_nats::accounts::Role;
use skein_nats::connect::Answers;
use skein_schema::desired::{DesiredChange, DesiredMessage};
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;
use skein_schema::query::{Answer, Query, Selection};
use skein_schema::resource::KindName;
use skein_schema::status::{StatusMessage, StatusUpdate};
use skein_schema::subject;

use super::Sizes;
use super::numbers::Durations;
use super::raw;
use super::report::Section;
use super::user::{NEXT, Sent, User};
use crate::fleet::{Fleet, FleetOptions};
use crate::kube_cluster::{KubeCluster, KubeOptions, StartError};
use crate::stage::{Failure, Outcome, Stage};

/// The work that is applied again and again.
const WORK: &str = "bench-hop";
/// What is told of each hop.
const HOPS: [&str; 6] = [
    "command stored in the queue",
    "record stored, answer at the user",
    "desired message at a subscriber",
    "object changed on the cluster",
    "status in the stream",
    "status seen by a watching user",
];

/// Measures on simulated clusters, and on a real API server where there is one.
pub(super) async fn measure(sizes: &Sizes) -> Outcome<Vec<Section>> {
    let mut stage = Stage::build()?;
    Fleet::start(&mut stage, FleetOptions { clusters: 1 }).await?;
    let simulated = on_stage(&mut stage, sizes).await;
    stage.end().await;
    let mut sections = vec![section("a simulated cluster", &simulated?)];
    match KubeCluster::start(&KubeOptions::default()).await {
        Ok(cluster) => {
            let mut stage = Stage::build()?;
            let context = current_context(cluster.kubeconfig())?;
            Fleet::start_on(&mut stage, cluster.kubeconfig(), vec![context]).await?;
            let real = on_stage(&mut stage, sizes).await;
            stage.end().await;
            sections.push(section("a real API server", &real?));
        }
        Err(StartError::Missing(missing)) => {
            for section in &mut sections {
                let why = format!(" A real API server was not measured: {missing}.");
                section.about.push_str(&why);
            }
        }
        Err(error) => return Err(Failure::because("start a real API server", &error)),
    }
    Ok(sections)
}

async fn on_stage(stage: &mut Stage, sizes: &Sizes) -> Outcome<Vec<Durations>> {
    let bench = Bench::enter(stage).await?;
    bench.measure(sizes.hops * sizes.repetitions).await
}

/// What listens at every hop.
struct Bench {
    user: User,
    cluster: ClusterName,
    desired: skein_nats::connect::Subscription,
    statuses: skein_nats::connect::Subscription,
    seen: Answers,
    client: Client,
}

#[derive(Deserialize)]
struct HubContext {
    servers: Vec<String>,
}

impl Bench {
    async fn enter(stage: &Stage) -> Outcome<Self> {
        let member = stage
            .members
            .first()
            .ok_or_else(|| Failure::new("there is no cluster"))?;
        let cluster = ClusterName::new(&member.name)
            .map_err(|error| Failure::because("name the cluster", &error))?;
        let data: PathBuf = stage.path("hub");
        let url = url(&data)?;
        let hub = raw::enter(&data, &url, Role::Hub, "bench").await?;
        let listen = async |subject: &str| {
            let heard = hub.subscribe(subject).await;
            heard.map_err(|error| Failure::because("listen on the bus", &error))
        };
        let (desired, statuses) = (
            listen(subject::LIVE_DESIRED_ALL).await?,
            listen(subject::STATUS_ALL).await?,
        );
        let mut user = User::enter(&data, &url).await?;
        let key = ObjectKey::workspace(&(&cluster).into());
        let query = Query::Watch(Selection {
            kind: KindName::ManifestWork,
            workspace: key.name.as_str().parse().ok(),
            name: None,
            label_selector: None,
            at: None,
        });
        let seen = user.ask(&query).await?;
        Ok(Self {
            user,
            cluster,
            desired,
            statuses,
            seen,
            client: client(&member.kubeconfig, &member.context).await?,
        })
    }

    /// Applies the work so many times, and answers how long each hop took from the sending on.
    async fn measure(mut self, times: usize) -> Outcome<Vec<Durations>> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), "default");
        let only = watcher::Config::default().fields(&format!("metadata.name={WORK}"));
        let mut live = pin!(watcher(api, only));
        let mut hops = vec![Durations::default(); HOPS.len()];
        // The first makes the object; it is not counted.
        for value in 0..=times {
            let times = self.once(value, live.as_mut()).await?;
            for (hop, time) in hops.iter_mut().zip(times).filter(|_| value > 0) {
                hop.push(time);
            }
        }
        Ok(hops)
    }

    async fn once(
        &mut self,
        value: usize,
        live: impl Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin,
    ) -> Outcome<[Duration; 6]> {
        let document = document(&self.cluster, value);
        let wanted = format!("v{value}");
        let begin = Instant::now();
        let (sent, desired, applied, reported, seen) = tokio::try_join!(
            self.user.apply(document),
            until(
                "the desired message",
                &mut self.desired,
                |message: Message| { is_desired(&message, &wanted) }
            ),
            until("the object on the cluster", live, |event| {
                is_applied(event.ok(), &wanted)
            }),
            until(
                "the status in the stream",
                &mut self.statuses,
                |message: Message| { is_reported(&message, value) }
            ),
            watched(&mut self.seen, value),
        )?;
        let Sent {
            stored, answered, ..
        } = sent;
        Ok([stored, answered, desired, applied, reported, seen].map(|at| at - begin))
    }
}

/// The generation of the work when it has this value: it begins at 1.
fn generation(value: usize) -> i64 {
    i64::try_from(value).unwrap_or_default() + 1
}

/// When a stream brought what is waited for.
async fn until<T>(
    what: &str,
    mut stream: impl Stream<Item = T> + Unpin,
    mut is_it: impl FnMut(T) -> bool,
) -> Outcome<Instant> {
    let found = async {
        while let Some(item) = stream.next().await {
            if is_it(item) {
                return Some(Instant::now());
            }
        }
        None
    };
    let found = tokio::time::timeout(NEXT, found).await.ok().flatten();
    found.ok_or_else(|| Failure::new(format!("{what} did not come")))
}

fn is_desired(message: &Message, wanted: &str) -> bool {
    let Ok(message) = serde_json::from_slice::<DesiredMessage>(&message.body) else {
        return false;
    };
    message.changes.iter().any(|change| match change {
        DesiredChange::Work(work) => {
            let manifests = work.spec.workload.manifests.iter();
            manifests
                .filter_map(|manifest| manifest.inline())
                .any(|manifest| {
                    manifest
                        .get("data")
                        .is_some_and(|data| data["value"] == wanted)
                })
        }
        _ => false,
    })
}

fn is_applied(event: Option<Event<ConfigMap>>, wanted: &str) -> bool {
    let (Some(Event::Apply(found)) | Some(Event::InitApply(found))) = event else {
        return false;
    };
    let data = found.data.unwrap_or_default();
    data.get("value").map(String::as_str) == Some(wanted)
}

fn is_reported(message: &Message, value: usize) -> bool {
    let Ok(message) = serde_json::from_slice::<StatusMessage>(&message.body) else {
        return false;
    };
    message.updates.iter().any(|update| match update {
        StatusUpdate::Work(report) => {
            report.name.as_str() == WORK
                && report.generation == generation(value)
                && report.status.conditions.iter().any(|condition| {
                    condition.type_ == "Available"
                        && condition.status == "True"
                        && condition.observed_generation == Some(generation(value))
                })
        }
        _ => false,
    })
}

/// When the user who watches sees the work as available at this value's generation.
async fn watched(answers: &mut Answers, value: usize) -> Outcome<Instant> {
    loop {
        let message = answers
            .next(NEXT)
            .await
            .map_err(|error| Failure::because("watch", &error))?;
        let Ok(Answer::Changed { object, .. }) = serde_json::from_slice(&message.body) else {
            continue;
        };
        if is_available(&object, generation(value)) {
            return Ok(Instant::now());
        }
    }
}

fn is_available(object: &Value, generation: i64) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    object["metadata"]["name"] == WORK
        && conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "Available"
                && condition["status"] == "True"
                && condition["observedGeneration"] == generation
        })
}

fn document(cluster: &ClusterName, value: usize) -> Value {
    json!({
        "apiVersion": "work.open-cluster-management.io/v1",
        "kind": "ManifestWork",
        "metadata": {"name": WORK, "namespace": cluster},
        "spec": {"workload": {"manifests": [{
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": WORK, "namespace": "default"},
            "data": {"value": format!("v{value}")},
        }]}},
    })
}

/// Where the bus of the hub in `data` is.
pub(super) fn url(data: &Path) -> Outcome<String> {
    let path = data.join("context.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::because("read the hub's context", &error))?;
    let context: HubContext = serde_json::from_str(&text)
        .map_err(|error| Failure::because("read the hub's context", &error))?;
    let mut servers = context.servers.into_iter();
    servers
        .next()
        .ok_or_else(|| Failure::new("the hub's context names no server"))
}

fn current_context(kubeconfig: &Path) -> Outcome<String> {
    let read = Kubeconfig::read_from(kubeconfig)
        .map_err(|error| Failure::because("read the kubeconfig", &error))?;
    read.current_context
        .ok_or_else(|| Failure::new("the kubeconfig has no current context"))
}

async fn client(kubeconfig: &Path, context: &str) -> Outcome<Client> {
    let read = Kubeconfig::read_from(kubeconfig)
        .map_err(|error| Failure::because("read the kubeconfig", &error))?;
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(read, &options)
        .await
        .map_err(|error| Failure::because("use the kubeconfig", &error))?;
    Client::try_from(config).map_err(|error| Failure::because("connect to the cluster", &error))
}

fn section(on: &str, hops: &[Durations]) -> Section {
    let rows = HOPS
        .iter()
        .zip(hops)
        .map(|(name, durations)| vec![(*name).to_owned(), durations.in_words()]);
    Section {
        title: format!("From an apply to its status, on {on}"),
        about:
            "A ManifestWork with one ConfigMap is applied with another value each time, one after \
                another; `sync_interval: always`. All times are from the sending of the command to \
                one process that sends it and listens at every hop; hops overlap, so they may come \
                in another order. The status is `Available` at the new generation."
                .to_owned(),
        columns: vec!["until", "ms p50 / p99"],
        rows: rows.collect(),
    }
}
