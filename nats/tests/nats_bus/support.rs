//! A real server in a folder of its own, and clients of every role.

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use skein_nats::accounts::Role;
use skein_nats::connect::{ConnectError, Retry, Settings, connect};
use skein_nats::embedded::{EmbeddedServer, Options};
use skein_nats::resolver::{AccountResolver, AccountRevocations};
use skein_nats::{Connection, OperatorKeys, OperatorStore, topology};
use tempfile::TempDir;

/// How long anything may take here before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bus {
    pub(crate) server: EmbeddedServer,
    pub(crate) keys: OperatorKeys,
    pub(crate) resolver: AccountResolver,
    pub(crate) hub: Connection,
    pub(crate) folder: TempDir,
}

impl Bus {
    /// A server that knows all accounts, without streams.
    pub(crate) async fn bare() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let store = OperatorStore::create(&folder.path().join("operator"), now()).expect("keys");
        let keys = store.keys().clone();
        let server =
            EmbeddedServer::start(Options::new(folder.path().join("bus"), keys.clone(), now()))
                .await;
        let server = server.expect("a server");
        let system = connect(&settings(&keys, Role::System, "system", server.url()))
            .await
            .expect("system");
        let resolver = AccountResolver::new(system, keys.clone());
        resolver
            .push_all(&AccountRevocations::default(), now())
            .await
            .expect("accounts");
        let hub = connect(&settings(&keys, Role::Hub, "hub-0", server.url()))
            .await
            .expect("hub");
        Self {
            server,
            keys,
            resolver,
            hub,
            folder,
        }
    }

    /// The same, with all streams.
    pub(crate) async fn start() -> Self {
        let bus = Self::bare().await;
        topology::ensure(&bus.hub, 1).await.expect("streams");
        bus
    }

    /// A client of a role.
    pub(crate) async fn client(&self, role: Role, name: &str) -> Connection {
        self.try_client(role, name).await.expect("connected")
    }

    pub(crate) async fn try_client(
        &self,
        role: Role,
        name: &str,
    ) -> Result<Connection, ConnectError> {
        connect(&settings(&self.keys, role, name, self.server.url())).await
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Runs a part of the scene beside the test.
#[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
pub(crate) fn beside<T: Send + 'static>(
    part: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(part)
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a condition with a deadline"
)]
pub(crate) async fn wait_a_moment(moment: Duration) {
    tokio::time::sleep(moment).await;
}

#[expect(clippy::disallowed_methods, reason = "tests are composition roots")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn settings(keys: &OperatorKeys, role: Role, name: &str, url: &str) -> Settings {
    let mut settings = keys
        .settings(role, name, vec![url.to_owned()], now())
        .expect("credentials");
    settings.retry = Retry::No;
    settings
}

/// Waits until `check` answers, and fails the test with `what` when it takes too long.
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        wait_a_moment(Duration::from_millis(10)).await;
    }
}

/// Waits for `future`, and fails the test with `what` when it takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Sends a signal to a process, as an operator would.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = std::process::Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(sent.expect("kill").success(), "kill -{name} {pid}");
}

/// Whether a process is there.
pub(crate) fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
