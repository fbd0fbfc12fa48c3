//! `skein label`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::Global;
use crate::error::CliResult;
use crate::keyed::{KeyedArguments, Member};

/// Set or remove labels of objects
///
/// Sets of clusters select by labels, and so do people.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein label mcl shop-1 env=prod tier-\n  skein label managedclusters --all region=eu --overwrite"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    keyed: KeyedArguments,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        self.keyed
            .run(
                global,
                Member {
                    name: "labels",
                    done: "labeled",
                },
            )
            .await
    }
}
