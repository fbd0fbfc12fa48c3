//! `skein context`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use skein_schema::name::{UserName, Workspace};

use crate::cli::Global;
use crate::context::{Config, Context};
use crate::error::{CliError, CliResult};
use crate::output::{note, print, table::Table, to_value, yaml};

/// Choose which hub commands go to
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein context list\n  skein context use production\n  skein context set production --server tls://hub.example.com:4222 --user alice --credentials alice.creds --use"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// List the contexts; * marks the current one
    #[command(visible_alias = "ls")]
    List,
    /// Print the current context's name
    Current,
    /// Print a context as YAML (credentials are named, never printed)
    Show {
        /// Its name [default: the current one]
        name: Option<String>,
    },
    /// Make a context the current one
    Use {
        /// Its name
        name: String,
    },
    /// Make a context, or change what is given
    Set {
        /// Its name
        name: String,
        /// Where the bus is; several for a cluster
        #[arg(long = "server", value_name = "URL")]
        servers: Vec<String>,
        /// Who you are there
        #[arg(long)]
        user: Option<UserName>,
        /// The file with your credentials
        #[arg(long, value_name = "FILE")]
        credentials: Option<PathBuf>,
        /// PEM file of the authority that signed the servers' certificates
        #[arg(long, value_name = "FILE")]
        certificate_authority: Option<PathBuf>,
        /// The namespace that commands use when -n is not given
        #[arg(long, value_name = "NAMESPACE")]
        namespace: Option<Workspace>,
        /// Make it the current context
        #[arg(long = "use")]
        make_current: bool,
    },
    /// Remove a context (its credentials file stays)
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name
        name: String,
    },
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let (path, mut config) = global.load()?;
        match self.command {
            ContextCommand::List => list(&config)?,
            ContextCommand::Current => print(&format!(
                "{}\n",
                config.context(global.context.as_deref())?.0
            ))?,
            ContextCommand::Show { name } => {
                let (_, context) = config.context(name.as_deref().or(global.context.as_deref()))?;
                print(&yaml(&to_value(context)?)?)?;
            }
            ContextCommand::Use { name } => {
                config.context(Some(&name))?;
                config.current_context = Some(name.clone());
                config.save(&path)?;
                print(&format!("context {name} is current now\n"))?;
            }
            ContextCommand::Set {
                name,
                servers,
                user,
                credentials,
                certificate_authority,
                namespace,
                make_current,
            } => {
                let given = Given {
                    servers,
                    user,
                    credentials,
                    certificate_authority,
                    namespace,
                };
                let context = given.over(config.contexts.get(&name))?;
                config.contexts.insert(name.clone(), context);
                if make_current || config.current_context.is_none() {
                    config.current_context = Some(name.clone());
                }
                config.save(&path)?;
                print(&format!("context {name} set\n"))?;
            }
            ContextCommand::Delete { name } => {
                config.context(Some(&name))?;
                config.contexts.remove(&name);
                if config.current_context.as_deref() == Some(&*name) {
                    config.current_context = None;
                    note(
                        "it was the current context; choose another with `skein context use NAME`",
                    );
                }
                config.save(&path)?;
                print(&format!("context {name} deleted\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(config: &Config) -> CliResult<()> {
    if config.contexts.is_empty() {
        note("There is no context yet: `skein up` makes one, `skein context set` adds others.");
        return Ok(());
    }
    let mut table = Table::new(&["CURRENT", "NAME", "USER", "SERVERS", "NAMESPACE"]);
    for (name, context) in &config.contexts {
        let current = if config.current_context.as_ref() == Some(name) {
            "*"
        } else {
            " "
        };
        table.row(vec![
            current.to_owned(),
            name.clone(),
            context.user.to_string(),
            context.servers.join(","),
            context
                .workspace
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ]);
    }
    print(&table.render(true))
}

struct Given {
    servers: Vec<String>,
    user: Option<UserName>,
    credentials: Option<PathBuf>,
    certificate_authority: Option<PathBuf>,
    namespace: Option<Workspace>,
}

impl Given {
    /// What was given, completed by what is known.
    fn over(self, known: Option<&Context>) -> CliResult<Context> {
        let missing = |flag: &str| CliError::argument(format!("a new context needs {flag}"));
        let servers = if self.servers.is_empty() {
            known
                .map(|c| c.servers.clone())
                .ok_or_else(|| missing("--server"))?
        } else {
            self.servers
        };
        Ok(Context {
            servers,
            user: self
                .user
                .or_else(|| known.map(|c| c.user.clone()))
                .ok_or_else(|| missing("--user"))?,
            credentials: self
                .credentials
                .map(|path| absolute(&path))
                .transpose()?
                .or_else(|| known.map(|c| c.credentials.clone()))
                .ok_or_else(|| missing("--credentials"))?,
            certificate_authority: self
                .certificate_authority
                .map(|path| absolute(&path))
                .transpose()?
                .or_else(|| known.and_then(|c| c.certificate_authority.clone())),
            workspace: self
                .namespace
                .or_else(|| known.and_then(|c| c.workspace.clone())),
        })
    }
}

/// A context must mean the same from every folder.
fn absolute(path: &Path) -> CliResult<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| CliError::io(&format!("resolve {}", path.display()), &error))
}
