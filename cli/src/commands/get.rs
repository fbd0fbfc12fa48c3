//! `skein get`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use skein_schema::code::Code;
use skein_schema::name::Workspace;
use skein_schema::query::{Answer, At, Selection, WatchChange};
use skein_schema::resource::KindName;

use crate::cli::{Global, InWorkspace};
use crate::client::{Client, unexpected};
use crate::error::{CliError, CliResult};
use crate::follow::{Patience, Watch};
use crate::output::{OutputArguments, note, print};
use crate::{app, ask, moment};

/// Show objects
///
/// KIND is a plural, singular or short name, or several with commas.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein get managedclusters -o wide\n  skein get manifestworks -A -l app=web\n  skein get mcl shop-1 -o yaml\n  skein get managedclusters --at 2026-11-17T14:05:00Z\n  skein get manifestworks -n shop-1 -w\n  skein get mcl -o jsonpath='{.items[*].metadata.name}'"
)]
pub(crate) struct Arguments {
    /// KIND, KIND NAME…, KIND/NAME…, or KIND,KIND
    #[arg(value_name = "OBJECT", required = true)]
    objects: Vec<String>,
    /// Objects of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Objects with these labels, e.g. env=prod,tier!=db
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Go on with changes as they come
    #[arg(short, long)]
    watch: bool,
    /// Show changes only, not what is there
    #[arg(long, conflicts_with = "at")]
    watch_only: bool,
    /// Show objects as they were then: a time, how long ago, or a ledger sequence
    #[arg(long, value_name = "WHEN", conflicts_with = "watch")]
    at: Option<String>,
    /// Print nothing, instead of failing, where a named object is not there
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    workspace: InWorkspace,
}

/// One kind that was asked for, with the names.
struct Wanted {
    kind: KindName,
    names: Vec<String>,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let wanted = self.wanted()?;
        let at = self
            .at
            .as_deref()
            .map(|text| moment::parse_at(text, app::now()))
            .transpose()?;
        let workspace = self.workspace.resolve(&global.chosen()?)?;
        let client = global.connect().await?;
        if self.watch || self.watch_only {
            let [one] = &wanted[..] else {
                return Err(CliError::argument("one kind can be watched at a time"));
            };
            return self.follow(&client, one, &workspace).await;
        }
        let mut missing = Vec::new();
        let mut found = Vec::new();
        for one in &wanted {
            let mut objects = self
                .find(&client, one, &workspace, at, &mut missing)
                .await?;
            if self.means_all() {
                objects.retain(ask::is_stored);
            }
            found.push((one, objects));
        }
        self.show(found, &workspace)?;
        // What is there was asked for, too: it is printed before what is missing is told.
        for error in &missing {
            error.print();
        }
        Ok(missing
            .first()
            .map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit_code())))
    }

    fn means_all(&self) -> bool {
        self.objects == ["all"]
    }

    fn wanted(&self) -> CliResult<Vec<Wanted>> {
        let (first, rest) = self
            .objects
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        if first.contains('/') {
            let mut wanted: Vec<Wanted> = Vec::new();
            for word in &self.objects {
                let Some((of, name)) = word.split_once('/') else {
                    return Err(CliError::argument(
                        "KIND NAME and KIND/NAME cannot be mixed",
                    ));
                };
                let kind = ask::kind(of)?;
                match wanted.iter_mut().find(|w| w.kind == kind) {
                    Some(known) => known.names.push(name.to_owned()),
                    None => wanted.push(Wanted {
                        kind,
                        names: vec![name.to_owned()],
                    }),
                }
            }
            return Ok(wanted);
        }
        if self.means_all() {
            return Ok(KindName::ALL
                .iter()
                .map(|kind| Wanted {
                    kind: *kind,
                    names: Vec::new(),
                })
                .collect());
        }
        let kinds = first
            .split(',')
            .map(ask::kind)
            .collect::<CliResult<Vec<_>>>()?;
        if kinds.len() > 1 && !rest.is_empty() {
            return Err(CliError::argument(
                "names go with one kind, not with several",
            ));
        }
        Ok(kinds
            .into_iter()
            .map(|kind| Wanted {
                kind,
                names: rest.to_vec(),
            })
            .collect())
    }

    fn selection(
        &self,
        kind: KindName,
        name: Option<&str>,
        workspace: &Workspace,
        at: Option<At>,
    ) -> CliResult<Selection> {
        Ok(Selection {
            kind,
            workspace: (kind.info().namespaced() && !self.all_namespaces)
                .then(|| workspace.clone()),
            name: name.map(ask::name).transpose()?,
            label_selector: self.selector.clone(),
            at,
        })
    }

    /// The objects of one kind. Those that are named and not there go to `missing`.
    async fn find(
        &self,
        client: &Client,
        wanted: &Wanted,
        workspace: &Workspace,
        at: Option<At>,
        missing: &mut Vec<CliError>,
    ) -> CliResult<Vec<Value>> {
        let kind = wanted.kind;
        if wanted.names.is_empty() {
            return ask::list(client, self.selection(kind, None, workspace, at)?).await;
        }
        let mut objects = Vec::new();
        for name in &wanted.names {
            let key = ask::key(kind, workspace, name)?;
            match ask::list(client, self.selection(kind, Some(name), workspace, at)?).await {
                Ok(found) if found.is_empty() => missing.push(ask::not_found(&key)),
                Err(error) if error.code() == Code::NotFound => missing.push(error),
                found => objects.extend(found?),
            }
        }
        if self.ignore_not_found {
            missing.clear();
        }
        Ok(objects)
    }

    fn show(&self, found: Vec<(&Wanted, Vec<Value>)>, workspace: &Workspace) -> CliResult<()> {
        let several = found.len() > 1;
        if self.output.is_document() {
            let named = found.iter().any(|(wanted, _)| !wanted.names.is_empty());
            let one = !several && found.iter().all(|(wanted, _)| wanted.names.len() == 1);
            let objects: Vec<Value> = found.into_iter().flat_map(|(_, objects)| objects).collect();
            if named && objects.is_empty() {
                return Ok(());
            }
            return self.output.print_document(objects, one);
        }
        for (index, (wanted, objects)) in found.into_iter().enumerate() {
            if several && index > 0 && self.output.is_table() {
                print("\n")?;
            }
            self.show_kind(wanted, &objects, workspace, several)?;
        }
        Ok(())
    }

    fn show_kind(
        &self,
        wanted: &Wanted,
        objects: &[Value],
        workspace: &Workspace,
        several: bool,
    ) -> CliResult<()> {
        let kind = wanted.kind;
        if !objects.is_empty() {
            return self
                .output
                .print_lines(kind, objects, self.all_namespaces, app::now());
        }
        // As kubectl: the empty state is told, not shown as an empty table.
        if self.output.is_table() && !several && wanted.names.is_empty() {
            let place = match kind.info().namespaced() && !self.all_namespaces {
                true => format!(" in namespace {workspace}"),
                false => String::new(),
            };
            note(&format!("No {} found{place}.", kind.info().plural));
        }
        Ok(())
    }

    async fn follow(
        &self,
        client: &Client,
        wanted: &Wanted,
        workspace: &Workspace,
    ) -> CliResult<ExitCode> {
        let name = match &wanted.names[..] {
            [] => None,
            [one] => Some(one.as_str()),
            _ => {
                return Err(CliError::argument(
                    "one object, or all of a kind, can be watched at a time",
                ));
            }
        };
        let selection = self.selection(wanted.kind, name, workspace, None)?;
        let mut answers = Watch::begin(client, selection, Patience::ONLOOKER).await?;
        self.output
            .print_heading(wanted.kind, self.all_namespaces)?;
        let mut listed = false;
        loop {
            match answers.next().await? {
                Some(Answer::Listed) => listed = true,
                Some(Answer::Changed { change, object }) if listed || !self.watch_only => {
                    if change == WatchChange::Deleted && self.output.is_table() {
                        note(&format!(
                            "{} deleted",
                            ask::text(&object, &["metadata", "name"]).unwrap_or_default()
                        ));
                    } else {
                        self.output.print_changed(
                            wanted.kind,
                            object,
                            self.all_namespaces,
                            app::now(),
                        )?;
                    }
                }
                Some(Answer::Changed { .. }) => {}
                Some(other) => return Err(unexpected(&other)),
                None => return Ok(ExitCode::SUCCESS),
            }
        }
    }
}
