//! The hub as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::wait;

/// The line by which a hub says that it serves.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Ready {
    pub(crate) http: String,
    pub(crate) pid: u32,
    #[serde(default)]
    pub(crate) context: PathBuf,
}

/// A running hub.
pub(crate) struct Process {
    child: Child,
    pub(crate) ready: Ready,
}

impl Process {
    /// Starts the hub with these arguments and waits until it serves.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut child = spawn(arguments);
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = wait::within("the hub serves", lines.next_line())
            .await
            .expect("stdout can be read");
        let line = line.unwrap_or_else(|| panic!("skein-hub {arguments:?} ended before it served"));
        Self {
            child,
            ready: serde_json::from_str(&line).expect("one line of JSON"),
        }
    }

    /// Ends it in order, as a service manager does.
    pub(crate) async fn stop(mut self) {
        signal("-TERM", self.ready.pid).await;
        let status = wait::within("the hub ends", self.child.wait())
            .await
            .expect("it can be waited for");
        assert!(status.success(), "the hub ended with {status}");
    }

    /// Ends it by force.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

/// Starts the hub without waiting for anything.
pub(crate) fn spawn(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_skein-hub"))
        .args(arguments)
        .env(
            "SKEIN_HUB_LOG",
            std::env::var("SKEIN_HUB_LOG").unwrap_or_else(|_| "warn".to_owned()),
        )
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the hub program starts")
}

/// Sends a signal by its name, e.g. `-KILL`.
pub(crate) async fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .await
        .expect("kill(1) is there");
    assert!(status.success(), "kill {name} {pid}: {status}");
}

/// An embedded control plane in a folder that goes with it.
pub(crate) struct Plane {
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = start_in(folder.path()).await;
        Self { process, folder }
    }

    /// Kills the hub, and with it its server, and starts both again.
    pub(crate) async fn kill_and_start(self) -> Self {
        let Self { process, folder } = self;
        process.kill().await;
        let process = start_in(folder.path()).await;
        Self { process, folder }
    }

    /// Stops the hub and starts it again.
    pub(crate) async fn restart(self) -> Self {
        let Self { process, folder } = self;
        process.stop().await;
        let process = start_in(folder.path()).await;
        Self { process, folder }
    }

    /// The process id of its nats-server; none while it is being started.
    pub(crate) fn server_pid(&self) -> Option<u32> {
        let file = self.folder.path().join("nats/run/nats-server.pid");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }
}

async fn start_in(folder: &Path) -> Process {
    let folder = folder.to_str().expect("a path of text");
    Process::start(&[
        "embedded",
        "--data-dir",
        folder,
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ])
    .await
}
