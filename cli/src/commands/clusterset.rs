//! `skein clusterset`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use skein_schema::code::Code;
use skein_schema::command::{Change, Command, FieldValidation, Precondition};
use skein_schema::kind::managed_cluster::CLUSTER_SET_LABEL;
use skein_schema::name::{SetName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;

use crate::cli::{Global, InWorkspace};
use crate::client::Client;
use crate::error::{CliError, CliResult};
use crate::output::print;
use crate::removal::{Removal, RemovalOptions};
use crate::{ask, change};

/// Make, delete, bind and fill clustersets
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein clusterset create eu\n  skein clusterset create gpu --selector accelerator=gpu\n  skein clusterset set eu --clusters shop-1,shop-2\n  skein clusterset bind eu -n team-a"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: ClustersetCommand,
}

#[derive(Debug, Subcommand)]
enum ClustersetCommand {
    /// Make a clusterset
    Create {
        /// Its name
        name: String,
        /// Select clusters by labels instead of letting each cluster name its set
        #[arg(short = 'l', long, value_name = "KEY=VALUE,…")]
        selector: Option<String>,
        /// Say what would be made, and make nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete a clusterset that no cluster names any more
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        options: RemovalOptions,
    },
    /// Let a workspace use a clusterset
    Bind {
        /// The clusterset
        name: String,
        #[command(flatten)]
        workspace: InWorkspace,
    },
    /// Stop letting a workspace use a clusterset
    Unbind {
        /// The clusterset
        name: String,
        #[command(flatten)]
        workspace: InWorkspace,
    },
    /// Move clusters into a clusterset
    Set {
        /// The clusterset
        name: String,
        /// The clusters
        #[arg(long, required = true, value_delimiter = ',', value_name = "CLUSTER")]
        clusters: Vec<String>,
    },
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        match self.command {
            ClustersetCommand::Create {
                name,
                selector,
                dry_run,
            } => create(global, &set(&name)?, selector.as_deref(), dry_run).await?,
            ClustersetCommand::Delete { name, options } => {
                let set = set(&name)?;
                let client = global.connect().await?;
                let removal = Removal {
                    key: ObjectKey::clusterset(&set),
                    label: format!("managedclusterset/{set}"),
                    gone: "deleted",
                    going: "deleting",
                };
                removal.carry_out(&client, &options, false).await?;
            }
            ClustersetCommand::Bind { name, workspace } => {
                let workspace = workspace.resolve(&global.chosen()?)?;
                bind(&global.connect().await?, &set(&name)?, &workspace).await?;
            }
            ClustersetCommand::Unbind { name, workspace } => {
                let workspace = workspace.resolve(&global.chosen()?)?;
                unbind(&global.connect().await?, &set(&name)?, &workspace).await?;
            }
            ClustersetCommand::Set { name, clusters } => {
                fill(global, &set(&name)?, &clusters).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn set(text: &str) -> CliResult<SetName> {
    SetName::new(text).map_err(|error| {
        CliError::new(Code::InvalidName, format!("clusterset name {text:?}")).because(&error)
    })
}

async fn create(
    global: &Global,
    set: &SetName,
    selector: Option<&str>,
    dry_run: bool,
) -> CliResult<()> {
    let spec = match selector {
        None => json!({"clusterSelector": {"selectorType": "ExclusiveClusterSetLabel"}}),
        Some(text) => {
            json!({"clusterSelector": {"selectorType": "LabelSelector", "labelSelector": {"matchLabels": labels(text)?}}})
        }
    };
    let command = apply(
        KindName::ManagedClusterSet,
        &json!({"name": set}),
        &spec,
        Precondition::MustNotExist,
        dry_run,
    );
    global.connect().await?.command(command).await?;
    let dry = if dry_run { " (server dry run)" } else { "" };
    print(&format!("managedclusterset/{set} created{dry}\n"))
}

fn labels(text: &str) -> CliResult<Value> {
    let mut labels = serde_json::Map::new();
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            CliError::argument(format!("{pair:?} is not KEY=VALUE"))
                .with_hint("write richer selectors in YAML and `skein apply` them")
        })?;
        labels.insert(key.trim().to_owned(), Value::from(value.trim()));
    }
    Ok(Value::Object(labels))
}

fn apply(
    kind: KindName,
    metadata: &Value,
    spec: &Value,
    precondition: Precondition,
    dry_run: bool,
) -> Command {
    let info = kind.info();
    Command::Apply {
        resource: json!({"apiVersion": info.api_version(), "kind": info.kind, "metadata": metadata, "spec": spec}),
        manager: change::MANAGER.to_owned(),
        precondition,
        validation: FieldValidation::Strict,
        dry_run,
    }
}

async fn bind(client: &Client, set: &SetName, workspace: &Workspace) -> CliResult<()> {
    let metadata = json!({"name": set, "namespace": workspace});
    let spec = json!({"clusterSet": set});
    let command = apply(
        KindName::ManagedClusterSetBinding,
        &metadata,
        &spec,
        Precondition::None,
        false,
    );
    let done = client.command(command).await?;
    let word = if done.change == Change::Unchanged {
        "was bound before"
    } else {
        "bound"
    };
    print(&format!(
        "managedclusterset/{set} {word} to namespace {workspace}\n"
    ))
}

async fn unbind(client: &Client, set: &SetName, workspace: &Workspace) -> CliResult<()> {
    let key = ObjectKey::namespaced(
        KindName::ManagedClusterSetBinding,
        workspace.clone(),
        set.into(),
    );
    client
        .command(Command::Delete {
            key,
            precondition: Precondition::MustExist,
            force: false,
            dry_run: false,
        })
        .await?;
    print(&format!(
        "managedclusterset/{set} unbound from namespace {workspace}\n"
    ))
}

async fn fill(global: &Global, set: &SetName, clusters: &[String]) -> CliResult<()> {
    let clusters = ask::clusters(clusters)?;
    let client = global.connect().await?;
    // A typing mistake must not move clusters into a set that nobody has made.
    ask::get(&client, &ObjectKey::clusterset(set), None).await?;
    for cluster in &clusters {
        let before = std::cell::RefCell::new(String::new());
        let done = change::change(&client, &ObjectKey::cluster(cluster), false, |object| {
            let now =
                ask::text(object, &["metadata", "labels", CLUSTER_SET_LABEL]).unwrap_or_default();
            now.clone_into(&mut before.borrow_mut());
            Ok((now != set.as_str())
                .then(|| json!({"metadata": {"labels": {CLUSTER_SET_LABEL: set}}})))
        })
        .await?;
        let before = before.into_inner();
        match done {
            Some(_) => print(&format!(
                "managedcluster/{cluster} moved from clusterset {before} to {set}\n"
            ))?,
            None => print(&format!(
                "managedcluster/{cluster} is in clusterset {set} already\n"
            ))?,
        }
    }
    Ok(())
}
