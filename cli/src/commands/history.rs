//! `skein history`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::query::EventFilter;

use super::events::print_events;
use crate::ask;
use crate::cli::{Global, InWorkspace};
use crate::error::{CliError, CliResult};
use crate::output::Format;

/// Show everything that ever happened to one object
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein history mcl shop-1\n  skein history work web -n shop-1 -o yaml"
)]
pub(crate) struct Arguments {
    /// KIND NAME, or KIND/NAME
    #[arg(value_name = "OBJECT", required = true, num_args = 1..=2)]
    object: Vec<String>,
    /// At most the last so many events
    #[arg(long, value_name = "COUNT")]
    last: Option<u32>,
    /// Go on with events as they come
    #[arg(short, long)]
    follow: bool,
    /// table, wide, json (one object a line) or yaml
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    workspace: InWorkspace,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let workspace = self.workspace.resolve(&global.chosen()?)?;
        let [key] = &ask::keys(&self.object, &workspace)?[..] else {
            return Err(CliError::argument(
                "name one object: KIND NAME or KIND/NAME",
            ));
        };
        let filter = EventFilter {
            kind: Some(key.kind),
            workspace: key.workspace.clone(),
            name: Some(key.name.clone()),
            last: self.last,
            follow: self.follow,
            data: matches!(self.output, Format::Json | Format::Yaml),
            ..EventFilter::default()
        };
        print_events(global, filter, &self.output).await
    }
}
