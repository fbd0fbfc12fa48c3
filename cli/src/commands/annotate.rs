//! `skein annotate`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::Global;
use crate::error::CliResult;
use crate::keyed::{KeyedArguments, Member};

/// Set or remove annotations of objects
///
/// Annotations are notes that nothing selects by.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  skein annotate mcl shop-1 owner=rome")]
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
                    name: "annotations",
                    done: "annotated",
                },
            )
            .await
    }
}
