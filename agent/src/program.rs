//! The program around one agent: settings, logs, signals, exit code.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::{Agent, AgentOptions};
use crate::config::{Arguments, Config, LogFormat};

/// Runs the agent until a signal stops it.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    // One thread: the agent waits most of the time, and threads cost memory.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime
        .context("no runtime can be made")
        .and_then(|runtime| {
            let config = Config::load(arguments, |name| std::env::var(name).ok())?;
            log_to_stderr(config.log_format);
            runtime.block_on(serve(config))
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("skein-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let kube = kube_client(&config)
        .await
        .context("the managed cluster cannot be used")?;
    let mut options = AgentOptions::new(kube, config.state_dir);
    options.token = config.token;
    options.cluster_name = config.cluster_name;
    options.servers = config.servers;
    options.labels = config.labels;
    options.annotations = config.annotations;
    options.listen = config.listen;
    options.times.uplink.heartbeat = config.heartbeat_interval;

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let agent = Agent::start(options).await?;
    let mut state = agent.state();
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            changed = state.changed() => {
                if changed.is_err() {
                    return Ok(agent.ended().await?);
                }
                tracing::info!(cluster = %agent.cluster(), state = %*state.borrow_and_update(), "agent");
            }
        }
    }
    tracing::info!("stopping");
    Ok(agent.stop().await?)
}

async fn kube_client(config: &Config) -> anyhow::Result<kube::Client> {
    let options = KubeConfigOptions {
        context: config.context.clone(),
        ..KubeConfigOptions::default()
    };
    let kube = match (&config.kubeconfig, &config.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("the kubeconfig {} cannot be read", path.display()))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?
        }
        // A context can only be one of the user's kubeconfig.
        (None, Some(_)) => kube::Config::from_kubeconfig(&options).await?,
        (None, None) => kube::Config::infer().await?,
    };
    Ok(kube::Client::try_from(kube)?)
}

fn log_to_stderr(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("SKEIN_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}
