//! Prioritizers: which clusters are better.
//!
//! Scores run from -100 to 100 and are whole numbers. Where OCM computes in floating point and
//! drops the fraction, so does this, operation by operation: exact arithmetic would give other
//! numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use skein_schema::kind::placement::AddOnScore;
use skein_schema::name::ClusterName;

use super::cel_selector::ScoreList;
use super::facts::ClusterFacts;

/// The best score.
pub const MAX_SCORE: i64 = 100;

/// Something that makes clusters better or worse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prioritizer {
    /// Clusters that few other placements have chosen.
    Balance,
    /// Clusters that the placement has now.
    Steady,
    /// Clusters with much allocatable CPU.
    ResourceAllocatableCpu,
    /// Clusters with much allocatable memory.
    ResourceAllocatableMemory,
    /// Clusters with a high score in an AddOnPlacementScore.
    AddOn(AddOnScore),
}

impl Prioritizer {
    /// Names of the scores that the hub computes, as a placement writes them.
    pub const BUILT_IN: [&'static str; 4] = [
        "Balance",
        "Steady",
        "ResourceAllocatableCPU",
        "ResourceAllocatableMemory",
    ];

    /// The prioritizer that a placement means with `builtIn`.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        Some(match name {
            "Balance" => Self::Balance,
            "Steady" => Self::Steady,
            "ResourceAllocatableCPU" => Self::ResourceAllocatableCpu,
            "ResourceAllocatableMemory" => Self::ResourceAllocatableMemory,
            _ => return None,
        })
    }
}

impl fmt::Display for Prioritizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance => f.write_str("Balance"),
            Self::Steady => f.write_str("Steady"),
            Self::ResourceAllocatableCpu => f.write_str("ResourceAllocatableCPU"),
            Self::ResourceAllocatableMemory => f.write_str("ResourceAllocatableMemory"),
            Self::AddOn(score) => {
                write!(f, "AddOn/{}/{}", score.resource_name, score.score_name)
            }
        }
    }
}

/// What all placements together have chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    placements: BTreeMap<ClusterName, i64>,
}

impl Load {
    /// Counts a placement's decision in.
    pub fn add(&mut self, cluster: &ClusterName) {
        *self.placements.entry(cluster.clone()).or_default() += 1;
    }

    /// Counts a placement's decision out.
    pub fn remove(&mut self, cluster: &ClusterName) {
        if let Some(count) = self.placements.get_mut(cluster) {
            *count -= 1;
            if *count <= 0 {
                self.placements.remove(cluster);
            }
        }
    }

    /// How many placements have each of the clusters, but for the one that has chosen `own`; and the
    /// most that any cluster has, candidate or not.
    fn of_others(
        &self,
        clusters: &[&ClusterFacts],
        own: &BTreeSet<ClusterName>,
    ) -> (Vec<i64>, i64) {
        // All of them are in the order of names: one walk finds everything.
        let mut own = own.iter().peekable();
        let mut most = 0;
        let mut counts = vec![0; clusters.len()];
        let mut candidates = clusters.iter().zip(&mut counts).peekable();
        for (cluster, all) in &self.placements {
            while own.next_if(|own| *own < cluster).is_some() {}
            let count = all - i64::from(own.peek() == Some(&cluster));
            most = most.max(count);
            while candidates
                .next_if(|(facts, _)| facts.name() < cluster)
                .is_some()
            {}
            if let Some((_, found)) = candidates.next_if(|(facts, _)| facts.name() == cluster) {
                *found = count;
            }
        }
        (counts, most)
    }
}

/// A score as an AddOnPlacementScore holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoreOf {
    /// The value, if the object has a score of that name.
    pub value: Option<i64>,
    /// Until when all scores of the object are good; for ever if absent.
    pub valid_until: Option<Timestamp>,
}

/// Looks up scores.
pub trait Scores {
    /// A score of the AddOnPlacementScore in the cluster's namespace, `None` if there is no such
    /// object.
    fn score(&self, cluster: &ClusterName, score: &AddOnScore) -> Option<ScoreOf>;

    /// All scores of an AddOnPlacementScore in the cluster's namespace, for expressions; `None` if
    /// there is no such object.
    fn all_scores(&self, cluster: &ClusterName, name: &str) -> Option<ScoreList>;
}

/// What a prioritizer looks at.
pub(super) struct Subject<'a> {
    /// The clusters that may be chosen.
    pub(super) clusters: &'a [&'a ClusterFacts],
    /// Those that the placement has.
    pub(super) current: &'a BTreeSet<ClusterName>,
    /// Whether each of the clusters is one of them.
    pub(super) chosen: &'a [bool],
    pub(super) load: &'a Load,
    pub(super) scores: &'a dyn Scores,
    pub(super) now: Timestamp,
}

/// The scores of a prioritizer, in the order of the clusters. `None` is no score, and counts as 0.
pub(super) struct Judgement {
    pub(super) scores: Vec<Option<i64>>,
    /// Clusters whose score is no longer good.
    pub(super) expired: Vec<ClusterName>,
    /// When the next score ceases to be good.
    pub(super) until: Option<Timestamp>,
}

/// Scores clusters.
pub(super) fn judge(prioritizer: &Prioritizer, subject: &Subject<'_>) -> Judgement {
    let scores = match prioritizer {
        Prioritizer::Balance => balance(subject),
        Prioritizer::Steady => steady(subject),
        Prioritizer::ResourceAllocatableCpu => {
            resource(subject.clusters, ClusterFacts::allocatable_cpu)
        }
        Prioritizer::ResourceAllocatableMemory => {
            resource(subject.clusters, ClusterFacts::allocatable_memory)
        }
        Prioritizer::AddOn(score) => return add_on(subject, score),
    };
    Judgement {
        scores,
        expired: Vec::new(),
        until: None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "OCM's arithmetic; counts and scores are small"
)]
fn balance(subject: &Subject<'_>) -> Vec<Option<i64>> {
    let (counts, most) = subject.load.of_others(subject.clusters, subject.current);
    let score = |count: i64| {
        if count == 0 || most == 0 {
            MAX_SCORE
        } else {
            2 * ((100.0 * (0.5 - count as f64 / most as f64)) as i64)
        }
    };
    counts.into_iter().map(score).map(Some).collect()
}

fn steady(subject: &Subject<'_>) -> Vec<Option<i64>> {
    let score = |chosen: &bool| Some(if *chosen { MAX_SCORE } else { 0 });
    subject.chosen.iter().map(score).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "OCM's arithmetic; the value is between -100 and 100"
)]
fn resource(
    clusters: &[&ClusterFacts],
    allocatable: impl Fn(&ClusterFacts) -> Option<f64>,
) -> Vec<Option<i64>> {
    let amounts: Vec<Option<f64>> = clusters
        .iter()
        .map(|cluster| allocatable(cluster))
        .collect();
    let known = || amounts.iter().copied().flatten();
    let least = known().fold(f64::INFINITY, f64::min);
    let most = known().fold(f64::NEG_INFINITY, f64::max);
    let span = most - least;
    let score = |amount: f64| {
        if span > 0.0 {
            (((amount - least) / span - 0.5) * 2.0 * 100.0) as i64
        } else {
            MAX_SCORE
        }
    };
    amounts
        .into_iter()
        .map(|amount| amount.map(score))
        .collect()
}

fn add_on(subject: &Subject<'_>, score: &AddOnScore) -> Judgement {
    let mut judgement = Judgement {
        scores: Vec::with_capacity(subject.clusters.len()),
        expired: Vec::new(),
        until: None,
    };
    for cluster in subject.clusters {
        let found = subject.scores.score(cluster.name(), score);
        let value = found.and_then(|found| match found.valid_until {
            // It is good at its last moment, too.
            Some(until) if until < subject.now => {
                judgement.expired.push(cluster.name().clone());
                None
            }
            until => {
                judgement.until = judgement.until.into_iter().chain(until).min();
                found.value
            }
        });
        judgement.scores.push(value);
    }
    judgement
}
