//! `skein join`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use skein_schema::name::ClusterName;
use tokio::process::Command;

use crate::cli::Global;
use crate::error::CliResult;
use crate::program;

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
        let mut command = Command::new(program::find("skein-agent", "SKEIN_AGENT_PROGRAM")?);
        command
            .arg("--cluster-name")
            .arg(self.cluster_name.as_str());
        let mut option = |name: &str, value: Option<&std::ffi::OsStr>| {
            if let Some(value) = value {
                command.arg(name).arg(value);
            }
        };
        option(
            "--token-file",
            self.token_file.as_deref().map(AsRef::as_ref),
        );
        option("--state-dir", self.state_dir.as_deref().map(AsRef::as_ref));
        option(
            "--kubeconfig",
            self.kubeconfig.as_deref().map(AsRef::as_ref),
        );
        option("--context", self.kube_context.as_deref().map(AsRef::as_ref));
        for label in &self.labels {
            command.arg("--label").arg(label);
        }
        command.args(&self.agent_options);
        program::run_with_input("skein-agent", command).await
    }
}
