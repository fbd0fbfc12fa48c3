//! `skein accept`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use skein_schema::command::{Change, Command};
use skein_schema::object::ObjectKey;

use crate::cli::Global;
use crate::error::CliResult;
use crate::output::{note, print};
use crate::{ask, moment, wait};

/// Let clusters into the fleet
///
/// A cluster that asked to join is issued its credential and gets its works from then on.
/// Accepting a cluster that is in already changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein accept shop-1 shop-2\n  skein accept shop-1 --wait --timeout 2m"
)]
pub(crate) struct Arguments {
    /// The clusters
    #[arg(required = true, value_name = "CLUSTER")]
    clusters: Vec<String>,
    /// Wait until each cluster is available
    #[arg(long)]
    wait: bool,
    /// How long to wait with --wait
    #[arg(long, default_value = "5m", value_parser = moment::parse_wait, value_name = "DURATION")]
    timeout: Duration,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let clusters = ask::clusters(&self.clusters)?;
        let client = global.connect().await?;
        for cluster in &clusters {
            let done = client
                .command(Command::Accept {
                    cluster: cluster.clone(),
                })
                .await?;
            let what = if done.change == Change::Unchanged {
                "was accepted before"
            } else {
                "accepted"
            };
            print(&format!("managedcluster/{cluster} {what}\n"))?;
        }
        if self.wait {
            for cluster in &clusters {
                note(&format!("waiting for {cluster} to become available"));
                wait::until(
                    &client,
                    &ObjectKey::cluster(cluster),
                    self.timeout,
                    wait::cluster_available,
                )
                .await?;
                print(&format!("managedcluster/{cluster} available\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
