//! `skein up`.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use skein_schema::code::Code;
use skein_schema::name::UserName;
use tokio::process::Command;

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
/// A context for it becomes the current one.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein up\n  skein up --data-dir /var/lib/skein --listen 0.0.0.0:4222"
)]
pub(crate) struct Arguments {
    /// Where the ledger and the keys are kept [default: ~/.local/share/skein]
    #[arg(long, value_name = "FOLDER", env = "SKEIN_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the bus listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4222", value_name = "ADDRESS")]
    listen: String,
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

/// What the hub writes for us when it is ready: `context.json` in its data folder.
#[derive(Debug, Deserialize)]
struct HubContext {
    servers: Vec<String>,
    user: UserName,
    credentials: PathBuf,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let data_dir = self.data_dir()?;
        let described = data_dir.join("context.json");
        // A file of an earlier run would look like readiness.
        match std::fs::remove_file(&described) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliError::io(
                    &format!("remove {}", described.display()),
                    &error,
                ));
            }
            _ => {}
        }
        let mut command = Command::new(program::find("skein-hub", "SKEIN_HUB_PROGRAM")?);
        command.arg("embedded").arg("--data-dir").arg(&data_dir);
        command
            .args(["--listen", &self.listen, "--http", &self.http])
            .args(&self.hub_options);
        if let Some(path) = &self.log_file {
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| CliError::io(&format!("open {}", path.display()), &error))?;
            command.stderr(Stdio::from(file));
        }
        let mut hub = program::start("skein-hub", &mut command)?;
        note(&format!("starting a hub in {}", data_dir.display()));
        let ready = tokio::select! {
            status = hub.wait() => {
                let status = status.map_err(|error| CliError::io("wait for skein-hub", &error))?;
                return Err(CliError::new(Code::Unreachable, format!("the hub ended while starting ({status})"))
                    .with_hint("its log above tells why"));
            }
            stopped = program::stop_signal() => {
                stopped?;
                return program::stop("skein-hub", hub).await;
            }
            ready = self.ready(global, &described) => ready?,
        };
        print(&format!(
            "hub ready: {}\ncontext {} is current now; try `skein get managedclusters` and `skein token create`\n",
            ready.servers.join(", "),
            self.context_name
        ))?;
        tokio::select! {
            status = hub.wait() => {
                let status = status.map_err(|error| CliError::io("wait for skein-hub", &error))?;
                Err(CliError::new(Code::Unreachable, format!("the hub ended ({status})")).with_hint("its log tells why"))
            }
            stopped = program::stop_signal() => {
                stopped?;
                note("stopping");
                program::stop("skein-hub", hub).await
            }
        }
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

    /// Waits until the hub has described itself and answers, and makes the context.
    async fn ready(&self, global: &Global, described: &Path) -> CliResult<Context> {
        let wait = async {
            let hub = loop {
                if let Ok(text) = std::fs::read_to_string(described)
                    && let Ok(hub) = serde_json::from_str::<HubContext>(&text)
                {
                    break hub;
                }
                pause().await;
            };
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
                    Ok(client) if doctor::health(&client).await.is_ok() => return Ok(context),
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

/// Between two looks at a hub that is starting; the caller has a deadline.
#[expect(
    clippy::disallowed_methods,
    reason = "a program that starts can only be looked at again"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
