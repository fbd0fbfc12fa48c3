//! The composition root: the only place that reads the clock, makes ids, and puts the parts
//! together.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use jiff::Timestamp;
use skein_nats::accounts::Role;
use skein_nats::connect::{Credentials, Settings, Tls, connect};
use skein_nats::operator::OperatorStore;
use skein_nats::topology::{self, TopologyError};
use skein_schema::code::Code;
use skein_schema::name::HubName;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::{self, Arguments, Config, EmbeddedArguments, LogFormat, Mode};
use crate::driver::record::DecodeError;
use crate::embedded;
use crate::state::{Standing, State};
use crate::task::Tasks;

mod parts;

use parts::{Bus, Parts, Place};

/// How long a bus that was just started is waited for.
const STREAMS_PATIENCE: Duration = Duration::from_secs(120);

/// Parses `arguments`, runs the hub, prints what went wrong, and answers the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap prints help and version to stdout, mistakes to stderr.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return if error.print().is_ok() {
                ExitCode::from(code)
            } else {
                ExitCode::FAILURE
            };
        }
    };
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = code_of(&error).map_or_else(String::new, |code| format!(" ({code})"));
            tracing::error!("{error:#}{code}");
            eprintln!("skein-hub: {error:#}{code}");
            ExitCode::FAILURE
        }
    }
}

/// The code of what went wrong, where it has a page in `docs/errors/` that says what to do.
fn code_of(error: &anyhow::Error) -> Option<Code> {
    error.chain().find_map(|cause| {
        if let Some(TopologyError::Differs { .. }) = cause.downcast_ref() {
            return Some(Code::TopologyDiffers);
        }
        cause.is::<DecodeError>().then_some(Code::Undecodable)
    })
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    log(&arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match (arguments.mode, arguments.config) {
            (Some(Mode::Embedded(arguments)), _) => run_embedded(&arguments).await,
            (None, Some(path)) => run_external(&Config::load(&path)?).await,
            (None, None) => {
                anyhow::bail!(
                    "say --config FILE for a hub on an external bus, or embedded --data-dir DIR"
                )
            }
        }
    })
}

fn log(arguments: &Arguments) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log)
        .with_context(|| format!("--log {:?} is not a filter", arguments.log))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "the composition root owns the clock"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::disallowed_methods, reason = "the composition root makes ids")]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}

async fn run_embedded(arguments: &EmbeddedArguments) -> anyhow::Result<()> {
    let folders = embedded::Folders::create(&arguments.data_dir)
        .with_context(|| format!("cannot use {}", arguments.data_dir.display()))?;
    let name = HubName::new("hub-0")?;
    let bus = embedded::start(arguments, &folders, &name, now()).await?;
    let url = bus.server.url().to_owned();
    let credentials = embedded::administrator(&folders, &bus.operator, now())?;
    let place = Place {
        name,
        keys: folders.keys.clone(),
        data: folders.hub.clone(),
        http: arguments.http,
        // Nobody else wants to lead; after a crash the lease need not be waited for long.
        lead: config::Lead { lease_seconds: 3 },
        snapshots: config::Snapshots::default(),
        alone: true,
    };
    let entered = Bus {
        hub: bus.hub,
        system: bus.system,
        operator: bus.operator,
        replicas: 1,
    };
    let ready = |http: SocketAddr| {
        let context = embedded::write_context(&folders, credentials, &url)?;
        Ok(
            serde_json::json!({"ready": true, "url": url, "http": format!("http://{http}"), "context": context,
            "pid": std::process::id()}),
        )
    };
    let outcome = run_hub(entered, place, ready).await;
    bus.server.stop().await;
    outcome
}

async fn run_external(config: &Config) -> anyhow::Result<()> {
    let operator = OperatorStore::open(&config.keys.join("operator"))?
        .keys()
        .clone();
    let authority = match &config.bus.certificate_authority {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        ),
        None => None,
    };
    let enter = async |role: Role, credentials: &Path| {
        let mut settings = Settings::new(
            config.bus.servers.clone(),
            format!("skein-hub {} {}", config.name, role.name()),
            Credentials::File(credentials.to_owned()),
            role.inbox_prefix(config.name.as_str()),
        );
        settings.tls = authority.clone().map(|authority| Tls {
            authority: Some(authority),
            client: None,
        });
        anyhow::Ok(connect(&settings).await?)
    };
    let system = enter(Role::System, &config.bus.system_credentials).await?;
    let hub = enter(Role::Hub, &config.bus.credentials).await?;
    crate::private_file::create_folder(&config.data_dir)?;
    crate::private_file::create_folder(&config.keys)?;
    let place = Place {
        name: config.name.clone(),
        keys: config.keys.clone(),
        data: config.data_dir.clone(),
        http: config.http,
        lead: config.lead,
        snapshots: config.snapshots,
        alone: false,
    };
    let bus = Bus {
        hub,
        system,
        operator,
        replicas: config.bus.replicas,
    };
    let ready = |http: SocketAddr| {
        Ok(
            serde_json::json!({"ready": true, "url": config.bus.servers, "http": format!("http://{http}"),
            "pid": std::process::id()}),
        )
    };
    run_hub(bus, place, ready).await
}

/// Puts the parts together and runs them until a signal comes.
async fn run_hub(
    bus: Bus,
    place: Place,
    ready: impl FnOnce(SocketAddr) -> anyhow::Result<serde_json::Value>,
) -> anyhow::Result<()> {
    let made = ensure_streams(&bus).await?;
    if !made.is_empty() {
        tracing::info!(streams = made.join(", "), "streams made");
    }
    let listener = TcpListener::bind(place.http)
        .await
        .with_context(|| format!("cannot listen on {}", place.http))?;
    let http = listener.local_addr()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut tasks = Tasks::default();
    let connections = [bus.hub.clone(), bus.system.clone()];
    let alone = place.alone;
    let parts = Parts::open(bus, place, tasks.stop()).await?;
    let state = Arc::clone(&parts.state);
    let pushed = parts.start(&mut tasks, listener).await?;
    let mut announced = Ok(());
    let until = async {
        let serving = async {
            announced = announce(&state, pushed, alone, || ready(http)).await;
            if announced.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = serving => {}
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = tokio::signal::ctrl_c() => tracing::info!("interrupted"),
        }
    };
    let outcome = tasks.run(until).await;
    for connection in connections {
        connection.close().await;
    }
    announced?;
    Ok(outcome?)
}

/// Makes what streams are missing. A bus of several servers that was just started has no leader for
/// its streams yet: it is given time to choose one.
#[expect(clippy::disallowed_methods, reason = "a back-off with a deadline")]
async fn ensure_streams(bus: &Bus) -> Result<Vec<String>, TopologyError> {
    let deadline = tokio::time::Instant::now() + STREAMS_PATIENCE;
    loop {
        match topology::ensure(&bus.hub, bus.replicas).await {
            Err(error @ TopologyError::JetStream { .. })
                if tokio::time::Instant::now() < deadline =>
            {
                tracing::warn!(%error, "the bus cannot keep streams yet, trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}

/// Says on stdout, in one line of JSON, that the hub serves: it has read the ledger, and where it
/// leads (a hub that is `alone` always does), users and agents can enter. A hub that has fenced
/// itself says that instead.
async fn announce(
    state: &State,
    mut pushed: watch::Receiver<bool>,
    alone: bool,
    line: impl FnOnce() -> anyhow::Result<serde_json::Value>,
) -> anyhow::Result<()> {
    let is_settled = |standing: &Standing| match standing {
        Standing::CatchingUp => false,
        Standing::Following => !alone,
        Standing::Leading | Standing::Fenced(_) => true,
    };
    let mut standing = state.standing();
    let settled = match standing.wait_for(is_settled).await {
        Ok(standing) => standing.clone(),
        Err(_) => return Ok(()),
    };
    match settled {
        Standing::Fenced(reason) => {
            println!("{}", serde_json::json!({"ready": false, "fenced": reason}));
        }
        Standing::Leading if pushed.wait_for(|pushed| *pushed).await.is_err() => {}
        Standing::Leading | Standing::Following | Standing::CatchingUp => println!("{}", line()?),
    }
    Ok(())
}
