//! Placement agrees with OCM's answers, or with a better one that `docs/ocm-differences.md`
//! explains.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use skein_hub_core::placement::group::slices;
use skein_hub_core::placement::{Choice, LeftOut};

use super::question::{Answer, Question};

/// A question to OCM and its answer.
#[derive(Deserialize)]
struct Case {
    id: String,
    /// The headings in `docs/ocm-differences.md` of the rules by which our answer is another one.
    #[serde(default)]
    differs: Vec<String>,
    #[serde(flatten)]
    question: Question,
    #[serde(default)]
    misconfigured: bool,
    #[serde(default)]
    expect: Expected,
}

/// A prioritizer, its weight, and its scores.
type Prioritized = (String, i64, BTreeMap<String, i64>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Expected {
    available: Vec<String>,
    sets: Vec<String>,
    /// What is left after the predicates, and after the taints.
    filters: Vec<Vec<String>>,
    scores: BTreeMap<String, i64>,
    selected: Vec<String>,
    groups: Vec<(String, Vec<String>)>,
    condition: Option<(String, String)>,
    prioritizers: Option<Vec<Prioritized>>,
    /// Name, number of clusters and index of the group of each PlacementDecision.
    slices: Option<Vec<(String, usize, String)>>,
}

#[test]
fn placement_agrees_with_ocm() {
    let document = include_str!("../../../../docs/ocm-differences.md");
    let mut failures = Vec::new();
    let cases = include_str!("../vectors/placement.jsonl").lines();
    for line in cases {
        let case: Case = serde_json::from_str(line).unwrap();
        let found = match (case.question.rules(), case.misconfigured) {
            (Err(_), true) => Vec::new(),
            (Err(error), false) => vec![format!("refused: {error}")],
            (Ok(_), true) => vec!["OCM calls it misconfigured".to_owned()],
            (Ok(rules), false) => differences(&case.question.answer(&rules), &case.expect),
        };
        if found.is_empty() != case.differs.is_empty() {
            failures.push(format!("{}: {}", case.id, found.join("\n    ")));
        }
        for heading in &case.differs {
            let heading = format!("### {heading}\n");
            assert!(document.contains(&heading), "{}: {heading}", case.id);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Everything in which an answer is not OCM's.
fn differences(answer: &Answer, expected: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            found.push(format!("{what}: {ours}, OCM has {theirs}"));
        }
    };
    compare(
        "sets",
        format!("{:?}", answer.sets),
        format!("{:?}", expected.sets),
    );
    let available = &answer.available;
    compare(
        "available",
        format!("{available:?}"),
        format!("{:?}", expected.available),
    );
    if let Some(condition) = &expected.condition {
        let ours = (answer.satisfaction.status(), answer.satisfaction.reason());
        compare("condition", format!("{ours:?}"), format!("{condition:?}"));
    }
    let Some(choice) = &answer.choice else {
        return found;
    };
    for (theirs, by_taint) in expected.filters.iter().zip([false, true]) {
        let ours = kept(choice, available, by_taint);
        compare("filter", format!("{ours:?}"), format!("{theirs:?}"));
    }
    compare(
        "scores",
        format!("{:?}", scores(choice)),
        format!("{:?}", expected.scores),
    );
    if let Some(theirs) = &expected.prioritizers {
        let ours = choice.breakdown.iter().map(|breakdown| {
            let scores = choice.eligible.iter().zip(&breakdown.scores);
            let scores = scores.filter_map(|(name, score)| Some((name.to_string(), (*score)?)));
            (
                breakdown.prioritizer.to_string(),
                breakdown.weight,
                scores.collect(),
            )
        });
        compare(
            "prioritizers",
            prioritized(ours),
            prioritized(theirs.iter().cloned()),
        );
    }
    let chosen: Vec<_> = choice
        .chosen
        .iter()
        .map(|chosen| chosen.cluster.as_str())
        .collect();
    compare(
        "selected",
        format!("{chosen:?}"),
        format!("{:?}", expected.selected),
    );
    let groups: Vec<_> = choice
        .groups
        .iter()
        .map(|group| {
            let clusters = group
                .clusters
                .iter()
                .map(|chosen| chosen.cluster.to_string());
            (group.name.clone(), clusters.collect::<Vec<_>>())
        })
        .collect();
    compare(
        "groups",
        format!("{groups:?}"),
        format!("{:?}", expected.groups),
    );
    if let Some(theirs) = &expected.slices {
        let slices = slices(
            choice
                .groups
                .iter()
                .map(|group| (group.name.as_str(), group.clusters.as_slice())),
        );
        let ours: Vec<_> = slices
            .iter()
            .zip(1..)
            .map(|(slice, number)| {
                let index = slice.group.to_string();
                (
                    format!("web-decision-{number}"),
                    slice.decisions.len(),
                    index,
                )
            })
            .collect();
        compare("slices", format!("{ours:?}"), format!("{theirs:?}"));
    }
    found
}

/// The candidates that the predicates, and the taints, leave.
fn kept(choice: &Choice, available: &[String], by_taint: bool) -> Vec<String> {
    let out = choice.left_out.iter().filter(|(_, why)| match why {
        LeftOut::Predicate => true,
        LeftOut::Taint { .. } => by_taint,
        LeftOut::Spread { .. } | LeftOut::Rank { .. } => false,
    });
    let out: BTreeSet<&str> = out.map(|(cluster, _)| cluster.as_str()).collect();
    let kept = available
        .iter()
        .filter(|cluster| !out.contains(cluster.as_str()));
    kept.cloned().collect()
}

fn scores(choice: &Choice) -> BTreeMap<&str, i64> {
    let chosen = choice
        .chosen
        .iter()
        .map(|chosen| (chosen.cluster.as_str(), chosen.score));
    let others = choice
        .left_out
        .iter()
        .filter_map(|(cluster, why)| match why {
            LeftOut::Rank { score } | LeftOut::Spread { score, .. } => {
                Some((cluster.as_str(), *score))
            }
            LeftOut::Predicate | LeftOut::Taint { .. } => None,
        });
    chosen.chain(others).collect()
}

/// The scores of each prioritizer. OCM lists one twice that a placement names twice, and writes 0
/// where an add-on has no score.
fn prioritized(found: impl Iterator<Item = Prioritized>) -> String {
    let mut all: BTreeMap<String, (i64, BTreeMap<String, i64>)> = BTreeMap::new();
    for (name, weight, mut scores) in found {
        if name.starts_with("AddOn") {
            scores.retain(|_, score| *score != 0);
        }
        let entry = all.entry(name).or_default();
        entry.0 += weight;
        entry.1 = scores;
    }
    format!("{all:?}")
}
