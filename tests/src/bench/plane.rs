//! A whole control plane as a program of its own: `skein-hub embedded`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use skein_nats::Connection;
use skein_nats::accounts::Role;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::machine;
use super::raw;
use super::user::User;
use crate::stage::{Failure, Outcome};

/// How long a start may take: a hundred thousand objects are read.
const START: Duration = Duration::from_secs(300);

/// A running control plane.
pub(super) struct Plane {
    child: Child,
    data: PathBuf,
    url: String,
    /// From its start until it said that it serves.
    pub(super) ready_after: Duration,
    /// Kept open, so that nothing it says later ends it.
    _stdout: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Ready {
    url: String,
}

impl Plane {
    /// Starts a control plane in `data` and waits until it serves. `sync` is `always` or
    /// `interval`.
    pub(super) async fn start(data: &Path, sync: &str) -> Outcome<Self> {
        let log = std::fs::File::create(data.with_extension("log"))
            .map_err(|error| Failure::because("open a log", &error))?;
        let begin = Instant::now();
        let mut child = Command::new(machine::programs()?.join("skein-hub"))
            .args(["--log", "warn", "embedded", "--data-dir"])
            .arg(data)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
                "--sync",
                sync,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::because("start skein-hub", &error))?;
        let stdout = child.stdout.take();
        let mut stdout = BufReader::new(stdout.ok_or_else(|| Failure::new("no output"))?);
        let mut line = String::new();
        tokio::time::timeout(START, stdout.read_line(&mut line))
            .await
            .map_err(|_| Failure::new("skein-hub does not become ready"))?
            .map_err(|error| Failure::because("read skein-hub's output", &error))?;
        let ready_after = begin.elapsed();
        let ready: Ready = serde_json::from_str(&line).map_err(|_| {
            let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
            Failure::new(format!("skein-hub did not start: {line}{log}"))
        })?;
        Ok(Self {
            child,
            data: data.to_owned(),
            url: ready.url,
            ready_after,
            _stdout: stdout,
        })
    }

    /// A user with a connection of its own.
    pub(super) async fn user(&self) -> Outcome<User> {
        User::enter(&self.data, &self.url).await
    }

    /// A connection beside the hub's.
    pub(super) async fn beside(&self) -> Outcome<Connection> {
        raw::enter(&self.data, &self.url, Role::Hub, "bench").await
    }

    pub(super) fn hub_pid(&self) -> Outcome<u32> {
        self.child
            .id()
            .ok_or_else(|| Failure::new("skein-hub has ended"))
    }

    /// Resident memory of the hub and of its nats-server, in KiB, when it no longer changes much.
    pub(super) async fn resident(&self) -> Outcome<(f64, f64)> {
        let hub = self.hub_pid()?;
        let begin = Instant::now();
        let mut before = 0.0;
        loop {
            let now = machine::resident(hub)?;
            let steady = (now - before).abs() < now / 200.0;
            if (steady && begin.elapsed() > SETTLE) || begin.elapsed() > raw::PATIENCE {
                let bus = machine::children(hub);
                let bus: f64 = bus
                    .into_iter()
                    .filter_map(|pid| machine::resident(pid).ok())
                    .sum();
                return Ok((now, bus));
            }
            before = now;
            for _ in 0..25 {
                crate::stage::pause().await;
            }
        }
    }

    /// Stops it as an operator does.
    pub(super) async fn stop(mut self) -> Outcome<()> {
        let pid = i32::try_from(self.hub_pid()?).ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // An error means that it has ended already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        tokio::time::timeout(raw::PATIENCE, self.child.wait())
            .await
            .map_err(|_| Failure::new("skein-hub does not stop"))?
            .map_err(|error| Failure::because("wait for skein-hub", &error))?;
        Ok(())
    }
}

/// How long memory is watched at least.
const SETTLE: Duration = Duration::from_secs(3);
