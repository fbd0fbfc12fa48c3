//! Rollouts are planned as OCM plans them, or better where `docs/ocm-differences.md` says so; and
//! the better is proved by cases of our own.
//!
//! A line has the strategy, the groups, the clusters with status and last transition, and what is
//! expected. Answers are texts: `c1=Progressing@<recheck>`. A line of OCM's that we answer
//! otherwise names the headings that say why, and has our answer beside OCM's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use skein_hub_core::rollout::{
    ClusterState, DecisionGroup, PlannedCluster, Rollout, RolloutStatus, plan,
};
use skein_schema::kind::rollout_strategy::RolloutStrategy;
use skein_schema::name::ClusterName;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    /// In lines of our own: what the line proves.
    #[serde(default)]
    rule: String,
    now: Timestamp,
    strategy: Value,
    groups: Vec<Group>,
    #[serde(default)]
    clusters: BTreeMap<ClusterName, (String, Option<Timestamp>)>,
    expect: Answer,
    /// Headings of the reasons why we answer otherwise.
    #[serde(default)]
    differs: Vec<String>,
    /// Our answer, if it is another.
    skein: Option<Answer>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    index: i32,
    #[serde(default)]
    name: String,
    clusters: BTreeSet<ClusterName>,
}

/// A plan, or the knobs that are refused.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Answer {
    error: Vec<String>,
    roll_out: Vec<String>,
    timed_out: Vec<String>,
    removed: Vec<String>,
    breach: bool,
    /// Seconds.
    recheck_after: Option<f64>,
    /// Names or indexes; told in lines of our own only.
    absent: Vec<String>,
}

fn status(text: &str) -> RolloutStatus {
    let all = [
        RolloutStatus::ToApply,
        RolloutStatus::Progressing,
        RolloutStatus::Succeeded,
        RolloutStatus::Failed,
        RolloutStatus::TimeOut,
        RolloutStatus::Skip,
    ];
    let named = |status: &RolloutStatus| format!("{status:?}") == text;
    all.into_iter().find(named).unwrap()
}

fn answer(case: &Case) -> Answer {
    let strategy = match RolloutStrategy::decode("rolloutStrategy", case.strategy.clone()) {
        Ok(strategy) => strategy,
        Err(errors) => {
            let knob = |path: &str| path.rsplit('.').next().unwrap().to_owned();
            let error = errors.iter().map(|error| knob(&error.path)).collect();
            return Answer {
                error,
                ..Answer::default()
            };
        }
    };
    let groups: Vec<_> = case
        .groups
        .iter()
        .map(|group| DecisionGroup {
            index: group.index,
            name: group.name.clone(),
            clusters: group.clusters.clone(),
        })
        .collect();
    let state = |(name, (text, since)): (&ClusterName, &(String, Option<Timestamp>))| {
        let state = ClusterState {
            status: status(text),
            last_transition: *since,
        };
        (name.clone(), state)
    };
    let clusters = case.clusters.iter().map(state).collect();
    let plan = plan(&Rollout {
        strategy: &strategy,
        groups: &groups,
        clusters: &clusters,
        now: case.now,
    });

    let recheck = |planned: &PlannedCluster| {
        let at = |time: Timestamp| format!("@{time}");
        planned.recheck.map(at).unwrap_or_default()
    };
    let stated = |planned: &PlannedCluster| format!("{}={:?}", planned.cluster, planned.status);
    let absent = plan.absent_mandatory_groups.iter().map(|group| {
        let index = group.group_index.unwrap_or_default();
        match group.group_name.as_str() {
            "" => index.to_string(),
            name => name.to_owned(),
        }
    });
    Answer {
        error: Vec::new(),
        roll_out: plan
            .to_roll_out
            .iter()
            .map(|planned| stated(planned) + &recheck(planned))
            .collect(),
        timed_out: plan
            .timed_out
            .iter()
            .map(|planned| planned.cluster.to_string() + &recheck(planned))
            .collect(),
        removed: plan.removed.iter().map(stated).collect(),
        breach: plan.breach.is_some(),
        recheck_after: plan.recheck_after.map(|time| time.as_secs_f64()),
        absent: absent.collect(),
    }
}

fn cases(lines: &str) -> Vec<Case> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The answer as lines of OCM's have it: in the order of names, without what OCM does not tell.
fn as_told_by_ocm(mut answer: Answer) -> Answer {
    answer.roll_out.sort();
    answer.timed_out.sort();
    answer.removed.sort();
    answer.absent.clear();
    answer
}

/// Rules by which we answer otherwise; each is a heading in `docs/ocm-differences.md`.
const DIFFERENCES: &[&str] = &[
    "A limit above the size tolerates every failure",
    "A stage is judged by its own clusters",
    "A timed-out cluster does not open the next group",
    "After a breach nothing starts",
    "Group indexes may have gaps",
    "Rollout knobs are checked when they are written",
    "What is in flight is counted before anything starts",
];

#[test]
fn plans_agree_with_ocm() {
    let cases = cases(include_str!("vectors/rollout.jsonl"));
    let mut agreed = 0;
    let mut differing: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        let found = as_told_by_ocm(answer(case));
        let Some(ours) = &case.skein else {
            assert!(case.differs.is_empty(), "{}", case.id);
            // OCM stops at the first refused knob.
            if let [first] = case.expect.error.as_slice() {
                assert!(found.error.contains(first), "{}: {found:?}", case.id);
            } else {
                assert_eq!(found, case.expect, "{}", case.id);
            }
            agreed += 1;
            continue;
        };
        assert_eq!(found, *ours, "{}", case.id);
        assert_ne!(*ours, case.expect, "{}: there is no difference", case.id);
        assert!(!case.differs.is_empty(), "{}", case.id);
        for reason in &case.differs {
            let known = DIFFERENCES.iter().find(|known| *known == reason);
            *differing.entry(known.unwrap()).or_default() += 1;
        }
    }
    println!(
        "{agreed} of {} agree; others by rule: {differing:?}",
        cases.len()
    );
    // Where indexes have gaps, the sample has no strategy that could be written.
    let missing = DIFFERENCES
        .iter()
        .filter(|known| !differing.contains_key(**known));
    assert_eq!(
        missing.collect::<Vec<_>>(),
        [&"Group indexes may have gaps"]
    );
    assert_eq!((agreed, cases.len()), (130, 219));
}

#[test]
fn our_own_cases_hold_and_cover_every_difference() {
    let cases = cases(include_str!("vectors/rollout_own.jsonl"));
    for case in &cases {
        assert_eq!(answer(case), case.expect, "{}: {}", case.id, case.rule);
    }
    let proved: BTreeSet<_> = cases.iter().map(|case| case.rule.as_str()).collect();
    let document = include_str!("../../../docs/ocm-differences.md");
    for difference in DIFFERENCES {
        assert!(
            document.contains(&format!("### {difference}\n")),
            "{difference}"
        );
        assert!(proved.contains(difference), "{difference} is not proved");
    }
}
