//! `skein up`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use skein_schema::code::Code;
use skein_schema::name::UserName;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};

use crate::cli::Global;
use crate::client::Client;
use crate::commands::doctor;
use crate::context::{Config, Context};
use crate::error::{CliError, CliResult};
use crate::output::{note, print};
use crate::{moment, program};

/// Run a hub on this machine: its bus and the hub, in the foreground
///
/// Everything it needs is made in the data folder at the first start and found there at the next.
/// A context for it becomes the current one. Its bus has no TLS and serves this machine alone;
/// `skein init` sets up one that other machines can reach.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein up\n  skein up --data-dir /var/lib/skein --listen 127.0.0.1:14222"
)]
pub(crate) struct Arguments {
    /// Where the ledger and the keys are kept [default: ~/.local/share/skein]
    #[arg(long, value_name = "FOLDER", env = "SKEIN_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the bus listens, a loopback address; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4222", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the hub serves health and metrics; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9480", value_name = "ADDRESS")]
    http: String,
    /// The name of the context that is made
    #[arg(long, default_value = "local", value_name = "NAME")]
    context_name: String,
    /// How long the start may take
    #[arg(long, default_value = "60s", value_parser = moment::parse_wait, value_name = "DURATION")]
    start_timeout: Duration,
    /// Print the hub's log to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// More options for the hub, after --
    #[arg(last = true, value_name = "OPTION")]
    hub_options: Vec<String>,
}

/// The line that the hub prints when it has started.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Announcement {
    /// It serves; the file says where and for whom.
    Ready { context: PathBuf },
    /// It has stopped deciding, and stays to be asked why.
    Fenced { fenced: String },
}

/// What the hub writes for us when it is ready.
#[derive(Debug, Deserialize)]
struct HubContext {
    servers: Vec<String>,
    user: UserName,
    credentials: PathBuf,
}

/// How the start of a hub went.
enum Started {
    Ready(Context),
    Fenced(String),
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        if !self.listen.ip().is_loopback() {
            let message = format!("--listen {} is not a loopback address", self.listen);
            return Err(CliError::argument(message).with_hint(
                "the bus of `skein up` has no TLS; `skein init` sets up one that other machines can reach",
            ));
        }
        let data_dir = self.data_dir()?;
        let mut hub = program::start("skein-hub", &mut self.hub(&data_dir)?)?;
        let said = hub
            .stdout
            .take()
            .ok_or_else(|| CliError::new(Code::Internal, "the hub's output is not connected"))?;
        // Kept to the end: a hub whose output nobody holds could not print.
        let mut said = BufReader::new(said).lines();
        note(&format!("starting a hub in {}", data_dir.display()));
        // One for the whole run: a signal between two would be lost.
        let mut stop = std::pin::pin!(program::stop_signal());
        let started = tokio::select! {
            status = hub.wait() => {
                let status = status.map_err(|error| CliError::io("wait for skein-hub", &error))?;
                return Err(CliError::new(Code::Unreachable, format!("the hub ended while starting ({status})"))
                    .with_hint("its log above tells why"));
            }
            stopped = &mut stop => {
                stopped?;
                return program::stop("skein-hub", hub).await;
            }
            started = self.started(global, &mut said) => started?,
        };
        let end = match started {
            Started::Ready(context) => {
                print(&format!(
                    "hub ready: {}\ncontext {} is current now; try `skein get managedclusters` and `skein token create`\n",
                    context.servers.join(", "),
                    self.context_name
                ))?;
                None
            }
            Started::Fenced(reason) => {
                let fenced = fenced(&reason);
                fenced.print();
                Some(ExitCode::from(fenced.exit_code()))
            }
        };
        tokio::select! {
            status = hub.wait() => {
                let status = status.map_err(|error| CliError::io("wait for skein-hub", &error))?;
                Err(CliError::new(Code::Unreachable, format!("the hub ended ({status})")).with_hint("its log tells why"))
            }
            stopped = &mut stop => {
                stopped?;
                note("stopping");
                let stopped = program::stop("skein-hub", hub).await?;
                Ok(end.unwrap_or(stopped))
            }
        }
    }

    /// The hub's program and its options.
    fn hub(&self, data_dir: &Path) -> CliResult<Command> {
        let mut command = Command::new(program::find("skein-hub", "SKEIN_HUB_PROGRAM")?);
        command.arg("embedded").arg("--data-dir").arg(data_dir);
        command
            .args(["--listen", &self.listen.to_string(), "--http", &self.http])
            .args(&self.hub_options)
            .stdout(Stdio::piped());
        if let Some(path) = &self.log_file {
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| CliError::io(&format!("open {}", path.display()), &error))?;
            command.stderr(Stdio::from(file));
        }
        Ok(command)
    }

    fn data_dir(&self) -> CliResult<PathBuf> {
        let named = self.data_dir.clone().or_else(|| {
            let home = |name: &str| {
                std::env::var_os(name)
                    .filter(|v| !v.is_empty())
                    .map(PathBuf::from)
            };
            home("XDG_DATA_HOME")
                .or_else(|| home("HOME").map(|home| home.join(".local/share")))
                .map(|base| base.join("skein"))
        });
        let named = named.ok_or_else(|| {
            CliError::argument("cannot tell where to keep data").with_hint("give --data-dir")
        })?;
        std::path::absolute(&named)
            .map_err(|error| CliError::io(&format!("resolve {}", named.display()), &error))
    }

    /// Waits until the hub has said how it is, and if it serves, makes the context and waits until it
    /// answers.
    async fn started(&self, global: &Global, said: &mut Lines) -> CliResult<Started> {
        let wait = async {
            let described = match announcement(said).await? {
                Announcement::Fenced { fenced } => return Ok(Started::Fenced(fenced)),
                Announcement::Ready { context } => context,
            };
            let text = std::fs::read_to_string(&described)
                .map_err(|error| CliError::io(&format!("read {}", described.display()), &error))?;
            let hub: HubContext = serde_json::from_str(&text).map_err(|error| {
                CliError::new(
                    Code::MalformedDocument,
                    format!("{} does not describe a hub", described.display()),
                )
                .because(&error)
            })?;
            let (path, mut config) = global.load()?;
            let context = Context {
                servers: hub.servers,
                user: hub.user,
                credentials: hub.credentials,
                certificate_authority: None,
                workspace: config
                    .contexts
                    .get(&self.context_name)
                    .and_then(|known| known.workspace.clone()),
            };
            self.save(&path, &mut config, &context)?;
            loop {
                match Client::connect(&context, Duration::from_secs(5)).await {
                    Ok(client) if doctor::health(&client).await.is_ok() => {
                        return Ok(Started::Ready(context));
                    }
                    _ => pause().await,
                }
            }
        };
        tokio::time::timeout(self.start_timeout, wait)
            .await
            .unwrap_or_else(|_| {
                let message = format!(
                    "the hub is not ready after {}s",
                    self.start_timeout.as_secs()
                );
                Err(CliError::new(Code::NoHub, message).with_hint("its log above tells why"))
            })
    }

    fn save(&self, path: &Path, config: &mut Config, context: &Context) -> CliResult<()> {
        config
            .contexts
            .insert(self.context_name.clone(), context.clone());
        config.current_context = Some(self.context_name.clone());
        config.save(path)
    }
}

type Lines = tokio::io::Lines<BufReader<ChildStdout>>;

/// The line of the hub's output that says how it is.
async fn announcement(said: &mut Lines) -> CliResult<Announcement> {
    loop {
        let line = said.next_line().await;
        match line.map_err(|error| CliError::io("read what skein-hub says", &error))? {
            Some(line) => {
                if let Ok(announcement) = serde_json::from_str(&line) {
                    return Ok(announcement);
                }
            }
            // It is ending, which is told by whoever waits for its end.
            None => std::future::pending::<()>().await,
        }
    }
}

fn fenced(reason: &str) -> CliError {
    CliError::new(
        Code::Fenced,
        format!("the hub has stopped deciding: {reason}"),
    )
    .with_hint(
        "change nothing yet: docs/runbook.md tells what to do, under \"The hub says it is fenced\"; the hub stays until you stop it, so that its log and /readyz can be read",
    )
}

/// Between two looks at a hub that is starting; the caller has a deadline.
#[expect(
    clippy::disallowed_methods,
    reason = "a program that starts can only be looked at again"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
