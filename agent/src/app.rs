//! The composition root: it owns the clock, the dice and the clients, and puts the parts together.

mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use rand::RngCore as _;
use skein_schema::join::JoinToken;
use skein_schema::name::ClusterName;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::config::DEFAULT_HEARTBEAT_INTERVAL;
use crate::credential::{CredentialStore, CredentialStoreError};
use crate::driver::{DriverError, DriverTimes};
use crate::environment::{Environment, SharedEnvironment, new_id};
use crate::inventory::{Findings, InventoryTimes};
use crate::keys::{Keys, KeysError};
use crate::link::Bus;
use crate::link::nats::NatsBus;
use crate::metrics::Metrics;
use crate::registration::{Introduction, JoinProgress, Registration, RegistrationError};
use crate::state_dir::{StateDir, StateDirError};
use crate::task::{TaskEnd, Tasks, root};
use crate::uplink::{UplinkError, UplinkTimes};

use session::SessionEnd;

const NAME_FILE: &str = "cluster-name";

/// The machine's clock and the operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the composition root owns the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> u64 {
        rand::rng().next_u64()
    }
}

/// Times of an agent. The defaults are for real fleets; tests take shorter ones.
#[derive(Debug, Clone, Copy)]
pub struct AgentTimes {
    /// The loop's.
    pub driver: DriverTimes,
    /// The survey's.
    pub inventory: InventoryTimes,
    /// The connection's.
    pub uplink: UplinkTimes,
    /// First and longest wait between two attempts to join or renew.
    pub join: (Duration, Duration),
}

impl Default for AgentTimes {
    fn default() -> Self {
        Self {
            driver: DriverTimes::default(),
            inventory: InventoryTimes::default(),
            uplink: UplinkTimes {
                heartbeat: DEFAULT_HEARTBEAT_INTERVAL,
                refusal_grace: Duration::from_secs(10),
            },
            join: (Duration::from_millis(500), Duration::from_secs(5)),
        }
    }
}

/// What an agent is started with.
#[derive(Clone)]
pub struct AgentOptions {
    /// The managed cluster.
    pub kube: Client,
    /// How the bus is reached.
    pub bus: Arc<dyn Bus>,
    /// Clock and dice.
    pub environment: SharedEnvironment,
    /// Folder for keys, credential and journal; one agent each.
    pub state_dir: PathBuf,
    /// Token to join with; not needed once joined.
    pub token: Option<JoinToken>,
    /// The cluster's name; without one, the name it has or a random one.
    pub cluster_name: Option<ClusterName>,
    /// Addresses of the bus in place of the token's.
    pub servers: Vec<String>,
    /// Labels asked for at joining.
    pub labels: BTreeMap<String, String>,
    /// Annotations asked for at joining.
    pub annotations: BTreeMap<String, String>,
    /// Where health and metrics are served.
    pub listen: Option<SocketAddr>,
    /// Times.
    pub times: AgentTimes,
}

impl AgentOptions {
    /// Options with the real bus, the real clock and nothing optional.
    #[must_use]
    pub fn new(kube: Client, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            kube,
            bus: Arc::new(NatsBus),
            environment: Arc::new(SystemEnvironment),
            state_dir: state_dir.into(),
            token: None,
            cluster_name: None,
            servers: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            listen: None,
            times: AgentTimes::default(),
        }
    }
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// It has just been started.
    Starting,
    /// It asks to be let in.
    Joining(JoinProgress),
    /// It is a member and keeps its cluster as it should be.
    Running {
        /// Messages flow between it and the hub.
        connected: bool,
        /// The hub has confirmed, since the start, that it has all that is wanted.
        current: bool,
    },
    /// It is no member and has no token to become one.
    NotJoined,
    /// It cannot go on.
    Failed {
        /// Why, with causes.
        message: String,
    },
    /// It was stopped.
    Stopped,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Joining(JoinProgress::Connecting) => {
                f.write_str("joining: no hub has answered yet")
            }
            Self::Joining(JoinProgress::Pending(message)) => {
                write!(f, "waiting to be accepted: {message}")
            }
            Self::Joining(JoinProgress::Refused(refusal)) => {
                write!(f, "refused: {refusal} ({})", refusal.code)?;
                match &refusal.hint {
                    Some(hint) => write!(f, "; {hint}"),
                    None => Ok(()),
                }
            }
            Self::Running {
                connected: true,
                current: true,
            } => f.write_str("running"),
            Self::Running {
                connected: true,
                current: false,
            } => f.write_str("running, catching up"),
            Self::Running {
                connected: false, ..
            } => f.write_str("running, cut off from the hub"),
            Self::NotJoined => f.write_str("not a member: a join token is needed"),
            Self::Failed { message } => write!(f, "failed: {message}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// The agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialStoreError),
    /// Nothing can be served at the address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The agent could not go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It can be no member.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// Its credential cannot be kept.
    #[error(transparent)]
    Credential(#[from] CredentialStoreError),
    /// Its folder cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The connection cannot work.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// The loop cannot go on.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Health and metrics can no longer be served.
    #[error("the listener for health and metrics failed")]
    Listener(#[source] std::io::Error),
    /// A defect.
    #[error("the task {task} panicked")]
    Panicked {
        /// Which.
        task: &'static str,
    },
}

/// An agent.
#[derive(Debug, Clone, Copy)]
pub struct Agent;

/// A running agent. It stops when this is dropped, at the latest.
#[derive(Debug)]
pub struct AgentHandle {
    cluster: ClusterName,
    state: watch::Receiver<AgentState>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), AgentError>>,
    address: Option<SocketAddr>,
    metrics: Arc<Metrics>,
}

impl AgentHandle {
    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// How the agent is.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<AgentState> {
        self.state.clone()
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The agent's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Stops the agent: the journal is written, the connection closed, the cluster left as it is.
    ///
    /// # Errors
    /// When it had failed before.
    pub async fn stop(self) -> Result<(), AgentError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until the agent ends by itself.
    ///
    /// # Errors
    /// Why it did.
    pub async fn ended(self) -> Result<(), AgentError> {
        let Self {
            stop: _stop, task, ..
        } = self;
        task.await
            .unwrap_or(Err(AgentError::Panicked { task: "agent" }))
    }
}

impl Agent {
    /// Starts an agent: on return its keys exist and its listener listens; joining goes on by
    /// itself.
    ///
    /// # Errors
    /// When folder, keys, credential or listener cannot be used.
    pub async fn start(options: AgentOptions) -> Result<AgentHandle, StartError> {
        let dir = StateDir::open(&options.state_dir)?;
        let keys = Arc::new(Keys::load_or_create(&dir)?);
        let store = Arc::new(CredentialStore::open(
            &dir,
            Arc::clone(&keys),
            options.cluster_name.as_ref(),
        )?);
        let cluster = cluster_name(&options, &store, &dir)?;
        let metrics = Metrics::new();
        let (state, shown) = watch::channel(AgentState::Starting);
        let (stop, stopped) = watch::channel(false);
        let listener = listen(options.listen).await?;
        let address = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let running = Running {
            registration: Registration {
                bus: Arc::clone(&options.bus),
                environment: Arc::clone(&options.environment),
                keys,
                store,
                servers: options.servers.clone(),
                retry: options.times.join,
            },
            kube: Cluster::new(options.kube.clone()),
            name: cluster.clone(),
            dir,
            metrics: Arc::clone(&metrics),
            state,
            stopped,
            options,
        };
        let task = root(running.run(listener));
        Ok(AgentHandle {
            cluster,
            state: shown,
            stop,
            task,
            address,
            metrics,
        })
    }
}

async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    listener
        .map(Some)
        .map_err(|source| StartError::Listen { address, source })
}

/// The name given, the one of the credential, the one made up before, or a random one (OCM's
/// order).
fn cluster_name(
    options: &AgentOptions,
    store: &CredentialStore,
    dir: &StateDir,
) -> Result<ClusterName, StateDirError> {
    let given = options.cluster_name.clone();
    if let Some(name) = given.or_else(|| {
        store
            .current()
            .map(|membership| membership.credential.cluster)
    }) {
        return Ok(name);
    }
    let kept = dir
        .read(NAME_FILE)?
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(name) = kept.and_then(|text| ClusterName::new(text).ok()) {
        return Ok(name);
    }
    let name = ClusterName::new(new_id(&*options.environment).to_string());
    let name = name.expect("a UUID is a label: lower-case hexadecimal digits and hyphens");
    dir.write(NAME_FILE, name.as_str().as_bytes())?;
    Ok(name)
}

/// A started agent, inside its task.
struct Running {
    options: AgentOptions,
    registration: Registration,
    kube: Cluster,
    name: ClusterName,
    dir: StateDir,
    metrics: Arc<Metrics>,
    state: watch::Sender<AgentState>,
    stopped: watch::Receiver<bool>,
}

impl Running {
    async fn run(self, listener: Option<TcpListener>) -> Result<(), AgentError> {
        let mut servers = Tasks::new();
        if let Some(listener) = listener {
            let stop = wait_for_stop(self.stopped.clone());
            servers.spawn(
                "listener",
                crate::http::serve(
                    listener,
                    Arc::clone(&self.metrics),
                    self.state.subscribe(),
                    stop,
                ),
            );
        }
        let result = tokio::select! {
            result = self.live() => result,
            end = servers.ended() => match end {
                TaskEnd::Returned(_, Ok(())) => Ok(()),
                TaskEnd::Returned(_, Err(source)) => Err(AgentError::Listener(source)),
                TaskEnd::Panicked(task) => Err(AgentError::Panicked { task }),
            },
        };
        match &result {
            Ok(()) => self.show(AgentState::Stopped),
            Err(error) => {
                let message = crate::cause::chain(error);
                tracing::error!(cluster = %self.name, %message, "the agent cannot go on");
                self.show(AgentState::Failed { message });
            }
        }
        servers.shutdown().await;
        result
    }

    /// Joins where needed and serves, until it is stopped.
    async fn live(&self) -> Result<(), AgentError> {
        let mut stopped = self.stopped.clone();
        loop {
            let membership = match self.registration.store.current() {
                Some(membership) => membership,
                None => {
                    let Some(token) = &self.options.token else {
                        tracing::error!(cluster = %self.name, "not a member, and there is no join token");
                        self.show(AgentState::NotJoined);
                        wait_for_stop(stopped.clone()).await;
                        return Ok(());
                    };
                    let introduction = self.introduction().await;
                    let joining = self.registration.join(token, &introduction, |progress| {
                        self.show(AgentState::Joining(progress));
                    });
                    tokio::select! {
                        joined = joining => joined?,
                        () = wait_for_stop(stopped.clone()) => return Ok(()),
                    }
                }
            };
            match session::run(self, &membership, &mut stopped).await? {
                SessionEnd::Stopped => return Ok(()),
                SessionEnd::Revoked => {
                    tracing::warn!(cluster = %self.name, "the membership has ended; credential and journal are cleared, workloads stay as they are");
                    self.registration.store.clear()?;
                }
                SessionEnd::OtherHub => {
                    tracing::warn!(cluster = %self.name, "the cluster has joined another hub; the journal is cleared, workloads stay as they are");
                }
            }
        }
    }

    async fn introduction(&self) -> Introduction {
        let mut findings = Findings::default();
        findings.look_at_claims(&self.kube).await;
        Introduction {
            claims: findings.claims(),
            ..self.plain_introduction()
        }
    }

    /// Without claims: those of a member are in its reports.
    fn plain_introduction(&self) -> Introduction {
        Introduction {
            cluster: self.name.clone(),
            labels: self.options.labels.clone(),
            annotations: self.options.annotations.clone(),
            claims: Vec::new(),
        }
    }

    fn show(&self, state: AgentState) {
        self.state.send_if_modified(|shown| {
            let changed = *shown != state;
            *shown = state;
            changed
        });
    }
}

/// Done when the agent is to stop, also because nobody holds it any more.
async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    // An error says that the handle was dropped.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
