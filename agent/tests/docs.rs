//! `docs/agent.md` names every option and every metric, and no others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;
use skein_agent::config::Arguments;
use skein_agent::metrics::Metrics;

/// The first column of the tables that have it in backticks and with this prefix.
fn documented(prefix: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agent.md");
    let text = std::fs::read_to_string(path).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = cells
        .filter_map(|rest| rest.split_once('`'))
        .map(|(name, _)| name);
    names
        .filter(|name| name.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_option_is_documented() {
    let command = Arguments::command();
    let options = command
        .get_arguments()
        .filter_map(|argument| argument.get_long());
    let options: BTreeSet<_> = options.map(|option| format!("--{option}")).collect();
    assert_eq!(documented("--"), options);
}

#[test]
fn every_metric_is_documented() {
    let text = Metrics::new().encode();
    let metrics = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics = metrics
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned);
    assert_eq!(documented("skein_agent_"), metrics.collect());
}
