//! What Skein does beside OCM: spreading, avoiding, sorting, refusing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use skein_hub_core::placement::cel_selector::ScoreList;
use skein_hub_core::placement::{
    Choice, ClusterFacts, Inputs, LeftOut, Load, Overrun, Rules, ScoreOf, Scores, choose,
};
use skein_schema::kind::placement::{AddOnScore, PlacementSpec};
use skein_schema::name::ClusterName;

/// A rule, shown by an example.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    rule: String,
    /// Labels by cluster.
    clusters: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    taints: BTreeMap<String, Value>,
    #[serde(default)]
    claims: BTreeMap<String, BTreeMap<String, String>>,
    /// What the placement has now.
    #[serde(default)]
    current: BTreeSet<ClusterName>,
    spec: PlacementSpec,
    /// In the order of choosing.
    #[serde(default)]
    chosen: Vec<String>,
    /// Why each other cluster is not chosen.
    #[serde(default)]
    left_out: BTreeMap<String, String>,
    #[serde(default)]
    recheck_at: Option<Timestamp>,
    #[serde(default)]
    groups: Option<Vec<Vec<String>>>,
    /// The fields that are wrong.
    #[serde(default)]
    refused: Vec<String>,
}

/// Nobody has scored anything.
pub(crate) struct NoScores;

impl Scores for NoScores {
    fn score(&self, _: &ClusterName, _: &AddOnScore) -> Option<ScoreOf> {
        None
    }

    fn all_scores(&self, _: &ClusterName, _: &str) -> Option<ScoreList> {
        None
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-03-14T12:00:00Z".parse().unwrap()
}

pub(crate) fn cluster(name: &str, labels: &Value, taints: &Value, claims: &Value) -> ClusterFacts {
    let claims = claims.as_object().into_iter().flatten();
    let claims: Vec<_> = claims
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let object = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"clusterClaims": claims},
    });
    ClusterFacts::new(serde_json::from_value(object).unwrap()).unwrap()
}

fn choice(case: &Case, rules: &Rules) -> Result<Choice, Overrun> {
    let clusters: Vec<ClusterFacts> = case
        .clusters
        .iter()
        .map(|(name, labels)| {
            let taints = case.taints.get(name).cloned().unwrap_or(json!([]));
            cluster(name, &json!(labels), &taints, &json!(case.claims.get(name)))
        })
        .collect();
    choose(&Inputs {
        rules,
        clusters: &clusters.iter().collect::<Vec<_>>(),
        current: &case.current,
        load: &Load::default(),
        scores: &NoScores,
        lost_for: jiff::SignedDuration::ZERO,
        now: now(),
    })
}

fn why(left_out: &LeftOut) -> String {
    match left_out {
        LeftOut::Predicate => "predicate".to_owned(),
        LeftOut::Taint { key, effect } => format!("taint {key} {effect:?}"),
        LeftOut::Spread { constraint, .. } => format!("spread {constraint}"),
        LeftOut::Rank { .. } => "rank".to_owned(),
    }
}

#[test]
fn every_rule_is_kept() {
    for line in include_str!("../vectors/placement_own.jsonl").lines() {
        let case: Case =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let rule = &case.rule;
        let rules = match Rules::new(&case.spec) {
            Ok(rules) => rules,
            Err(errors) => {
                let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
                assert_eq!(paths, case.refused, "{rule}");
                continue;
            }
        };
        assert!(case.refused.is_empty(), "{rule}: is not refused");
        let choice = choice(&case, &rules).unwrap();
        let chosen: Vec<_> = choice
            .chosen
            .iter()
            .map(|chosen| chosen.cluster.as_str())
            .collect();
        assert_eq!(chosen, case.chosen, "{rule}");
        let left_out = choice.left_out.iter();
        let left_out: BTreeMap<_, _> = left_out
            .map(|(cluster, left_out)| (cluster.to_string(), why(left_out)))
            .collect();
        assert_eq!(left_out, case.left_out, "{rule}");
        assert_eq!(choice.recheck_at, case.recheck_at, "{rule}");
        if let Some(expected) = &case.groups {
            let names = |group: &skein_hub_core::placement::Group| -> Vec<String> {
                group
                    .clusters
                    .iter()
                    .map(|chosen| chosen.cluster.to_string())
                    .collect()
            };
            let groups: Vec<_> = choice.groups.iter().map(names).collect();
            assert_eq!(&groups, expected, "{rule}");
        }
    }
}

#[test]
fn an_expression_that_takes_too_long_over_the_fleet_stops() {
    let slow = format!(
        "[{}].all(x, [1,2,3,4,5,6,7,8,9].all(y, x * y >= 0))",
        vec!["1"; 400].join(",")
    );
    let spec = json!({"predicates": [{"requiredClusterSelector": {"celSelector": {"celExpressions": [slow]}}}]});
    let case = Case {
        rule: String::new(),
        clusters: (0..5_000)
            .map(|number| (format!("c{number:04}"), BTreeMap::new()))
            .collect(),
        taints: BTreeMap::new(),
        claims: BTreeMap::new(),
        current: BTreeSet::new(),
        spec: serde_json::from_value(spec).unwrap(),
        chosen: Vec::new(),
        left_out: BTreeMap::new(),
        recheck_at: None,
        groups: None,
        refused: Vec::new(),
    };
    let rules = Rules::new(&case.spec).unwrap();
    assert_eq!(choice(&case, &rules), Err(Overrun::Expressions));
}
