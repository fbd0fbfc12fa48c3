//! `skein replay`.

use std::process::ExitCode;

use clap::Args;
use skein_schema::query::{At, Selection};
use skein_schema::resource::KindName;

use crate::cli::Global;
use crate::error::CliResult;
use crate::output::{OutputArguments, note, print};
use crate::{app, ask, moment};

/// Show the fleet as it was
///
/// The hub folds the ledger up to that point, joined with what the agents had reported by then.
/// Without a kind, every kind is shown.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein replay --at 2026-11-17T14:05:00Z\n  skein replay --at 1042 managedclusters -o wide\n  skein replay --at 2h manifestworks -o yaml"
)]
pub(crate) struct Arguments {
    /// When: a time, how long ago (15m, 2h, 3d), or a ledger sequence
    #[arg(long, value_name = "WHEN")]
    at: String,
    /// Kinds, with commas
    #[arg(value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let now = app::now();
        let at = moment::parse_at(&self.at, now)?;
        let kinds = match &self.kinds[..] {
            [] => KindName::ALL.to_vec(),
            named => named
                .iter()
                .map(|text| ask::kind(text))
                .collect::<CliResult<_>>()?,
        };
        let client = global.connect().await?;
        if self.output.is_table() {
            note(&match at {
                At::Sequence(sequence) => format!("the fleet after ledger record {sequence}"),
                At::Time(time) => {
                    format!("the fleet at {}", moment::utc(time))
                }
            });
        }
        // Ages are those that were true then.
        let then = match at {
            At::Time(time) => time,
            At::Sequence(_) => now,
        };
        let mut shown = false;
        let mut all = Vec::new();
        for kind in kinds {
            let selection = Selection {
                kind,
                workspace: None,
                name: None,
                label_selector: self.selector.clone(),
                at: Some(at),
            };
            let mut objects = ask::list(&client, selection).await?;
            if self.kinds.is_empty() {
                objects.retain(ask::is_stored);
            }
            if self.output.is_document() {
                all.extend(objects);
                continue;
            }
            if objects.is_empty() {
                continue;
            }
            if self.output.is_table() {
                print(&format!(
                    "{}{}\n",
                    if shown { "\n" } else { "" },
                    kind.info().plural
                ))?;
            }
            shown = true;
            self.output.print_lines(kind, &objects, true, then)?;
        }
        if self.output.is_document() {
            self.output.print_document(all, false)?;
            return Ok(ExitCode::SUCCESS);
        }
        if !shown {
            note("There was nothing.");
        }
        Ok(ExitCode::SUCCESS)
    }
}
