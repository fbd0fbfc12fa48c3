//! `skein events`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::envelope::Actor;
use skein_schema::name::Workspace;
use skein_schema::query::{Answer, EventFilter, Query};

use crate::cli::Global;
use crate::client::unexpected;
use crate::error::{CliError, CliResult};
use crate::output::{Format, note, print, table::Table, to_value, yaml};
use crate::{app, ask, moment};

/// Show what happened, from the ledger
///
/// Every event tells when, who, what and to which object. The ledger keeps all of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein events --since 1h\n  skein events --kind managedcluster --name shop-1 --follow\n  skein events --actor user:alice --type deleted --since 7d\n  skein events --last 20 -o json"
)]
pub(crate) struct Arguments {
    /// Events about objects of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Events about objects of this name
    #[arg(long)]
    name: Option<String>,
    /// Events caused by this actor: user:NAME, cluster:NAME, token:NAME or hub:NAME
    #[arg(long, value_name = "ACTOR")]
    actor: Option<Actor>,
    /// Events whose type contains this text, e.g. accepted
    #[arg(long = "type", value_name = "TEXT")]
    type_contains: Option<String>,
    /// From then on: a time, how long ago, or a ledger sequence
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Up to then: a time, how long ago, or a ledger sequence
    #[arg(long, value_name = "WHEN", conflicts_with = "follow")]
    until: Option<String>,
    /// At most the last so many [default: 100 without --since, all with it]
    #[arg(long, value_name = "COUNT")]
    last: Option<u32>,
    /// Go on with events as they come
    #[arg(short, long)]
    follow: bool,
    /// table, wide, json (one object a line) or yaml
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Format,
    /// Events about objects of this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<Workspace>,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let now = app::now();
        let at = |text: &Option<String>| {
            text.as_deref()
                .map(|text| moment::parse_at(text, now))
                .transpose()
        };
        let filter = EventFilter {
            kind: self.kind.as_deref().map(ask::kind).transpose()?,
            workspace: self.namespace.clone(),
            name: self.name.as_deref().map(ask::name).transpose()?,
            actor: self.actor.clone(),
            type_contains: self.type_contains.clone(),
            since: at(&self.since)?,
            until: at(&self.until)?,
            last: self.last.or(if self.since.is_some() {
                None
            } else {
                Some(100)
            }),
            follow: self.follow,
            data: matches!(self.output, Format::Json | Format::Yaml),
        };
        print_events(global, filter, &self.output).await
    }
}

/// Asks for events and prints them as they come.
pub(crate) async fn print_events(
    global: &Global,
    filter: EventFilter,
    output: &Format,
) -> CliResult<ExitCode> {
    let client = global.connect().await?;
    let follow = filter.follow;
    let mut answers = client.query(&Query::Events(filter)).await?;
    let mut batch = Vec::new();
    let mut any = false;
    while let Some(answer) = answers.next().await? {
        let event = match answer {
            Answer::Event(event) => event,
            // While following: what was there has been sent, or the hub asks whether we listen.
            Answer::Listed => continue,
            other => return Err(unexpected(&other)),
        };
        match output {
            Format::Json => {
                print(&format!("{}\n", to_value(&event)?))?;
            }
            Format::Yaml => {
                print(&format!("---\n{}", yaml(&to_value(&event)?)?))?;
            }
            Format::Table | Format::Wide => {
                let mut row = vec![
                    event.id.to_string(),
                    event.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    event.actor.to_string(),
                    event.object.clone(),
                    event.summary.clone(),
                ];
                if matches!(output, Format::Wide) {
                    row.push(event.kind.clone());
                    row.push(
                        event
                            .causation_id
                            .map(|id| id.to_string())
                            .unwrap_or_default(),
                    );
                    row.push(
                        event
                            .command_id
                            .map(|id| id.to_string())
                            .unwrap_or_default(),
                    );
                }
                batch.push(row);
            }
            Format::Name | Format::JsonPath(_) => {
                return Err(CliError::argument(
                    "events are printed as table, wide, json or yaml",
                ));
            }
        }
        any = true;
        // While following, a row must not wait for the next one to be lined up with.
        if follow && !batch.is_empty() {
            print(&rows(output, std::mem::take(&mut batch)).render(false))?;
        }
    }
    if !batch.is_empty() {
        print(&rows(output, batch).render(true))?;
    } else if !any {
        note("No events found.");
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(output: &Format, rows: Vec<Vec<String>>) -> Table {
    let mut headings = vec!["EVENT", "TIME", "ACTOR", "OBJECT", "WHAT"];
    if matches!(output, Format::Wide) {
        headings.extend(["TYPE", "BECAUSE", "COMMAND"]);
    }
    let mut table = Table::new(&headings);
    for row in rows {
        table.row(row);
    }
    table
}
