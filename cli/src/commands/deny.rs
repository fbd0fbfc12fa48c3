//! `skein deny`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::command::{Change, Command};

use crate::ask;
use crate::cli::Global;
use crate::error::CliResult;
use crate::output::{note, print};

/// Refuse clusters, or shut out clusters that were let in
///
/// The cluster's credential is revoked and its connection dropped at once. What runs on it goes on
/// running; `skein accept` lets it in again, `skein detach` removes it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  skein deny shop-1")]
pub(crate) struct Arguments {
    /// The clusters
    #[arg(required = true, value_name = "CLUSTER")]
    clusters: Vec<String>,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let clusters = ask::clusters(&self.clusters)?;
        let client = global.connect().await?;
        for cluster in clusters {
            let done = client
                .command(Command::Deny {
                    cluster: cluster.clone(),
                })
                .await?;
            let what = if done.change == Change::Unchanged {
                "was denied before"
            } else {
                "denied"
            };
            print(&format!("managedcluster/{cluster} {what}\n"))?;
            for warning in done.warnings {
                note(&format!("warning: {warning}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
