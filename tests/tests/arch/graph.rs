//! Arrows: a crate may only know crates below it, and the pure crates nothing that does I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::source::{assert_none, folder, members, root};

/// Every crate with all it may depend on, lowest level first. A new arrow is a decision: it gets
/// a page in `docs/decisions/`.
const ARROWS: &[(&str, &[&str])] = &[
    ("skein-schema", &[]),
    ("skein-cel", &[]),
    ("skein-hub-core", &["skein-schema", "skein-cel"]),
    ("skein-agent-core", &["skein-schema", "skein-cel"]),
    ("skein-nats", &["skein-schema"]),
    (
        "skein-hub",
        &["skein-schema", "skein-hub-core", "skein-nats"],
    ),
    (
        "skein-agent",
        &["skein-schema", "skein-agent-core", "skein-nats"],
    ),
    ("skein", &["skein-schema", "skein-hub-core", "skein-nats"]),
    (
        "skein-tests",
        &[
            "skein-schema",
            "skein-hub-core",
            "skein-agent-core",
            "skein-nats",
            "skein-hub",
            "skein-agent",
            "skein",
        ],
    ),
];

/// Crates that decide and never act.
pub(crate) const PURE: &[&str] = &[
    "skein-schema",
    "skein-cel",
    "skein-hub-core",
    "skein-agent-core",
];

/// What would let a pure crate act: runtimes, clients, sockets, files, operating system randomness.
const IMPURE: &[&str] = &[
    "async-nats",
    "axum",
    "getrandom",
    "hyper",
    "kube",
    "kube-client",
    "mio",
    "quinn",
    "rand",
    "reqwest",
    "rustix",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
    "tower",
];

/// Crates that may not know a technology, whatever the level says.
const NEVER: &[(&str, &[&str])] = &[
    ("skein-hub", &["kube", "kube-client"]),
    ("skein-nats", &["kube", "kube-client", "quinn"]),
    ("skein", &["kube", "kube-client"]),
];

#[test]
fn arrows_only_point_down() {
    let members = members();
    let allowed: BTreeMap<_, _> = ARROWS.iter().map(|(name, below)| (*name, *below)).collect();
    let mut breaches = Vec::new();
    for (name, package) in &members {
        let Some(below) = allowed.get(name.as_str()) else {
            breaches.push(format!("{name} has no row in ARROWS"));
            continue;
        };
        let known: BTreeSet<_> = package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.as_str())
            .collect();
        for other in known
            .into_iter()
            .filter(|other| members.contains_key(*other) && other != name)
        {
            if !below.contains(&other) {
                breaches.push(format!("{name} -> {other}"));
            }
        }
    }
    assert_none("arrows that the house does not have:", &breaches);
}

#[test]
fn arrows_never_run_in_a_circle() {
    let level: BTreeMap<_, _> = ARROWS
        .iter()
        .enumerate()
        .map(|(level, (name, _))| (*name, level))
        .collect();
    for (name, below) in ARROWS {
        for other in *below {
            assert!(
                level[other] < level[name],
                "{other} must stand above {name} in ARROWS"
            );
        }
    }
}

#[test]
fn pure_crates_cannot_do_io() {
    let mut breaches = Vec::new();
    for name in PURE {
        for reached in normal_closure(name) {
            if IMPURE.contains(&reached.as_str()) {
                breaches.push(format!("{name} reaches {reached}"));
            }
        }
    }
    assert_none(
        "pure crates reach crates that act (cargo tree -e normal -i shows the way):",
        &breaches,
    );
}

#[test]
fn crates_keep_to_their_technology() {
    let mut breaches = Vec::new();
    for (name, never) in NEVER {
        let closure = normal_closure(name);
        breaches.extend(
            never
                .iter()
                .filter(|other| closure.contains(**other))
                .map(|other| format!("{name} reaches {other}")),
        );
    }
    assert_none("crates that know what they must not:", &breaches);
}

#[test]
fn every_member_takes_the_workspace_lints() {
    let mut breaches = Vec::new();
    for (name, package) in members() {
        let manifest =
            std::fs::read_to_string(folder(package).join("Cargo.toml")).expect("a manifest");
        if !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(name);
        }
    }
    assert_none("manifests without `[lints] workspace = true`:", &breaches);
}

/// The names of all crates that a member needs at run time, however far down, when it is built
/// alone: what other members switch on does not count.
fn normal_closure(name: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = Command::new(cargo)
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--package", name])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let text = String::from_utf8(tree.stdout).expect("cargo writes UTF-8");
    assert!(
        tree.status.success(),
        "cargo tree -p {name}: {}",
        String::from_utf8_lossy(&tree.stderr)
    );
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}
