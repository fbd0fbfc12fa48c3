//! `skein taint`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use skein_schema::object::ObjectKey;

use crate::cli::Global;
use crate::error::{CliError, CliResult};
use crate::output::print;
use crate::{ask, change};

/// Set or remove taints of clusters
///
/// A taint keeps placements away from a cluster: NoSelect for all, NoSelectIfNew for those that
/// have not chosen it yet, PreferNoSelect where there is a choice. A cluster has at most one taint
/// of a key.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein taint shop-1 maintenance=tonight:NoSelect\n  skein taint shop-1 shop-2 maintenance-"
)]
pub(crate) struct Arguments {
    /// CLUSTER… then KEY[=VALUE]:EFFECT to set, KEY- or KEY:EFFECT- to remove
    #[arg(value_name = "CLUSTER|TAINT", required = true, num_args = 2..)]
    words: Vec<String>,
    /// Change taints that are there already
    #[arg(long)]
    overwrite: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, PartialEq)]
enum Wish {
    Set {
        key: String,
        value: String,
        effect: String,
    },
    Remove {
        key: String,
        effect: Option<String>,
    },
}

const EFFECTS: [&str; 3] = ["NoSelect", "PreferNoSelect", "NoSelectIfNew"];

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let first = self
            .words
            .iter()
            .position(|word| word.contains(':') || word.ends_with('-'))
            .unwrap_or(self.words.len());
        let (clusters, taints) = self.words.split_at(first);
        // `kubectl taint nodes NAME …` names the kind first; so may we.
        let clusters = match clusters.split_first() {
            Some((word, rest)) if !rest.is_empty() && ask::kind(word).is_ok() => rest,
            _ => clusters,
        };
        if clusters.is_empty() || taints.is_empty() {
            return Err(CliError::argument("name clusters, then taints")
                .with_hint("for example: skein taint shop-1 maintenance=tonight:NoSelect"));
        }
        let clusters = ask::clusters(clusters)?;
        let wishes = taints
            .iter()
            .map(|text| parse(text))
            .collect::<CliResult<Vec<_>>>()?;
        let client = global.connect().await?;
        for cluster in &clusters {
            let label = format!("managedcluster/{cluster}");
            let done = change::change(
                &client,
                &ObjectKey::cluster(cluster),
                self.dry_run,
                |object| patch(object, &wishes, self.overwrite).map_err(|error| error.at(&label)),
            )
            .await?;
            let dry = if self.dry_run {
                " (server dry run)"
            } else {
                ""
            };
            print(&format!(
                "{label} {}{dry}\n",
                if done.is_some() {
                    "tainted"
                } else {
                    "unchanged"
                }
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn parse(text: &str) -> CliResult<Wish> {
    let wrong = || {
        CliError::argument(format!("{text:?} is not a taint")).with_hint(format!(
            "write KEY=VALUE:EFFECT, KEY:EFFECT or KEY-; effects are {}",
            EFFECTS.join(", ")
        ))
    };
    let effect = |effect: &str| {
        if EFFECTS.contains(&effect) {
            Ok(effect.to_owned())
        } else {
            Err(wrong())
        }
    };
    if let Some(removed) = text.strip_suffix('-') {
        return Ok(match removed.split_once(':') {
            Some((key, of)) => Wish::Remove {
                key: key.to_owned(),
                effect: Some(effect(of)?),
            },
            None => Wish::Remove {
                key: removed.to_owned(),
                effect: None,
            },
        });
    }
    let (what, of) = text.rsplit_once(':').ok_or_else(wrong)?;
    let (key, value) = what.split_once('=').unwrap_or((what, ""));
    if key.is_empty() {
        return Err(wrong());
    }
    Ok(Wish::Set {
        key: key.to_owned(),
        value: value.to_owned(),
        effect: effect(of)?,
    })
}

fn patch(cluster: &Value, wishes: &[Wish], overwrite: bool) -> CliResult<Option<Value>> {
    let before = cluster
        .pointer("/spec/taints")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut taints = before.clone();
    for wish in wishes {
        match wish {
            Wish::Remove { key, effect } => {
                let is_meant = |taint: &Value| {
                    taint["key"] == **key
                        && effect
                            .as_ref()
                            .is_none_or(|effect| taint["effect"] == **effect)
                };
                if !taints.iter().any(is_meant) {
                    return Err(CliError::argument(format!("there is no taint {key:?}")));
                }
                taints.retain(|taint| !is_meant(taint));
            }
            Wish::Set { key, value, effect } => {
                let mut taint = json!({"key": key, "effect": effect});
                if !value.is_empty() {
                    taint["value"] = value.clone().into();
                }
                let known = taints.iter_mut().find(|taint| taint["key"] == **key);
                match known {
                    Some(known) if same(known, &taint) => {}
                    Some(_) if !overwrite => {
                        return Err(
                            CliError::argument(format!("taint {key:?} is there already"))
                                .with_hint("--overwrite changes it"),
                        );
                    }
                    Some(known) => *known = taint,
                    None => taints.push(taint),
                }
            }
        }
    }
    Ok((taints != before).then(|| json!({"spec": {"taints": taints}})))
}

/// The hub adds when a taint was set; that is not part of what was asked for.
fn same(known: &Value, wanted: &Value) -> bool {
    ["key", "value", "effect"]
        .iter()
        .all(|member| known.get(member) == wanted.get(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_read_as_kubectl_does() {
        assert_eq!(
            parse("a=b:NoSelect").unwrap(),
            Wish::Set {
                key: "a".into(),
                value: "b".into(),
                effect: "NoSelect".into()
            }
        );
        assert_eq!(
            parse("a:NoSelectIfNew").unwrap(),
            Wish::Set {
                key: "a".into(),
                value: String::new(),
                effect: "NoSelectIfNew".into()
            }
        );
        assert_eq!(
            parse("a-").unwrap(),
            Wish::Remove {
                key: "a".into(),
                effect: None
            }
        );
        for bad in ["a=b", ":NoSelect", "a:NoSchedule", "a:NoSchedule-"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_taint_keeps_the_time_the_hub_gave_it_unless_it_changes() {
        let cluster = json!({"spec": {"taints": [{"key": "a", "effect": "NoSelect", "timeAdded": "2026-11-23T14:00:00Z"}]}});
        let wish = |text: &str| [parse(text).unwrap()];
        assert_eq!(patch(&cluster, &wish("a:NoSelect"), false).unwrap(), None);
        assert!(patch(&cluster, &wish("a=x:NoSelect"), false).is_err());
        assert_eq!(
            patch(&cluster, &wish("a=x:NoSelect"), true).unwrap(),
            Some(json!({"spec": {"taints": [{"key": "a", "effect": "NoSelect", "value": "x"}]}}))
        );
        assert_eq!(
            patch(&cluster, &wish("a-"), false).unwrap(),
            Some(json!({"spec": {"taints": []}}))
        );
        assert!(patch(&cluster, &wish("b-"), false).is_err());
    }
}
