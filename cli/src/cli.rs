//! The root of the command line: options that every command has, and the list of commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use skein_schema::name::Workspace;

use crate::client::Client;
use crate::commands;
use crate::context::{self, Config, Context};
use crate::error::{CliError, CliResult};
use crate::moment;

/// Skein: one ledger for a fleet of Kubernetes clusters.
///
/// Commands go to a hub, which decides, records what happened and tells the clusters. Open Cluster
/// Management's YAML works unchanged.
#[derive(Debug, Parser)]
#[command(
    name = "skein",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command has.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The context to use instead of the current one
    #[arg(
        long,
        global = true,
        env = "SKEIN_CONTEXT",
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub(crate) context: Option<String>,
    /// The configuration file with the contexts [default: ~/.config/skein/config.yaml]
    #[arg(
        long,
        global = true,
        env = "SKEIN_CONFIG",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// How long to wait for the bus, for the hub's decision, and for each part of an answer
    #[arg(long, global = true, default_value = "30s", value_parser = moment::parse_wait, value_name = "DURATION", help_heading = "Global options")]
    pub(crate) request_timeout: Duration,
}

impl Global {
    /// The configuration file's path and content.
    pub(crate) fn load(&self) -> CliResult<(PathBuf, Config)> {
        let path = context::path(self.config.as_deref())?;
        let config = Config::load(&path)?;
        Ok((path, config))
    }

    /// The chosen context.
    pub(crate) fn chosen(&self) -> CliResult<Context> {
        let (_, config) = self.load()?;
        config
            .context(self.context.as_deref())
            .map(|(_, context)| context.clone())
    }

    /// A client of the chosen context's hub.
    pub(crate) async fn connect(&self) -> CliResult<Client> {
        Client::connect(&self.chosen()?, self.request_timeout).await
    }
}

/// Which workspace a command is about.
#[derive(Debug, Args)]
pub(crate) struct InWorkspace {
    /// The workspace (namespace) [default: the context's, else `default`]
    #[arg(
        short = 'n',
        long = "namespace",
        visible_alias = "workspace",
        value_name = "NAMESPACE"
    )]
    pub(crate) namespace: Option<Workspace>,
}

impl InWorkspace {
    /// The workspace that was asked for, the context's, or `default`.
    pub(crate) fn resolve(&self, context: &Context) -> CliResult<Workspace> {
        match self.namespace.clone().or_else(|| context.workspace.clone()) {
            Some(workspace) => Ok(workspace),
            None => self.or_default(),
        }
    }

    /// The workspace that was asked for, or `default`.
    pub(crate) fn or_default(&self) -> CliResult<Workspace> {
        match self.namespace.clone() {
            Some(workspace) => Ok(workspace),
            None => {
                Workspace::new("default").map_err(|error| CliError::argument(error.to_string()))
            }
        }
    }
}

macro_rules! commands {
    ($($(#[$meta:meta])* $variant:ident => $module:ident,)*) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($(#[$meta])* $variant(commands::$module::Arguments),)*
        }

        impl Cli {
            /// Runs the command that was asked for.
            pub(crate) async fn run(self) -> CliResult<ExitCode> {
                match self.command {
                    $(Command::$variant(arguments) => arguments.run(&self.global).await,)*
                }
            }
        }
    };
}

commands! {
    Up => up,
    Init => init,
    Token => token,
    Join => join,
    Accept => accept,
    Deny => deny,
    Detach => detach,
    Get => get,
    Describe => describe,
    Apply => apply,
    Delete => delete,
    Label => label,
    Annotate => annotate,
    Taint => taint,
    Clusterset => clusterset,
    Events => events,
    History => history,
    Replay => replay,
    Diff => diff,
    Explain => explain,
    Context => contexts,
    Completion => completion,
    Doctor => doctor,
    Version => version,
}
