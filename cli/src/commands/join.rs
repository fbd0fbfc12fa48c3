//! `skein join`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use skein_nats::join_token;
use skein_schema::join::JoinToken;
use skein_schema::name::ClusterName;
use tokio::process::Command;

use crate::cli::Global;
use crate::error::{CliError, CliResult};
use crate::{app, program};

/// Variable that may hold the token itself.
const TOKEN_VARIABLE: &str = "SKEIN_TOKEN";

/// Join a cluster to a fleet: run its agent here
///
/// Starts the agent with the token and stays in the foreground, like the agent itself. The token is
/// read from a file, from standard input or from SKEIN_TOKEN; never give it as an argument, where
/// others on the machine can see it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein join --token-file token --cluster-name shop-1 --context shop-1-admin\n  skein token create | skein join --token-file - --cluster-name shop-1"
)]
pub(crate) struct Arguments {
    /// The file with the join token, - for standard input [default: SKEIN_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The name the cluster wants
    #[arg(long, value_name = "CLUSTER")]
    cluster_name: ClusterName,
    /// Where the agent keeps its keys and what it was told
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// The kubeconfig of the cluster [default: KUBECONFIG, ~/.kube/config, or the pod's own]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context
    #[arg(long, value_name = "NAME")]
    kube_context: Option<String>,
    /// Labels the cluster wants
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// More options for the agent, after --
    #[arg(last = true, value_name = "OPTION")]
    agent_options: Vec<String>,
}

impl Arguments {
    pub(crate) async fn run(self, _: &Global) -> CliResult<ExitCode> {
        let token = self.token()?;
        self.check(token.as_deref())?;
        let mut command = Command::new(program::find("skein-agent", "SKEIN_AGENT_PROGRAM")?);
        command
            .arg("--cluster-name")
            .arg(self.cluster_name.as_str());
        let mut option = |name: &str, value: Option<&std::ffi::OsStr>| {
            if let Some(value) = value {
                command.arg(name).arg(value);
            }
        };
        // Standard input has been read: the agent gets what was there by the variable.
        let file = self.token_file.as_deref().filter(|_| !self.is_piped());
        option("--token-file", file.map(AsRef::as_ref));
        option("--state-dir", self.state_dir.as_deref().map(AsRef::as_ref));
        option(
            "--kubeconfig",
            self.kubeconfig.as_deref().map(AsRef::as_ref),
        );
        option("--context", self.kube_context.as_deref().map(AsRef::as_ref));
        for label in &self.labels {
            command.arg("--label").arg(label);
        }
        if let Some(token) = token.filter(|_| self.is_piped()) {
            command.env(TOKEN_VARIABLE, token);
        }
        command.args(&self.agent_options);
        program::run_with_input("skein-agent", command).await
    }

    fn is_piped(&self) -> bool {
        self.token_file.as_deref() == Some(Path::new("-"))
    }

    /// The token's text, where it can be had. Only a regular file can be read twice, here and by the
    /// agent; one that cannot be read is the agent's to report.
    fn token(&self) -> CliResult<Option<String>> {
        match self.token_file.as_deref() {
            Some(_) if self.is_piped() => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| CliError::io("read the token", &error))?;
                Ok(Some(text))
            }
            Some(path) if path.is_file() => Ok(std::fs::read_to_string(path).ok()),
            Some(_) => Ok(None),
            None => Ok(std::env::var(TOKEN_VARIABLE).ok()),
        }
    }

    /// A token that has ended lets nobody in. The agent of a member starts all the same: it needs
    /// the token no more.
    fn check(&self, token: Option<&str>) -> CliResult<()> {
        let kept = std::env::var_os("SKEIN_AGENT_STATE_DIR").map(PathBuf::from);
        let folder = self.state_dir.clone().or(kept);
        let folder = folder.unwrap_or_else(|| PathBuf::from("/var/lib/skein-agent"));
        // Options for the agent itself may say where it keeps its credential.
        if !self.agent_options.is_empty() || folder.join("credential.json").exists() {
            return Ok(());
        }
        let token = token.and_then(|text| JoinToken::decode(text).ok());
        match token.and_then(|token| join_token::expired(&token, app::now())) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }
}
