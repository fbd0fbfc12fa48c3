//! Three servers with the same access model: replicated streams, and the loss of one.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use skein_nats::accounts::{Account, Role};
use skein_nats::connect::{Settings, connect};
use skein_nats::ledger::{JetStreamLedger, Ledger, Tip, conformance};
use skein_nats::resolver::{AccountResolver, AccountRevocations};
use skein_nats::server_config::{Cluster, ServerConfig};
use skein_nats::{Connection, Headers, OperatorKeys, OperatorStore, Outcome, status, topology};
use tempfile::TempDir;

use crate::support::{eventually, now, soon};

/// Three servers; those that run are ended with it.
struct Trio {
    keys: OperatorKeys,
    nodes: Vec<Node>,
    folder: TempDir,
}

struct Node {
    url: String,
    config: std::path::PathBuf,
    process: Option<Child>,
}

impl Node {
    fn run(&mut self) {
        let binary = skein_nats::embedded::find_binary(None)
            .expect("nats-server")
            .path;
        let log = std::fs::File::create(self.config.with_extension("log")).expect("a log");
        let started = Command::new(binary)
            .arg("-c")
            .arg(&self.config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(started.expect("started"));
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    listeners
        .iter()
        .map(|listener| listener.local_addr().expect("an address").port())
        .collect()
}

fn write_config(folder: &Path, keys: &OperatorKeys, number: usize, ports: &[u16]) -> Node {
    let (clients, routes) = ports.split_at(3);
    let name = format!("bus-{number}");
    let address = |port: u16| format!("127.0.0.1:{port}").parse().expect("an address");
    let mut config = ServerConfig::single(&name, address(clients[number]), folder.join(&name));
    config.cluster = Some(Cluster {
        name: "skein".to_owned(),
        listen: address(routes[number]),
        routes: routes
            .iter()
            .map(|port| format!("nats-route://127.0.0.1:{port}"))
            .collect(),
        tls: None,
    });
    std::fs::create_dir_all(config.run_folder()).expect("a folder");
    let path = folder.join(format!("{name}.conf"));
    std::fs::write(&path, config.render(keys, now())).expect("written");
    Node {
        url: format!("nats://{}", config.listen),
        config: path,
        process: None,
    }
}

impl Trio {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let store = OperatorStore::create(&folder.path().join("operator"), now()).expect("keys");
        let keys = store.keys().clone();
        let ports = free_ports(6);
        let mut nodes: Vec<Node> = (0..3)
            .map(|number| write_config(folder.path(), &keys, number, &ports))
            .collect();
        nodes.iter_mut().for_each(Node::run);
        Self {
            keys,
            nodes,
            folder,
        }
    }

    fn settings(&self, role: Role, name: &str, node: Option<usize>) -> Settings {
        let urls = match node {
            Some(number) => vec![self.nodes[number].url.clone()],
            None => self.nodes.iter().map(|node| node.url.clone()).collect(),
        };
        let mut settings = self
            .keys
            .settings(role, name, urls, now())
            .expect("credentials");
        settings.request_timeout = Duration::from_secs(5);
        settings
    }

    async fn client(&self, role: Role, name: &str, node: Option<usize>) -> Connection {
        let settings = self.settings(role, name, node);
        eventually(&format!("{name} enters"), async || {
            connect(&settings).await.ok()
        })
        .await
    }

    fn logs(&self) -> String {
        let logs = (0..3).map(|number| self.folder.path().join(format!("bus-{number}.log")));
        logs.map(|path| std::fs::read_to_string(path).unwrap_or_default())
            .collect()
    }
}

async fn append(ledger: &dyn Ledger, id: &str, after: Tip) -> Outcome {
    let pending = ledger.append(conformance::record(id), after).await;
    pending.await.expect("an answer")
}

#[tokio::test]
async fn three_servers_keep_the_promises_over_the_loss_of_any_one() {
    let mut trio = Trio::start();
    let system = trio.client(Role::System, "system", None).await;
    let resolver = AccountResolver::new(system, trio.keys.clone());
    eventually("the accounts are known", async || {
        resolver
            .push_all(&AccountRevocations::default(), now())
            .await
            .ok()
    })
    .await;
    let hub = trio.client(Role::Hub, "hub-0", None).await;
    eventually("the streams are made", async || {
        topology::ensure(&hub, 3).await.ok()
    })
    .await;
    topology::check(&hub, 3)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", trio.logs()));

    // The accounts are known on every server, and agents cross into HUB from each.
    let mut agents = Vec::new();
    for number in 0..3 {
        let name = format!("c{number}");
        let agent = trio.client(Role::Agent, &name, Some(number)).await;
        let subject = format!("status.default.{name}");
        eventually("a report is stored", async || {
            status::report(&agent, &subject, Headers::new(), "{}".into())
                .await
                .ok()
        })
        .await;
        agents.push(agent);
    }

    eventually("all three have the stream", async || {
        all_current(&hub).await.then_some(())
    })
    .await;
    let first: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&hub));
    let other = trio.client(Role::Hub, "hub-1", Some(2)).await;
    let second: Arc<dyn Ledger> = Arc::new(JetStreamLedger::new(&other));
    conformance::run(Arc::clone(&first), second).await;

    // Each server is killed once; one of them leads the stream. Appends go on with two.
    for number in 0..3 {
        trio.nodes[number].kill();
        let tip = eventually("a tip", async || first.tip().await.ok()).await;
        let id = format!("without-{number}");
        let outcome =
            tokio::time::timeout(Duration::from_secs(60), append(&*first, &id, tip.clone())).await;
        assert_eq!(
            outcome.expect("in time"),
            Outcome::Appended {
                sequence: tip.sequence + 1
            }
        );
        trio.nodes[number].run();
        let back = trio.client(Role::Hub, "probe", Some(number)).await;
        let ledger = JetStreamLedger::new(&back);
        let seen = eventually("it has caught up", async || {
            ledger.get(tip.sequence + 1).await.ok().flatten()
        })
        .await;
        assert_eq!(seen.id(), Some(id.as_str()));
        eventually("all three have the stream", async || {
            all_current(&back).await.then_some(())
        })
        .await;
    }

    hostile_headers_stop_no_stream(&trio, &agents[0]).await;
    replicated_streams_still_need_protection(&hub).await;

    // A revocation reaches the server its subject is on, whichever that is.
    let victim = trio
        .keys
        .credentials(Role::Agent, "c9", now(), None)
        .expect("minted");
    let mut settings = trio.settings(Role::Agent, "c9", Some(1));
    settings.credentials = skein_nats::Credentials::Fixed(victim.clone());
    let agent = eventually("c9 enters", async || connect(&settings).await.ok()).await;
    let mut revocations = AccountRevocations::default();
    revocations
        .agents
        .insert(victim.public_key().expect("key"), now());
    eventually("told", async || {
        resolver
            .push(Account::Agents, &revocations, now())
            .await
            .ok()
    })
    .await;
    soon("c9 is dropped", agent.refused()).await;
}

/// The header by which a client could stop a replicated stream, on the two streams that others than
/// hubs write.
async fn hostile_headers_stop_no_stream(trio: &Trio, agent: &Connection) {
    let user = trio.client(Role::User, "alice", None).await;
    for (client, subject) in [(agent, "status.default.c0"), (&user, "cmd.alice.apply")] {
        let hostile = Headers::new().with("Nats-Expected-Last-Msg-Id", "guessed");
        let answer = client
            .request(subject, hostile, "{}".into())
            .await
            .expect("an answer");
        assert!(
            String::from_utf8_lossy(&answer.body).contains("error"),
            "{answer:?}"
        );
        status::report(client, subject, Headers::new(), "{}".into())
            .await
            .expect("the stream goes on");
    }
}

/// Why they are on one server. When this fails the server is mended, and they can be replicated.
async fn replicated_streams_still_need_protection(hub: &Connection) {
    let jetstream = async_nats::jetstream::new(hub.raw());
    let config = async_nats::jetstream::stream::Config {
        name: "CANARY".to_owned(),
        subjects: vec!["canary".to_owned()],
        num_replicas: 3,
        ..Default::default()
    };
    eventually("a stream is made", async || {
        jetstream.create_stream(config.clone()).await.ok()
    })
    .await;
    hub.request("canary", Headers::new(), "{}".into())
        .await
        .expect("it takes messages");
    let hostile = Headers::new().with("Nats-Expected-Last-Msg-Id", "guessed");
    hub.request("canary", hostile, "{}".into())
        .await
        .expect("refused, with an answer");
    let after = hub.request("canary", Headers::new(), "{}".into()).await;
    assert!(
        after.is_err(),
        "the server is mended: COMMANDS and STATUS can have replicas, and R3 appends ids"
    );
}

/// Whether the ledger's replicas are all there and up to date.
async fn all_current(hub: &Connection) -> bool {
    let jetstream = async_nats::jetstream::new(hub.raw());
    let Ok(stream) = jetstream.get_stream("LEDGER").await else {
        return false;
    };
    let Some(cluster) = stream.cached_info().cluster.clone() else {
        return false;
    };
    cluster.leader.is_some()
        && cluster.replicas.len() == 2
        && cluster.replicas.iter().all(|peer| peer.current)
}
