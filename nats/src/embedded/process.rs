//! Starting one server process, seeing it get ready, and ending it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use super::log::{self, LastWords};
use super::{ServerBinary, StartError, Version};
use crate::private_file;
use crate::server_config::ServerConfig;
use crate::task;

/// Runs its arguments, and ends them when its standard input ends: that is, when the process that
/// holds the other end has ended, by whatever means. The system offers this for threads and only
/// through unsafe calls; a shell is everywhere.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null &
server=$!
(cat <&3; kill -TERM "$server") >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$server"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// How long a server may take to end in order, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is looked at that nothing tells about.
const POLL: Duration = Duration::from_millis(20);

/// All that is needed to start a server, each time.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) binary: ServerBinary,
    pub(super) config: ServerConfig,
    pub(super) config_file: PathBuf,
    pub(super) config_text: String,
    pub(super) start_timeout: Duration,
}

/// A server process.
#[derive(Debug)]
pub(super) struct Running {
    guard: Child,
    /// Its end is the server's end.
    pipe: Option<ChildStdin>,
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) last_words: LastWords,
    /// Reads the log until the server has ended.
    reader: Option<JoinHandle<()>>,
}

impl Launch {
    /// Starts the server and waits until it greets clients.
    pub(super) async fn start(&self) -> Result<Running, StartError> {
        private_file::write(&self.config_file, self.config_text.as_bytes())?;
        let _ = fs::remove_file(self.config.pid_file());
        for ports in self.ports_files() {
            let _ = fs::remove_file(ports);
        }
        let spawned = Command::new("/bin/sh")
            .args(["-c", GUARD, "skein-nats-guard"])
            .arg(&self.binary.path)
            .arg("-c")
            .arg(&self.config_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is ours to handle: the server ends after we have.
            .process_group(0)
            .spawn();
        let mut guard = spawned.map_err(|source| StartError::Process {
            action: "start nats-server",
            source,
        })?;
        let last_words = LastWords::default();
        let mut reader = None;
        if let Some(log) = guard.stderr.take() {
            reader = Some(task::spawn(
                "nats-server log",
                log::fold(log, last_words.clone()),
            ));
        }
        let pipe = guard.stdin.take();
        let mut running = Running {
            guard,
            pipe,
            pid: 0,
            port: 0,
            last_words,
            reader,
        };
        match self.wait_until_ready(&mut running).await {
            Ok(()) => Ok(running),
            Err(error) => {
                running.stop().await;
                Err(error)
            }
        }
    }

    async fn wait_until_ready(&self, running: &mut Running) -> Result<(), StartError> {
        let begin = Instant::now();
        loop {
            if let Some(status) = running.guard.try_wait().ok().flatten() {
                let words = running.words_at_the_end().await;
                return Err(StartError::Ended {
                    status: status.to_string(),
                    words,
                });
            }
            if let (Some(pid), Some(port)) = (read_pid(&self.config.pid_file()), self.read_port())
                && self.greets(port).await
            {
                (running.pid, running.port) = (pid, port);
                return Ok(());
            }
            if begin.elapsed() > self.start_timeout {
                return Err(StartError::NotReady {
                    waited: self.start_timeout,
                    words: running.last_words.text(),
                });
            }
            crate::pause::pause(POLL).await;
        }
    }

    fn ports_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.config.run_folder())
            .into_iter()
            .flatten()
            .flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "ports"))
            .collect()
    }

    /// The port of the first client address in the ports file, which the server writes when it
    /// is ready.
    fn read_port(&self) -> Option<u16> {
        #[derive(Deserialize)]
        struct Ports {
            nats: Vec<String>,
        }
        let text = fs::read(self.ports_files().first()?).ok()?;
        let ports: Ports = serde_json::from_slice(&text).ok()?;
        ports.nats.first()?.rsplit_once(':')?.1.parse().ok()
    }

    /// Whether the server of our name greets on the port, with a version that will do.
    async fn greets(&self, port: u16) -> bool {
        #[derive(Deserialize)]
        struct Info {
            server_name: String,
            version: String,
            jetstream: bool,
        }
        let mut host = self.config.listen;
        host.set_port(port);
        let greeting = async {
            let mut line = String::new();
            let stream = TcpStream::connect(host).await.ok()?;
            BufReader::new(stream).read_line(&mut line).await.ok()?;
            serde_json::from_str::<Info>(line.strip_prefix("INFO ")?).ok()
        };
        match tokio::time::timeout(Duration::from_secs(2), greeting).await {
            Ok(Some(info)) => {
                info.server_name == self.config.server_name
                    && info.jetstream
                    && Version::parse(&info.version)
                        .is_some_and(|version| version >= super::MINIMUM_VERSION)
            }
            Ok(None) | Err(_) => false,
        }
    }
}

impl Running {
    /// Waits until the server has ended; says how.
    pub(super) async fn ended(&mut self) -> String {
        match self.guard.wait().await {
            Ok(status) => {
                self.pipe = None;
                status.to_string()
            }
            Err(error) => error.to_string(),
        }
    }

    /// Ends the server: in order, and by force when that takes too long.
    pub(super) async fn stop(&mut self) {
        self.pipe = None;
        if tokio::time::timeout(STOP_PATIENCE, self.guard.wait())
            .await
            .is_ok()
        {
            return;
        }
        tracing::warn!(
            pid = self.pid,
            "nats-server did not end in {STOP_PATIENCE:?}, killing it"
        );
        if let Some(pid) = process_id(self.pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.guard.wait().await;
    }

    /// The last words, once the log has been read to its end.
    async fn words_at_the_end(&mut self) -> String {
        self.pipe = None;
        if let Some(reader) = self.reader.take()
            && tokio::time::timeout(Duration::from_secs(2), reader)
                .await
                .is_err()
        {
            tracing::debug!("the log of nats-server does not end");
        }
        self.last_words.text()
    }
}

/// Ends a server that a former process of ours left behind. Only one that runs with our
/// configuration file: process ids are used again.
pub(super) async fn reclaim(pid_file: &Path, config_file: &Path) {
    let Some(number) = read_pid(pid_file) else {
        return;
    };
    let Some(pid) = process_id(number) else {
        return;
    };
    if !runs_with(number, config_file) {
        return;
    }
    tracing::warn!(pid = number, "ending a nats-server that was left behind");
    let _ = kill_process(pid, Signal::TERM);
    let begin = Instant::now();
    while runs_with(number, config_file) {
        if begin.elapsed() > STOP_PATIENCE {
            let _ = kill_process(pid, Signal::KILL);
            return;
        }
        crate::pause::pause(POLL).await;
    }
}

/// Whether the process runs with this argument. One that has ended has no arguments.
fn runs_with(pid: u32, argument: &Path) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command
        .split(|byte| *byte == 0)
        .any(|word| word == argument.as_os_str().as_encoded_bytes())
}

fn read_pid(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn process_id(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}
