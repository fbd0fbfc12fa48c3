//! A `nats-server` as a supervised child: one machine's bus without anything to install
//! or to look after.
//!
//! * It listens where it did the last time, so clients find it again.
//! * When it ends by itself it is started again, after a wait that grows.
//! * Its log is part of ours.
//! * It ends when we do, however we end: a small shell waits for the end of our pipe
//!   and then stops it. Should even that be killed, the next start finds the process
//!   by its id and stops it first.
//! * What it stores is never deleted.

mod binary;
mod log;
mod process;
mod supervise;

pub use binary::{BinaryError, MINIMUM_VERSION, ServerBinary, Version, find_binary};

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::operator::OperatorKeys;
use crate::private_file::{self, FileError};
use crate::server_config::{ServerConfig, ServerTls, Sync};
use crate::task;

/// How to run a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder for all it keeps; made when missing.
    pub state: PathBuf,
    /// Where clients connect. With port 0 the system chooses once, and the choice is kept in
    /// the folder.
    pub listen: SocketAddr,
    /// The program; looked for when absent, see [`find_binary`].
    pub binary: Option<PathBuf>,
    /// The keys of the bus.
    pub keys: OperatorKeys,
    /// The time now, which the server's own token is dated with.
    pub now: Timestamp,
    /// When acknowledged messages are on disk.
    pub sync: Sync,
    /// TLS for clients.
    pub tls: Option<ServerTls>,
    /// How long a start may take, including the recovery of its streams. Default 60 s.
    pub start_timeout: Duration,
}

impl Options {
    /// A server on a loopback port of the system's choice.
    #[must_use]
    pub fn new(state: impl Into<PathBuf>, keys: OperatorKeys, now: Timestamp) -> Self {
        Self {
            state: state.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            binary: None,
            keys,
            now,
            sync: Sync::Always,
            tls: None,
            start_timeout: Duration::from_secs(60),
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no usable program.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// Its folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another one of us runs on the same folder.
    #[error("{} is in use by another process", state.display())]
    InUse {
        /// The folder.
        state: PathBuf,
    },
    /// A process could not be started or looked at.
    #[error("cannot {action}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It ended at once.
    #[error("nats-server ended at once ({status}); its last words: {words}")]
    Ended {
        /// Its exit status.
        status: String,
        /// The end of its log.
        words: String,
    },
    /// It did not get ready in time.
    #[error("nats-server was not ready after {waited:?}; its last words: {words}")]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// The end of its log.
        words: String,
    },
}

/// What the server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Clients can connect.
    Ready {
        /// Its process id.
        pid: u32,
    },
    /// It ended by itself and is being started again.
    Restarting {
        /// How often that was tried since it last ran for a while.
        attempt: u32,
        /// How it ended, or why it did not start.
        reason: String,
    },
    /// It was stopped.
    Stopped,
}

/// A running server. Dropping it stops it, too, without waiting.
#[derive(Debug)]
pub struct EmbeddedServer {
    url: String,
    state: watch::Receiver<ServerState>,
    stop: mpsc::Sender<()>,
    supervisor: JoinHandle<()>,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl EmbeddedServer {
    /// Starts a server and waits until clients can connect.
    ///
    /// # Errors
    /// [`StartError`], with the end of the server's log where it helps.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let binary = find_binary(options.binary.as_deref())?;
        private_file::create_folder(&options.state)?;
        let lock = lock(&options)?;
        let mut config = ServerConfig::single("skein", options.listen, &options.state);
        config.sync = options.sync;
        config.tls.clone_from(&options.tls);
        private_file::create_folder(&config.run_folder())?;
        let remembered = options.state.join("port");
        if options.listen.port() == 0
            && let Ok(text) = private_file::read(&remembered)
            && let Ok(port) = text.trim().parse()
        {
            config.listen.set_port(port);
        }
        let launch = process::Launch {
            binary,
            config_file: options.state.join("nats-server.conf"),
            config_text: config.render(&options.keys, options.now),
            config: config.clone(),
            start_timeout: options.start_timeout,
        };
        process::reclaim(&config.pid_file(), &launch.config_file).await;
        let mut running = launch.start().await?;
        if config.listen.port() == 0 {
            config.listen.set_port(running.port);
            private_file::write(&remembered, running.port.to_string().as_bytes())?;
        }
        // Started again, it shall listen on the same port.
        let launch = process::Launch {
            config_text: config.render(&options.keys, options.now),
            config: config.clone(),
            ..launch
        };
        let (announce, state) = watch::channel(ServerState::Ready { pid: running.pid });
        let (stop, stopped) = mpsc::channel(1);
        let supervisor = task::spawn("nats-server supervisor", async move {
            supervise::run(&launch, &mut running, &announce, stopped).await;
        });
        let scheme = if options.tls.is_some() { "tls" } else { "nats" };
        Ok(Self {
            url: format!("{scheme}://{}", config.listen),
            state,
            stop,
            supervisor,
            _lock: lock,
        })
    }

    /// Where clients connect. It stays the same as long as the folder does.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the server is doing, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.state.clone()
    }

    /// The server's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match *self.state.borrow() {
            ServerState::Ready { pid } => Some(pid),
            ServerState::Restarting { .. } | ServerState::Stopped => None,
        }
    }

    /// Stops the server and waits until it has ended: in order if it can, by force after 20 s.
    pub async fn stop(self) {
        let _ = self.stop.send(()).await;
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the server's supervisor failed");
        }
    }
}

fn lock(options: &Options) -> Result<File, StartError> {
    let path = options.state.join("lock");
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = open.map_err(|source| FileError::Io {
        action: "open",
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse {
            state: options.state.clone(),
        }),
        Err(TryLockError::Error(source)) => Err(FileError::Io {
            action: "lock",
            path,
            source,
        }
        .into()),
    }
}
