//! `skein describe`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use skein_schema::object::ObjectKey;
use skein_schema::query::{Answer, EventFilter, EventView, Query, Selection};

use crate::cli::{Global, InWorkspace};
use crate::client::{Client, unexpected};
use crate::error::{CliError, CliResult};
use crate::output::{note, print, table::Table, yaml};
use crate::{app, ask, moment};

/// How many events are shown with an object.
const EVENTS: u32 = 10;

/// Show an object in full, with its conditions and what happened to it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein describe mcl shop-1\n  skein describe work web -n shop-1\n  skein describe managedclusters"
)]
pub(crate) struct Arguments {
    /// KIND, KIND NAME… or KIND/NAME…
    #[arg(value_name = "OBJECT", required = true)]
    objects: Vec<String>,
    /// Objects of the kind with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Leave out what happened to it
    #[arg(long)]
    no_events: bool,
    #[command(flatten)]
    workspace: InWorkspace,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let workspace = self.workspace.resolve(&global.chosen()?)?;
        let client = global.connect().await?;
        let keys = match &self.objects[..] {
            [kind] if !kind.contains('/') => {
                let kind = ask::kind(kind)?;
                let selection = Selection {
                    kind,
                    workspace: kind.info().namespaced().then(|| workspace.clone()),
                    name: None,
                    label_selector: self.selector.clone(),
                    at: None,
                };
                let found = ask::list(&client, selection).await?;
                let name = |object: &Value| {
                    ask::text(object, &["metadata", "name"])
                        .unwrap_or_default()
                        .to_owned()
                };
                found
                    .iter()
                    .map(|object| ask::key(kind, &workspace, &name(object)))
                    .collect::<CliResult<Vec<_>>>()?
            }
            _ if self.selector.is_some() => {
                return Err(CliError::argument("--selector takes one kind and no names"));
            }
            words => ask::keys(words, &workspace)?,
        };
        if keys.is_empty() {
            note("No resources found.");
        }
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                print("\n\n")?;
            }
            let object = ask::get(&client, key, None).await?;
            let events = if self.no_events {
                Vec::new()
            } else {
                events(&client, key).await?
            };
            print(&describe(key, &object, &events, app::now())?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn events(client: &Client, key: &ObjectKey) -> CliResult<Vec<EventView>> {
    let filter = EventFilter {
        kind: Some(key.kind),
        workspace: key.workspace.clone(),
        name: Some(key.name.clone()),
        last: Some(EVENTS),
        ..EventFilter::default()
    };
    let answers = client
        .query(&Query::Events(filter))
        .await?
        .collect()
        .await?;
    answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Event(event) => Ok(*event),
            other => Err(unexpected(&other)),
        })
        .collect()
}

fn describe(
    key: &ObjectKey,
    object: &Value,
    events: &[EventView],
    now: Timestamp,
) -> CliResult<String> {
    let mut out = head(key, object, now);
    section(&mut out, "Spec", object.get("spec"))?;
    let mut status = object.get("status").cloned().unwrap_or_default();
    let conditions = status
        .as_object_mut()
        .and_then(|status| status.remove("conditions"));
    section(&mut out, "Status", Some(&status))?;
    if let Some(conditions) = conditions
        .as_ref()
        .and_then(Value::as_array)
        .filter(|all| !all.is_empty())
    {
        out.push_str("Conditions:\n");
        indent(&mut out, &conditions_table(conditions, now));
    }
    if !events.is_empty() {
        out.push_str("Events:\n");
        let mut table = Table::new(&["EVENT", "AGE", "ACTOR", "WHAT"]);
        for event in events {
            table.row(vec![
                event.id.to_string(),
                moment::age(event.time, now),
                event.actor.to_string(),
                event.summary.clone(),
            ]);
        }
        indent(&mut out, &table.render(true));
    }
    Ok(out)
}

/// Who the object is: its name, labels and annotations, age and version.
fn head(key: &ObjectKey, object: &Value, now: Timestamp) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{:<14}{value}", format!("{name}:"));
    };
    line("Name", key.name.as_str());
    if let Some(workspace) = &key.workspace {
        line("Namespace", workspace.as_str());
    }
    line(
        "Kind",
        &format!("{} ({})", key.kind, key.kind.info().api_version()),
    );
    for (title, member) in [("Labels", "labels"), ("Annotations", "annotations")] {
        let mut title = title;
        for (name, value) in object
            .pointer(&format!("/metadata/{member}"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            line(
                title,
                &format!("{name}={}", value.as_str().unwrap_or_default()),
            );
            title = "";
        }
        if !title.is_empty() {
            line(title, "<none>");
        }
    }
    for (title, member) in [
        ("Created", "creationTimestamp"),
        ("Deleting since", "deletionTimestamp"),
    ] {
        if let Some(text) = ask::text(object, &["metadata", member]) {
            let age = text
                .parse()
                .map(|since| moment::age(since, now))
                .unwrap_or_default();
            line(title, &format!("{text} ({age} ago)"));
        }
    }
    for (title, pointer) in [
        ("Generation", "/metadata/generation"),
        ("Version", "/metadata/resourceVersion"),
    ] {
        if let Some(value) = object.pointer(pointer) {
            line(
                title,
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
                    .as_str(),
            );
        }
    }
    out
}

fn section(out: &mut String, title: &str, value: Option<&Value>) -> CliResult<()> {
    let is_empty = |value: &&Value| {
        value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    if let Some(value) = value.filter(|value| !is_empty(value)) {
        let _ = writeln!(out, "{title}:");
        indent(out, &yaml(value)?);
    }
    Ok(())
}

fn conditions_table(conditions: &[Value], now: Timestamp) -> String {
    let mut table = Table::new(&["TYPE", "STATUS", "AGE", "REASON", "MESSAGE"]);
    for condition in conditions {
        let text = |member| {
            ask::text(condition, &[member])
                .unwrap_or_default()
                .to_owned()
        };
        let age = text("lastTransitionTime")
            .parse()
            .map(|since| moment::age(since, now))
            .unwrap_or_default();
        table.row(vec![
            text("type"),
            text("status"),
            age,
            text("reason"),
            text("message"),
        ]);
    }
    table.render(true)
}

fn indent(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "  {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cluster_is_described() {
        let key = ask::keys(
            &["mcl".into(), "c1".into()],
            &skein_schema::name::Workspace::new("x").unwrap(),
        )
        .unwrap()
        .remove(0);
        let object = json!({
            "metadata": {"name": "c1", "creationTimestamp": "2026-11-23T13:00:00Z", "generation": 2, "labels": {"a": "b"}},
            "spec": {"hubAcceptsClient": true},
            "status": {"conditions": [{"type": "ManagedClusterJoined", "status": "True", "reason": "R", "message": "m",
                "lastTransitionTime": "2026-11-23T13:59:00Z"}]},
        });
        let text = describe(&key, &object, &[], "2026-11-23T14:00:00Z".parse().unwrap()).unwrap();
        insta::assert_snapshot!(text);
    }
}
