//! `skein diff`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use similar::TextDiff;
use skein_schema::name::Workspace;
use skein_schema::query::{Answer, Query};

use crate::cli::Global;
use crate::client::unexpected;
use crate::error::CliResult;
use crate::output::{note, print, yaml};
use crate::{app, ask, moment};

/// Show what changed in the fleet between two points in time
///
/// Prints a unified diff of each object's intended state. The exit code is 1 if there are
/// differences, 0 if there are none.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein diff --from 1h\n  skein diff --from 1042 --to 1050 --kind managedclusters\n  skein diff --from 2026-11-17T14:00:00Z --to 2026-11-17T15:00:00Z -n shop-1"
)]
pub(crate) struct Arguments {
    /// The earlier point: a time, how long ago, or a ledger sequence
    #[arg(long, value_name = "WHEN")]
    from: String,
    /// The later point [default: now]
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// Only objects of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only objects of this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<Workspace>,
    /// Only name the objects that differ
    #[arg(long)]
    name_only: bool,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let now = app::now();
        let query = Query::Diff {
            from: moment::parse_at(&self.from, now)?,
            to: self
                .to
                .as_deref()
                .map(|text| moment::parse_at(text, now))
                .transpose()?,
            kind: self.kind.as_deref().map(ask::kind).transpose()?,
            workspace: self.namespace.clone(),
        };
        let client = global.connect().await?;
        let mut answers = client.query(&query).await?;
        let mut differences = 0_u64;
        while let Some(answer) = answers.next().await? {
            let Answer::Difference { key, before, after } = answer else {
                return Err(unexpected(&answer));
            };
            differences += 1;
            if self.name_only {
                let word = match (&before, &after) {
                    (None, _) => "created",
                    (_, None) => "deleted",
                    _ => "changed",
                };
                print(&format!("{key} {word}\n"))?;
            } else {
                print(&unified(&key.to_string(), before.as_ref(), after.as_ref())?)?;
            }
        }
        if differences == 0 {
            note("No differences.");
            return Ok(ExitCode::SUCCESS);
        }
        Ok(ExitCode::from(1))
    }
}

fn unified(name: &str, before: Option<&Value>, after: Option<&Value>) -> CliResult<String> {
    let text = |value: Option<&Value>| value.map_or(Ok(String::new()), yaml);
    let side = |value: Option<&Value>, prefix: &str| {
        value.map_or("/dev/null".to_owned(), |_| format!("{prefix}/{name}"))
    };
    let (old, new) = (text(before)?, text(after)?);
    let diff = TextDiff::from_lines(&old, &new);
    Ok(diff
        .unified_diff()
        .header(&side(before, "a"), &side(after, "b"))
        .to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_a_unified_diff_of_yaml() {
        let text = unified(
            "managedclusters/c1",
            Some(&json!({"a": 1, "b": 2})),
            Some(&json!({"a": 1, "b": 3})),
        )
        .unwrap();
        assert_eq!(
            text,
            "--- a/managedclusters/c1\n+++ b/managedclusters/c1\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n"
        );
        let made = unified("x", None, Some(&json!({"a": 1}))).unwrap();
        assert!(made.starts_with("--- /dev/null\n+++ b/x\n"), "{made}");
    }
}
