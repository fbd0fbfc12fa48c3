//! `docs/hub.md` names every option, every field of the configuration file and every metric, and no
//! others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::CommandFactory as _;
use skein_hub::config::{Arguments, Config};
use skein_hub::metrics::{CommandOutcome, Metrics};

/// The first column of the tables that have it in backticks and that fit.
fn documented(fits: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hub.md");
    let text = std::fs::read_to_string(path).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = cells
        .filter_map(|rest| rest.split_once('`'))
        .map(|(name, _)| name);
    names.filter(|name| fits(name)).map(str::to_owned).collect()
}

#[test]
fn every_option_is_documented() {
    let command = Arguments::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let options = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(clap::Arg::get_long);
    let options: BTreeSet<_> = options.map(|option| format!("--{option}")).collect();
    assert_eq!(documented(|name| name.starts_with("--")), options);
}

#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::default();
    // A family shows once something was counted in it.
    for family in [
        &metrics.desired,
        &metrics.syncs,
        &metrics.queries,
        &metrics.malformed,
        &metrics.credentials,
        &metrics.snapshots,
    ] {
        metrics.count(family, "some");
    }
    metrics.decided("apply", CommandOutcome::Recorded);
    metrics.count_clusters(&BTreeMap::from([("True", 1)]));
    let text = metrics.encode().unwrap();
    let metrics = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics = metrics
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned);
    assert_eq!(
        documented(|name| name.starts_with("skein_hub_")),
        metrics.collect()
    );
}

/// A file with every documented field is read, and one that does not exist would be refused. A new
/// field with a default has to be added here and there by hand.
#[test]
fn every_field_of_the_configuration_is_documented() {
    let file = r#"
        name = "hub-1"
        data-dir = "data"
        keys = "keys"
        http = "127.0.0.1:0"
        [bus]
        servers = ["nats://127.0.0.1:4222"]
        credentials = "hub.creds"
        system-credentials = "system.creds"
        certificate-authority = "ca.pem"
        replicas = 3
        [lead]
        lease-seconds = 5
        [snapshots]
        records = 1
        seconds = 1
        keep = 2
    "#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    std::fs::write(&path, file).unwrap();
    Config::load(&path).unwrap();
    let table: toml::Table = file.parse().unwrap();
    let mut fields = BTreeSet::new();
    for (name, value) in &table {
        match value.as_table() {
            Some(inner) => fields.extend(inner.keys().map(|field| format!("{name}.{field}"))),
            None => drop(fields.insert(name.clone())),
        }
    }
    let is_field = |name: &str| !name.starts_with("--") && !name.starts_with("skein_hub_");
    assert_eq!(documented(is_field), fields);
}
