//! OCM's answers, case by case. `vectors/*.jsonl` has the cases; a case whose answer differs here
//! on purpose is named with the heading of its reason in `docs/ocm-differences.md`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "vectors/aggregate.rs"]
mod aggregate;
#[path = "vectors/conditions.rs"]
mod conditions;
#[path = "vectors/feedback.rs"]
mod feedback;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skein_agent_core::deletion::{Target, owned_by_work};
use skein_agent_core::{manifest_config, order};
use skein_schema::kind::manifest_work::{DeleteOption, ManifestConfigOption, ManifestResourceMeta};
use std::path::Path;

/// Heading of the difference that the cases of several files share.
const CHECKED: &str = "What the schema refuses does not reach the agent";

/// One case.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    tags: Vec<String>,
    input: Value,
    output: Value,
}

impl Case {
    fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| t == tag)
    }
}

/// The cases of a file. `$name` values stand for shared objects of the file's first line.
fn cases(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines().peekable();
    let shared: Value = match lines.next_if(|line| line.starts_with("{\"shared\"")) {
        Some(line) => serde_json::from_str::<Value>(line).unwrap()["shared"].take(),
        None => json!({}),
    };
    let case = |line: &str| {
        let mut case: Case = serde_json::from_str(line).unwrap();
        expand(&mut case.input, &shared);
        expand(&mut case.output, &shared);
        case
    };
    let cases: Vec<Case> = lines.map(case).collect();
    assert!(!cases.is_empty(), "{name} has no cases");
    cases
}

fn expand(value: &mut Value, shared: &Value) {
    match value {
        Value::String(text) if text.starts_with('$') => {
            if let Some(object) = shared.get(&text[1..]) {
                *value = object.clone();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| expand(item, shared)),
        Value::Object(map) => map.values_mut().for_each(|member| expand(member, shared)),
        _ => {}
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// Checks every case and reports all that fail.
fn check(
    name: &str,
    differences: &[(&str, &[&str])],
    answer: impl Fn(&Case) -> Result<(), String>,
) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ocm-differences.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for (heading, _) in differences {
        assert!(
            docs.contains(&format!("### {heading}\n")),
            "docs/ocm-differences.md lacks {heading:?}"
        );
    }
    let mut failed = Vec::new();
    let mut agreed = 0;
    for case in cases(name) {
        let differs = differences
            .iter()
            .any(|(_, ids)| ids.contains(&case.id.as_str()));
        match (answer(&case), differs) {
            (Ok(()), false) => agreed += 1,
            (Err(_), true) => {}
            (Ok(()), true) => {
                failed.push(format!("{}: agrees, but is named a difference", case.id));
            }
            (Err(why), false) => failed.push(format!("{} {:?}: {why}", case.id, case.tags)),
        }
    }
    println!("{name}: {agreed} cases agree");
    assert!(
        failed.is_empty(),
        "{name}: {} cases fail\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Compares and says how the two differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, ocm: &T) -> Result<(), String> {
    if ours == ocm {
        Ok(())
    } else {
        Err(format!("{what}\n  ours {ours:?}\n  OCM  {ocm:?}"))
    }
}

#[test]
fn kind_order() {
    check("kindorder.jsonl", &[], |case| {
        let manifests = case.input["manifests"].as_array().unwrap();
        let kinds: Vec<&str> = manifests
            .iter()
            .map(|m| m["kind"].as_str().unwrap_or_default())
            .collect();
        let ranks: Vec<u16> = kinds.iter().map(|kind| order::rank(kind)).collect();
        same("ranks", &json!(ranks), &case.output["ranks"])?;
        same(
            "order",
            &json!(order::apply_order(&kinds)),
            &case.output["applyOrder"],
        )?;
        let waved: Vec<usize> = order::waves(&kinds).into_iter().flatten().collect();
        same("waves", &json!(waved), &case.output["applyOrder"])
    });
}

/// Unknown scrape types.
const SCRAPE_TYPES: &[(&str, &[&str])] = &[(
    CHECKED,
    &[
        "manifestconfig-0117",
        "manifestconfig-0119",
        "manifestconfig-0127",
        "manifestconfig-0129",
        "manifestconfig-0130",
    ],
)];

#[test]
fn manifest_configs() {
    check("manifestconfig.jsonl", SCRAPE_TYPES, |case| {
        let mut resource = case.input["resource"].clone();
        resource["ordinal"] = json!(0);
        let resource: ManifestResourceMeta = read(&resource).unwrap();
        let configs: Vec<ManifestConfigOption> = read(&case.input["manifestConfigs"])
            .or_else(|| case.input["manifestConfigs"].is_null().then(Vec::new))
            .ok_or("the configs cannot be read")?;
        let indexes = manifest_config::matching(&resource, &configs);
        same("matches", &json!(indexes), &case.output["matchingIndexes"])?;
        let expected: Option<ManifestConfigOption> = match &case.output["option"] {
            Value::Null => None,
            option => Some(read(option).ok_or("OCM's option cannot be read")?),
        };
        same(
            "option",
            &manifest_config::find(&resource, &configs),
            &expected,
        )
    });
}

/// Unknown policies, and a rule without resource.
const POLICIES: &[(&str, &[&str])] = &[(
    CHECKED,
    &[
        "delete-0039",
        "delete-0056",
        "delete-0057",
        "delete-0059",
        "delete-0064",
        "delete-0066",
        "delete-0107",
    ],
)];

#[test]
fn deletion() {
    check("delete.jsonl", POLICIES, |case| {
        let option: Option<DeleteOption> = match &case.input["deleteOption"] {
            Value::Null => None,
            option => Some(read(option).ok_or("the option cannot be read")?),
        };
        let text = |key: &str| case.input["resource"][key].as_str().unwrap_or_default();
        let target = Target {
            group: text("group"),
            resource: text("resource"),
            namespace: text("namespace"),
            name: text("name"),
        };
        let action = if owned_by_work(option.as_ref(), target) {
            "delete"
        } else {
            "orphan"
        };
        same("action", &json!(action), &case.output["action"])
    });
}
