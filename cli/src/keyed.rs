//! `KEY=VALUE` and `KEY-` as `skein label` and `skein annotate` take them.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};
use skein_schema::name::Workspace;
use skein_schema::object::ObjectKey;
use skein_schema::query::Selection;

use crate::cli::{Global, InWorkspace};
use crate::error::{CliError, CliResult};
use crate::output::{note, print, qualified};
use crate::{ask, change};

/// The arguments that both commands share.
#[derive(Debug, Args)]
pub(crate) struct KeyedArguments {
    /// KIND NAME… or KIND/NAME…, then KEY=VALUE to set and KEY- to remove
    #[arg(value_name = "OBJECT|CHANGE", required = true, num_args = 1..)]
    words: Vec<String>,
    /// Change values that are there already
    #[arg(long)]
    overwrite: bool,
    /// Change all objects of the kind in the namespace
    #[arg(long)]
    all: bool,
    /// Change the objects of the kind with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "all")]
    selector: Option<String>,
    /// Show what is there instead of changing it
    #[arg(long)]
    list: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    workspace: InWorkspace,
}

/// Which map of the metadata is changed, and the word for having changed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) done: &'static str,
}

/// What is to become of one key.
type Changes = Vec<(String, Option<String>)>;

impl KeyedArguments {
    pub(crate) async fn run(self, global: &Global, member: Member) -> CliResult<ExitCode> {
        let (objects, changes) = split(&self.words)?;
        if changes.is_empty() && !self.list {
            return Err(CliError::argument("nothing to change")
                .with_hint("write KEY=VALUE to set, KEY- to remove, or --list"));
        }
        let workspace = self.workspace.resolve(&global.chosen()?)?;
        let client = global.connect().await?;
        let keys = self.keys(&client, &objects, &workspace).await?;
        for key in &keys {
            let label = format!("{}/{}", qualified(key.kind), key.name);
            if self.list {
                let object = ask::get(&client, key, None).await?;
                for (name, value) in object
                    .pointer(&format!("/metadata/{}", member.name))
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                {
                    print(&format!("{name}={}\n", value.as_str().unwrap_or_default()))?;
                }
                continue;
            }
            let done = change::change(&client, key, self.dry_run, |object| {
                patch(object, member, &changes, self.overwrite).map_err(|error| error.at(&label))
            })
            .await?;
            let dry = if self.dry_run {
                " (server dry run)"
            } else {
                ""
            };
            print(&format!(
                "{label} {}{dry}\n",
                if done.is_some() {
                    member.done
                } else {
                    "unchanged"
                }
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn keys(
        &self,
        client: &crate::client::Client,
        objects: &[String],
        workspace: &Workspace,
    ) -> CliResult<Vec<ObjectKey>> {
        if !self.all && self.selector.is_none() {
            let keys = ask::keys(objects, workspace)?;
            return if keys.is_empty() {
                Err(CliError::argument("name at least one object"))
            } else {
                Ok(keys)
            };
        }
        let [of] = objects else {
            return Err(CliError::argument(
                "--all and --selector take one kind and no names",
            ));
        };
        let kind = ask::kind(of)?;
        let selection = Selection {
            kind,
            workspace: kind.info().namespaced().then(|| workspace.clone()),
            name: None,
            label_selector: self.selector.clone(),
            at: None,
        };
        let found = ask::list(client, selection).await?;
        if found.is_empty() {
            note("No resources found");
        }
        found
            .iter()
            .map(|object| {
                ask::key(
                    kind,
                    workspace,
                    ask::text(object, &["metadata", "name"]).unwrap_or_default(),
                )
            })
            .collect()
    }
}

/// Tells the objects from the changes: a change has `=` or ends in `-`, and comes last.
fn split(words: &[String]) -> CliResult<(Vec<String>, Changes)> {
    let is_change = |word: &String| word.contains('=') || word.ends_with('-');
    let first = words.iter().position(is_change).unwrap_or(words.len());
    let (objects, rest) = words.split_at(first);
    let mut changes = Changes::new();
    for word in rest {
        let change = match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) => (key.to_owned(), Some(value.to_owned())),
            (None, Some(key)) => (key.to_owned(), None),
            (None, None) => {
                return Err(CliError::argument(format!(
                    "{word:?} stands after a change; objects come first"
                )));
            }
        };
        if change.0.is_empty() || changes.iter().any(|(key, _)| *key == change.0) {
            return Err(CliError::argument(format!(
                "{word:?}: each key once, and not empty"
            )));
        }
        changes.push(change);
    }
    Ok((objects.to_vec(), changes))
}

fn patch(
    object: &Value,
    member: Member,
    changes: &Changes,
    overwrite: bool,
) -> CliResult<Option<Value>> {
    let present = |key: &str| ask::text(object, &["metadata", member.name, key]);
    let mut wanted = Map::new();
    for (key, value) in changes {
        match (present(key), value) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(_)) if !overwrite => {
                return Err(CliError::argument(format!("{key} is {old:?} already"))
                    .with_hint("--overwrite changes it"));
            }
            (None, None) => {}
            (_, new) => {
                wanted.insert(key.clone(), new.clone().map_or(Value::Null, Value::String));
            }
        }
    }
    Ok((!wanted.is_empty()).then(|| json!({"metadata": {member.name: wanted}})))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: Member = Member {
        name: "labels",
        done: "labeled",
    };

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn objects_come_first_then_changes() {
        let (objects, changes) = split(&words("mcl c1 env=prod old-")).unwrap();
        assert_eq!(objects, ["mcl", "c1"]);
        assert_eq!(
            changes,
            [("env".into(), Some("prod".into())), ("old".into(), None)]
        );
        assert!(split(&words("mcl env=prod c1")).is_err());
        assert!(split(&words("mcl c1 env=a env=b")).is_err());
    }

    #[test]
    fn a_value_is_changed_only_when_asked() {
        let object = json!({"metadata": {"labels": {"env": "dev", "a": "b"}}});
        let changes = vec![("env".to_owned(), Some("prod".to_owned()))];
        assert!(patch(&object, LABELS, &changes, false).is_err());
        assert_eq!(
            patch(&object, LABELS, &changes, true).unwrap(),
            Some(json!({"metadata": {"labels": {"env": "prod"}}}))
        );
        let same = vec![
            ("a".to_owned(), Some("b".to_owned())),
            ("gone".to_owned(), None),
        ];
        assert_eq!(patch(&object, LABELS, &same, false).unwrap(), None);
    }
}
