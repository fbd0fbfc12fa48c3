//! `skein delete`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::code::Code;
use skein_schema::query::Selection;

use crate::cli::{Global, InWorkspace};
use crate::documents;
use crate::error::{CliError, CliResult};
use crate::output::note;
use crate::removal::{Removal, RemovalOptions};
use crate::{ask, output};

/// Delete objects
///
/// A work goes when its agent has removed what it put on the cluster, as the work's delete option
/// says. `--force` does not wait for the agent.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein delete work web -n shop-1\n  skein delete -f fleet/\n  skein delete manifestworks --all -n shop-1 --dry-run\n  skein delete ns/team-a mclset/eu"
)]
pub(crate) struct Arguments {
    /// KIND NAME…, or KIND/NAME…
    #[arg(value_name = "OBJECT", required_unless_present = "filename")]
    objects: Vec<String>,
    /// Delete what these files, folders or - name
    #[arg(short, long, value_name = "FILE", conflicts_with = "objects")]
    filename: Vec<String>,
    /// Read folders within folders too
    #[arg(short = 'R', long, requires = "filename")]
    recursive: bool,
    /// Delete all objects of the kind in the namespace
    #[arg(long, conflicts_with_all = ["filename", "selector"])]
    all: bool,
    /// Delete the objects of the kind with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        conflicts_with = "filename"
    )]
    selector: Option<String>,
    /// Do not complain about objects that are not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: RemovalOptions,
    #[command(flatten)]
    workspace: InWorkspace,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let context = global.chosen()?;
        let workspace = self.workspace.resolve(&context)?;
        let mut keys = if self.filename.is_empty() && !self.all && self.selector.is_none() {
            ask::keys(&self.objects, &workspace)?
        } else {
            // Last first: what was made last often leans on what was made before.
            let documents = documents::read_or_none(&self.filename, self.recursive)?;
            documents
                .iter()
                .rev()
                .map(|document| ask::key_of(document, &workspace))
                .collect::<CliResult<Vec<_>>>()?
        };
        let client = global.connect().await?;
        if self.all || self.selector.is_some() {
            let [of] = &self.objects[..] else {
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
            for object in ask::list(&client, selection).await? {
                keys.push(ask::key(
                    kind,
                    &workspace,
                    ask::text(&object, &["metadata", "name"]).unwrap_or_default(),
                )?);
            }
            if keys.is_empty() {
                note("No resources found");
            }
        } else if keys.is_empty() {
            return Err(CliError::argument("name at least one object").with_hint("or use --all"));
        }
        for key in keys {
            let removal = Removal {
                label: format!("{}/{}", output::qualified(key.kind), key.name),
                key,
                gone: "deleted",
                going: "deleting",
            };
            match removal
                .carry_out(&client, &self.options, self.dry_run)
                .await
            {
                Err(error) if self.ignore_not_found && error.code() == Code::NotFound => {}
                other => other?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
