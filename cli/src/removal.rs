//! Deleting an object, and waiting until its agent has cleaned up.

use std::time::Duration;

use clap::Args;
use skein_schema::command::{Change, Command, Precondition};
use skein_schema::object::ObjectKey;

use crate::client::Client;
use crate::error::CliResult;
use crate::output::{note, print};
use crate::{moment, wait};

/// Options of the commands that delete.
#[derive(Debug, Args)]
pub(crate) struct RemovalOptions {
    /// Do not wait for the agent: forget the object at once, with whatever is still on its cluster
    #[arg(long)]
    pub(crate) force: bool,
    /// Whether to wait until the object is gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, default_value = "5m", value_parser = moment::parse_wait, value_name = "DURATION")]
    pub(crate) timeout: Duration,
}

/// An object that is to go, and what is said about it.
pub(crate) struct Removal {
    pub(crate) key: ObjectKey,
    /// What to call it.
    pub(crate) label: String,
    /// The word when it is gone.
    pub(crate) gone: &'static str,
    /// The word while it is going.
    pub(crate) going: &'static str,
}

impl Removal {
    /// Deletes the object, waits for its agent if asked to, and prints what became of it.
    pub(crate) async fn carry_out(
        &self,
        client: &Client,
        options: &RemovalOptions,
        dry_run: bool,
    ) -> CliResult<()> {
        let Self {
            key,
            label,
            gone,
            going,
        } = self;
        let command = Command::Delete {
            key: key.clone(),
            precondition: Precondition::MustExist,
            force: options.force,
            dry_run,
        };
        let done = client.command(command).await?;
        let word = match done.change {
            _ if dry_run => return print(&format!("{label} {gone} (server dry run)\n")),
            Change::Deleting if options.wait => {
                note(&format!(
                    "{label} {going}: waiting for its agent to clean up"
                ));
                wait::until_gone(client, key, options.timeout).await?;
                gone
            }
            Change::Deleting => going,
            _ => gone,
        };
        print(&format!("{label} {word}\n"))
    }
}
