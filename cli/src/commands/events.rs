//! `skein events`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::envelope::{Actor, ActorError};
use skein_schema::name::Workspace;
use skein_schema::query::{Answer, EventFilter, EventView, Query};

use crate::cli::Global;
use crate::client::{Answers, Client, unexpected};
use crate::error::{CliError, CliResult};
use crate::follow::{Followed, Patience};
use crate::output::{Format, note, print, table::Table, to_value, yaml};
use crate::{app, ask, moment};

/// Show what happened, from the ledger
///
/// Every event tells when, who, what and to which object. The ledger keeps all of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein events --since 1h\n  skein events --kind managedcluster --name shop-1 --follow\n  skein events --actor alice --type deleted --since 7d\n  skein events --last 20 -o json"
)]
pub(crate) struct Arguments {
    /// Events about objects of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Events about objects of this name
    #[arg(long)]
    name: Option<String>,
    /// Events caused by this actor: user:NAME or only NAME, cluster:NAME, token:NAME or hub:NAME
    #[arg(long, value_parser = parse_actor, value_name = "ACTOR")]
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

/// Reads `KIND:NAME`, or the name of a user: people look for people.
fn parse_actor(text: &str) -> Result<Actor, String> {
    let actor = if text.contains(':') {
        text.parse()
    } else {
        format!("user:{text}").parse()
    };
    actor.map_err(|error: ActorError| match error {
        ActorError::Name(name) => format!("the name {name}"),
        ActorError::Prefix => error.to_string(),
    })
}

/// Events as they come, with or without an end.
enum Stream<'a> {
    Once(Answers),
    Followed(Box<Followed<'a, Client>>),
}

impl Stream<'_> {
    async fn next(&mut self) -> CliResult<Option<EventView>> {
        match self {
            Self::Followed(events) => events.next().await,
            Self::Once(answers) => match answers.next().await? {
                Some(Answer::Event(event)) => Ok(Some(*event)),
                Some(other) => Err(unexpected(&other)),
                None => Ok(None),
            },
        }
    }
}

/// Asks for events and prints them as they come.
pub(crate) async fn print_events(
    global: &Global,
    filter: EventFilter,
    output: &Format,
) -> CliResult<ExitCode> {
    if matches!(output, Format::Name | Format::JsonPath(_)) {
        return Err(CliError::argument(
            "events are printed as table, wide, json or yaml",
        ));
    }
    let client = global.connect().await?;
    let follow = filter.follow;
    let mut events = if follow {
        let followed = Followed::begin(&client, filter, Patience::ONLOOKER).await?;
        Stream::Followed(Box::new(followed))
    } else {
        Stream::Once(client.query(&Query::Events(filter)).await?)
    };
    let mut batch = Vec::new();
    let mut any = false;
    while let Some(event) = events.next().await? {
        any = true;
        match output {
            Format::Json => print(&format!("{}\n", to_value(&event)?))?,
            Format::Yaml => print(&format!("---\n{}", yaml(&to_value(&event)?)?))?,
            _ => batch.push(cells(&event, output)),
        }
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

fn cells(event: &EventView, output: &Format) -> Vec<String> {
    let mut row = vec![
        event.id.to_string(),
        moment::utc(event.time),
        event.actor.to_string(),
        event.object.clone(),
        event.summary.clone(),
    ];
    if matches!(output, Format::Wide) {
        let or_nothing = |id: Option<String>| id.unwrap_or_default();
        row.push(event.kind.clone());
        row.push(or_nothing(event.causation_id.map(|id| id.to_string())));
        row.push(or_nothing(event.command_id.map(|id| id.to_string())));
    }
    row
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_a_user_unless_it_says_otherwise() {
        let read = |text: &str| parse_actor(text).map(|actor| actor.to_string());
        assert_eq!(read("alice"), Ok("user:alice".into()));
        for whole in ["user:alice", "cluster:shop-1", "token:t", "hub:hub-0"] {
            assert_eq!(read(whole), Ok(whole.into()));
        }
        assert!(read("robot:x").unwrap_err().contains("must start with"));
        assert!(read("Alice").unwrap_err().contains("lower-case"));
        assert!(read("").unwrap_err().contains("must not be empty"));
    }
}
