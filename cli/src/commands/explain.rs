//! `skein explain`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use skein_schema::code::Code;
use skein_schema::event::PlacementDecided;
use skein_schema::event::placement::Reason;
use skein_schema::name::{ClusterName, ObjectName, Workspace};
use skein_schema::query::{Answer, EventFilter, EventView, Query};
use skein_schema::resource::KindName;

use crate::cli::{Global, InWorkspace};
use crate::client::unexpected;
use crate::error::{CliError, CliResult};
use crate::output::{Format, pretty_json, print, table::Table, to_value, yaml};
use crate::{app, moment};

/// Show why the hub decided as it did
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show which clusters a placement has chosen, which not, and why
    ///
    /// The decision is read from the ledger, where it stands with its reasons: also one of the
    /// past.
    #[command(
        after_help = "Examples:\n  skein explain placement web -n shop\n  skein explain placement web -n shop --cluster shop-7\n  skein explain placement web -n shop --at 2026-11-17T14:05:00Z -o json"
    )]
    Placement(Placement),
}

#[derive(Debug, Args)]
struct Placement {
    /// The placement's name
    name: ObjectName,
    /// Only this cluster, with all its scores
    #[arg(long)]
    cluster: Option<ClusterName>,
    /// As it was decided then: a time, how long ago, or a ledger sequence
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// table, json or yaml (the whole event)
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    workspace: InWorkspace,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        match self.what {
            What::Placement(placement) => placement.run(global).await,
        }
    }
}

impl Placement {
    async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let workspace = self.workspace.resolve(&global.chosen()?)?;
        let until = self.at.as_deref();
        let until = until.map(|text| moment::parse_at(text, app::now()));
        let filter = EventFilter {
            kind: Some(KindName::Placement),
            workspace: Some(workspace.clone()),
            name: Some(self.name.clone()),
            type_contains: Some("placement.decided".to_owned()),
            until: until.transpose()?,
            last: Some(1),
            data: true,
            ..EventFilter::default()
        };
        let client = global.connect().await?;
        let mut answers = client.query(&Query::Events(filter)).await?;
        let event = match answers.next().await? {
            Some(Answer::Event(event)) => event,
            Some(other) => return Err(unexpected(&other)),
            None => {
                let message = format!(
                    "placement {:?} in namespace {workspace} has decided nothing",
                    self.name.as_str()
                );
                return Err(CliError::new(Code::NotFound, message).with_hint(
                    "`skein get placements -A` lists what is there; --at may be before its first decision",
                ));
            }
        };
        match &self.output {
            Format::Json => print(&format!("{}\n", pretty_json(&to_value(&event)?)?))?,
            Format::Yaml => print(&yaml(&to_value(&event)?)?)?,
            Format::Table | Format::Wide => print(&self.text(&event)?)?,
            Format::Name | Format::JsonPath(_) => {
                return Err(CliError::argument(
                    "an explanation is printed as table, json or yaml",
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self, event: &EventView) -> CliResult<String> {
        let data = event.data.clone().unwrap_or_default();
        let decided: PlacementDecided = serde_json::from_value(data).map_err(|error| {
            CliError::new(
                Code::Internal,
                format!("the decision cannot be read: {error}"),
            )
            .with_hint("a newer hub may have written it; skein version tells")
        })?;
        match &self.cluster {
            Some(cluster) => of_cluster(event, &decided, cluster),
            None => Ok(of_all(event, &decided)),
        }
    }
}

fn heading(event: &EventView, decided: &PlacementDecided) -> String {
    let sets: Vec<_> = decided.sets.iter().map(ObjectName::as_str).collect();
    let workspace = decided.key.workspace.as_ref();
    let mut text = format!(
        "placement {}/{} decided at {} (event {}), generation {}\n",
        workspace.map_or("", Workspace::as_str),
        decided.key.name,
        moment::utc(event.time),
        event.id,
        decided.generation
    );
    let _ = writeln!(
        text,
        "{}: {}",
        decided.satisfied.reason, decided.satisfied.message
    );
    if !sets.is_empty() {
        let _ = writeln!(text, "chosen from the sets {}", sets.join(", "));
    }
    if let Some(why) = &decided.kept_because {
        let _ = writeln!(text, "the decision before was kept: {why}");
    }
    if let Some(at) = decided.recheck_at {
        let at = moment::utc(at);
        let _ = writeln!(text, "decides again at {at}, if nothing happens before");
    }
    text
}

/// The scores of each cluster that could have been chosen, prioritizer by prioritizer.
fn scores(decided: &PlacementDecided) -> BTreeMap<&ClusterName, Vec<String>> {
    let mut eligible: Vec<&ClusterName> = decided
        .groups
        .iter()
        .flat_map(|group| group.clusters.iter().map(|(cluster, _)| cluster))
        .collect();
    for against in &decided.left_out {
        if matches!(against.reason, Reason::Rank | Reason::Spread { .. }) {
            eligible.extend(&against.clusters);
        }
    }
    eligible.sort();
    let mut scores: BTreeMap<&ClusterName, Vec<String>> = BTreeMap::new();
    for (index, cluster) in eligible.into_iter().enumerate() {
        let found = decided.scores.iter().map(|one| {
            let score = one.scores.get(index).copied().flatten();
            score.map_or_else(|| "-".to_owned(), |score| score.to_string())
        });
        scores.insert(cluster, found.collect());
    }
    scores
}

fn of_all(event: &EventView, decided: &PlacementDecided) -> String {
    let mut text = heading(event, decided);
    let scores = scores(decided);
    let prioritizers: Vec<String> = decided
        .scores
        .iter()
        .map(|one| format!("{} x{}", one.prioritizer.to_uppercase(), one.weight))
        .collect();
    let mut headings = vec!["CHOSEN", "GROUP", "SCORE"];
    headings.extend(prioritizers.iter().map(String::as_str));
    let mut chosen = Table::new(&headings);
    let mut any = false;
    for group in &decided.groups {
        for (cluster, score) in &group.clusters {
            any = true;
            let mut row = vec![cluster.to_string(), group.name.clone(), score.to_string()];
            row.extend(scores.get(cluster).cloned().unwrap_or_default());
            chosen.row(row);
        }
    }
    if any {
        let _ = write!(text, "\n{}", chosen.render(true));
    }
    let mut left_out = Table::new(&["LEFT OUT", "WHY"]);
    for against in &decided.left_out {
        for cluster in &against.clusters {
            left_out.row(vec![cluster.to_string(), why(&against.reason)]);
        }
    }
    if !decided.left_out.is_empty() {
        let _ = write!(text, "\n{}", left_out.render(true));
    }
    text
}

fn of_cluster(
    event: &EventView,
    decided: &PlacementDecided,
    cluster: &ClusterName,
) -> CliResult<String> {
    let mut text = heading(event, decided);
    let chosen = decided.groups.iter().find_map(|group| {
        let found = group.clusters.iter().find(|(name, _)| name == cluster)?;
        Some((group.name.as_str(), found.1))
    });
    let against = decided
        .left_out
        .iter()
        .find(|one| one.clusters.contains(cluster));
    match (chosen, against) {
        (Some(("", score)), _) => {
            let _ = writeln!(text, "{cluster} is chosen, with score {score}");
        }
        (Some((group, score)), _) => {
            let _ = writeln!(
                text,
                "{cluster} is chosen in group {group}, with score {score}"
            );
        }
        (None, Some(against)) => {
            let _ = writeln!(text, "{cluster} is left out: {}", why(&against.reason));
        }
        (None, None) => {
            let message = format!("cluster {cluster} was in none of the sets of the placement");
            return Err(CliError::new(Code::NotFound, message).with_hint(format!(
                "`skein describe managedcluster {cluster}` shows its set"
            )));
        }
    }
    if let Some(found) = scores(decided).get(cluster) {
        let mut table = Table::new(&["PRIORITIZER", "WEIGHT", "SCORE"]);
        for (one, score) in decided.scores.iter().zip(found) {
            table.row(vec![
                one.prioritizer.clone(),
                one.weight.to_string(),
                score.clone(),
            ]);
        }
        if !decided.scores.is_empty() {
            let _ = write!(text, "\n{}", table.render(true));
        }
    }
    let expired = decided.expired.iter().filter(|one| one.cluster == *cluster);
    for one in expired {
        let _ = writeln!(text, "the score {} was too old to count", one.prioritizer);
    }
    Ok(text)
}

fn why(reason: &Reason) -> String {
    match reason {
        Reason::Predicate => "it meets none of the predicates".to_owned(),
        Reason::Taint { key, effect } => format!("its taint {key} ({effect:?}) is not tolerated"),
        Reason::Spread { topology_key } => {
            format!("one more with its {topology_key} would be too many (spread constraint)")
        }
        Reason::Rank => "enough others are better".to_owned(),
    }
}

#[cfg(test)]
mod tests;
