//! `skein detach`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::object::ObjectKey;

use crate::ask;
use crate::cli::Global;
use crate::error::CliResult;
use crate::removal::{Removal, RemovalOptions};

/// Take clusters out of the fleet
///
/// The agent first removes what its works put on the cluster, as their delete options say; then
/// the cluster's credential is revoked and the cluster forgotten. `--force` does not wait for the
/// agent: use it for clusters that will never come back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  skein detach shop-1\n  skein detach burnt-down --force")]
pub(crate) struct Arguments {
    /// The clusters
    #[arg(required = true, value_name = "CLUSTER")]
    clusters: Vec<String>,
    #[command(flatten)]
    options: RemovalOptions,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let clusters = ask::clusters(&self.clusters)?;
        let client = global.connect().await?;
        for cluster in clusters {
            let removal = Removal {
                key: ObjectKey::cluster(&cluster),
                label: format!("managedcluster/{cluster}"),
                gone: "detached",
                going: "detaching",
            };
            removal.carry_out(&client, &self.options, false).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
