//! `skein apply`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;
use skein_schema::code::Refusal;
use skein_schema::command::{Change, Command, FieldValidation, Precondition};
use skein_schema::decode::{self, Unknown};
use skein_schema::kind::admission::{self, AdmissionRules};
use skein_schema::name::Workspace;
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;

use crate::cli::{Global, InWorkspace};
use crate::client::{Client, Done};
use crate::context::Context;
use crate::documents::Document;
use crate::error::{CliError, CliResult};
use crate::output::{Format, note, pretty_json, print, qualified, yaml};
use crate::{app, ask, documents, moment, seal, wait};

/// Make objects be as files say
///
/// Fields that a file no longer lists are removed, fields that others set stay. Every document is
/// checked before the first is sent; the rest is still applied if one is refused, and the exit code
/// tells of the first refusal. Secrets inside works are sealed to their cluster before they leave
/// this machine.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein apply -f work.yaml\n  skein apply -f fleet/ -R --wait\n  kustomize build . | skein apply -f -\n  skein apply -f work.yaml --dry-run=server -o yaml"
)]
pub(crate) struct Arguments {
    /// Files, folders, or - for standard input
    #[arg(short, long, required = true, value_name = "FILE")]
    filename: Vec<String>,
    /// Read folders within folders too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Change nothing: `client` checks here, `server` lets the hub decide
    #[arg(long, value_name = "WHERE", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: Option<DryRun>,
    /// What to do with fields that a kind does not have
    #[arg(long, value_name = "MODE", default_value = "strict", num_args = 0..=1, default_missing_value = "strict", require_equals = true)]
    validate: Validate,
    /// Who owns the fields
    #[arg(long, value_name = "NAME", default_value = "skein")]
    field_manager: String,
    /// Wait until works are applied and available on their clusters
    #[arg(long)]
    wait: bool,
    /// How long to wait with --wait
    #[arg(long, default_value = "5m", value_parser = moment::parse_wait, value_name = "DURATION")]
    timeout: Duration,
    /// Print the objects instead of a line each: json, yaml or name
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    workspace: InWorkspace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Change things after all
    None,
    /// Check here and send nothing
    Client,
    /// Let the hub decide and record nothing
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Validate {
    /// Refuse the document
    #[value(alias = "true")]
    Strict,
    /// Drop them and warn
    Warn,
    /// Drop them
    #[value(alias = "false")]
    Ignore,
}

/// A document that passed the check here.
struct Checked {
    document: Document,
    key: ObjectKey,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        if self
            .output
            .as_ref()
            .is_some_and(|o| matches!(o, Format::Table | Format::Wide))
        {
            return Err(CliError::argument(
                "apply prints json, yaml, name or jsonpath=TEMPLATE",
            ));
        }
        let dry_run = self.dry_run.filter(|dry| *dry != DryRun::None);
        if dry_run.is_some() && self.wait {
            return Err(CliError::argument(
                "--wait and --dry-run do not go together",
            ));
        }
        let documents = documents::read(&self.filename, self.recursive)?;
        if dry_run == Some(DryRun::Client) {
            // Needs no hub, so that a pipeline without access can check its files.
            let (_, config) = global.load()?;
            let workspace = match config.context(global.context.as_deref()) {
                Ok((_, context)) => self.workspace.resolve(context)?,
                Err(_) => self.workspace.or_default()?,
            };
            for checked in self.check(documents, &workspace)? {
                self.show(
                    &checked.key,
                    "configured (client dry run)",
                    Some(checked.document.value),
                )?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let context = global.chosen()?;
        let workspace = self.workspace.resolve(&context)?;
        let checked = self.check(documents, &workspace)?;
        let client = global.connect().await?;
        let mut first_refused = None;
        let mut applied = Vec::new();
        for one in checked {
            match self
                .apply(&client, &context, &workspace, one, dry_run.is_some())
                .await
            {
                Ok(key) => applied.push(key),
                Err(error) if error.is_broken_pipe() => return Err(error),
                // Told at once: waiting for the others may take long.
                Err(error) => {
                    error.print();
                    first_refused.get_or_insert(ExitCode::from(error.exit_code()));
                }
            }
        }
        if self.wait
            && let Err(error) = self.wait_for(&client, &applied).await
        {
            let Some(code) = first_refused else {
                return Err(error);
            };
            error.print();
            return Ok(code);
        }
        Ok(first_refused.unwrap_or(ExitCode::SUCCESS))
    }

    /// Checks every document, so that one mistake is found before anything is sent.
    fn check(&self, documents: Vec<Document>, workspace: &Workspace) -> CliResult<Vec<Checked>> {
        let unknown = match self.validate {
            Validate::Strict => Unknown::Refuse,
            Validate::Warn => Unknown::Warn,
            Validate::Ignore => Unknown::Ignore,
        };
        let mut checked = Vec::new();
        for document in documents {
            let key = ask::key_of(&document, workspace)?;
            let namespace = key
                .workspace
                .as_ref()
                .map(Workspace::as_str)
                .unwrap_or_default();
            let decoded = if key.workspace.is_some() {
                decode::decode_in(document.value.clone(), unknown, namespace)
            } else {
                decode::decode(document.value.clone(), unknown)
            };
            // The hub's rules as for a new object; how large a work may be is the hub's to say.
            let rules = AdmissionRules {
                manifest_limit: u64::MAX,
                ..AdmissionRules::at(app::now())
            };
            let admitted = decoded.and_then(|decoded| {
                admission::admit(decoded.resource, None, &rules).map(|_| decoded.warnings)
            });
            match admitted {
                Ok(warnings) => {
                    for warning in warnings {
                        note(&format!("warning: {}: {warning}", document.place));
                    }
                    checked.push(Checked { document, key });
                }
                Err(errors) => {
                    let refusal = Refusal::of_fields(ask::quoted(&key), &errors);
                    return Err(CliError::from(refusal).at(&document.place));
                }
            }
        }
        Ok(checked)
    }

    async fn apply(
        &self,
        client: &Client,
        context: &Context,
        workspace: &Workspace,
        checked: Checked,
        dry_run: bool,
    ) -> CliResult<ObjectKey> {
        let Checked { mut document, key } = checked;
        seal::seal(client, context, workspace, &mut document).await?;
        if let (Some(workspace), Some(metadata)) = (
            &key.workspace,
            document
                .value
                .get_mut("metadata")
                .and_then(Value::as_object_mut),
        ) {
            metadata
                .entry("namespace")
                .or_insert_with(|| Value::from(workspace.as_str()));
        }
        let command = Command::Apply {
            resource: document.value,
            manager: self.field_manager.clone(),
            precondition: Precondition::None,
            validation: match self.validate {
                Validate::Strict => FieldValidation::Strict,
                // What is dropped was told by the check above.
                Validate::Warn | Validate::Ignore => FieldValidation::Ignore,
            },
            dry_run,
        };
        let Done {
            change,
            object,
            warnings,
            ..
        } = client
            .command(command)
            .await
            .map_err(|error| error.at(&document.place))?;
        for warning in warnings {
            note(&format!("warning: {}: {warning}", document.place));
        }
        let word = match change {
            Change::Created => "created",
            Change::Unchanged => "unchanged",
            _ => "configured",
        };
        let word = if dry_run {
            format!("{word} (server dry run)")
        } else {
            word.to_owned()
        };
        self.show(&key, &word, object)?;
        Ok(key)
    }

    fn show(&self, key: &ObjectKey, word: &str, object: Option<Value>) -> CliResult<()> {
        let name = format!("{}/{}", qualified(key.kind), key.name);
        let object = object.unwrap_or_default();
        match &self.output {
            None | Some(Format::Table | Format::Wide) => print(&format!("{name} {word}\n")),
            Some(Format::Name) => print(&format!("{name}\n")),
            Some(Format::Json) => print(&pretty_json(&object)?),
            Some(Format::Yaml) => print(&format!("---\n{}", yaml(&object)?)),
            Some(Format::JsonPath(template)) => print(&format!(
                "{}\n",
                template.render(&object).map_err(CliError::argument)?
            )),
        }
    }

    async fn wait_for(&self, client: &Client, applied: &[ObjectKey]) -> CliResult<()> {
        for key in applied
            .iter()
            .filter(|key| key.kind == KindName::ManifestWork)
        {
            note(&format!("waiting for {key}"));
            wait::until(client, key, self.timeout, wait::work_available).await?;
            print(&format!("{}/{} available\n", qualified(key.kind), key.name))?;
        }
        Ok(())
    }
}
