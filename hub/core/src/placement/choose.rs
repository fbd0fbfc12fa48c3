//! The choice itself: who may be chosen, who is better, who is chosen, and why the others are not.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use skein_schema::kind::managed_cluster::TaintEffect;
use skein_schema::kind::placement::SortBy;
use skein_schema::name::ClusterName;

use super::facts::ClusterFacts;
use super::group::{Group, group};
use super::prioritize::{Judgement, Load, Prioritizer, Scores, Subject, judge};
use super::rules::Rules;
use super::spread::{Candidate, spread};
use super::toleration::{Standing, standing};

/// How many steps the expressions of a placement may take together in one choice: something like
/// half a second.
pub const MAX_STEPS_OF_CHOICE: u64 = 10_000_000;

/// What a choice depends on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The placement.
    pub rules: &'a Rules,
    /// The clusters of its sets that are not being deleted, in the order of their names.
    pub clusters: &'a [&'a ClusterFacts],
    /// The clusters that it has now.
    pub current: &'a BTreeSet<ClusterName>,
    /// What all placements have now, this one included.
    pub load: &'a Load,
    /// Scores that others compute.
    pub scores: &'a dyn Scores,
    /// How long clusters that it has are kept after they were lost, as if that were tolerated.
    pub lost_for: SignedDuration,
    /// The time of the choice.
    pub now: Timestamp,
}

/// A choice, and how it came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// How many clusters there were to choose from.
    pub candidates: usize,
    /// The chosen clusters, in the order in which they were chosen.
    pub chosen: Vec<Chosen>,
    /// The other candidates, in the order of their names.
    pub left_out: Vec<(ClusterName, LeftOut)>,
    /// How many clusters fewer than asked for there are; `None` if no number was asked for.
    pub missing: Option<usize>,
    /// The chosen clusters in their groups.
    pub groups: Vec<Group>,
    /// The candidates that may be chosen, in the order of their names.
    pub eligible: Vec<ClusterName>,
    /// The scores that the totals are made of.
    pub breakdown: Vec<Breakdown>,
    /// Scores that were too old to count.
    pub expired: Vec<(ClusterName, Prioritizer)>,
    /// The steps that expressions took.
    pub steps: u64,
    /// When the choice may be another one although nothing has happened.
    pub recheck_at: Option<Timestamp>,
}

/// A chosen cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub cluster: ClusterName,
    /// The sum of its weighted scores.
    pub score: i64,
}

/// Why a candidate is not chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It meets none of the predicates.
    Predicate,
    /// It has a taint that is not tolerated.
    Taint {
        /// The taint's key.
        key: String,
        /// The taint's effect.
        effect: TaintEffect,
    },
    /// One more cluster of its topology would break a strict spread constraint.
    Spread {
        /// Index of the constraint in the placement.
        constraint: usize,
        /// The sum of its weighted scores.
        score: i64,
    },
    /// Others are better, and there are enough of them.
    Rank {
        /// The sum of its weighted scores.
        score: i64,
    },
}

/// The scores of one prioritizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// Which prioritizer.
    pub prioritizer: Prioritizer,
    /// What its scores are multiplied with.
    pub weight: i64,
    /// Its score of each cluster in [`Choice::eligible`]; `None` counts as 0.
    pub scores: Vec<Option<i64>>,
}

/// A cluster that may be chosen.
struct Eligible<'a> {
    facts: &'a ClusterFacts,
    /// The placement has it now.
    chosen: bool,
    avoided: bool,
    score: i64,
}

/// A choice takes too long. Whatever the placement has chosen before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overrun {
    /// The expressions do.
    #[error(
        "the expressions of its predicates take more than {MAX_STEPS_OF_CHOICE} steps over its clusters"
    )]
    Expressions,
    /// Spreading does: too many clusters over too many topologies.
    #[error("its clusters have too many values for the keys of its spread constraints")]
    Topologies,
}

/// Makes the choice.
///
/// # Errors
/// When it would take too long.
pub fn choose(inputs: &Inputs<'_>) -> Result<Choice, Overrun> {
    let mut choice = Choice {
        candidates: inputs.clusters.len(),
        ..Choice::default()
    };
    let mut eligible = filter(inputs, &mut choice)?;
    score(inputs, &mut eligible, &mut choice);
    select(inputs.rules, &eligible, &mut choice)?;
    choice
        .left_out
        .sort_by(|(left, _), (right, _)| left.cmp(right));

    let mut ordered = choice.chosen.clone();
    match inputs.rules.sort_by {
        SortBy::ClusterName => ordered.sort_by(|left, right| left.cluster.cmp(&right.cluster)),
        SortBy::Score => {
            ordered.sort_by(|left, right| {
                (Reverse(left.score), &left.cluster).cmp(&(Reverse(right.score), &right.cluster))
            });
        }
    }
    choice.groups = group(&inputs.rules.groups, &ordered, |selector, cluster| {
        let found = inputs
            .clusters
            .binary_search_by(|facts| facts.name().cmp(cluster));
        found.is_ok_and(|index| selector.matches(inputs.clusters[index]))
    });
    Ok(choice)
}

/// Leaves out who may not be chosen.
fn filter<'a>(inputs: &Inputs<'a>, choice: &mut Choice) -> Result<Vec<Eligible<'a>>, Overrun> {
    let rules = inputs.rules;
    // Both are in the order of names.
    let mut current = inputs.current.iter().peekable();
    let mut eligible = Vec::with_capacity(inputs.clusters.len());
    for facts in inputs.clusters {
        let name = facts.name();
        while current.next_if(|chosen| *chosen < name).is_some() {}
        let chosen = current.peek() == Some(&name);
        let mut met = rules.predicates.is_empty();
        for predicate in &rules.predicates {
            let found = predicate.met_by(facts, inputs.scores);
            choice.steps += found.steps;
            if choice.steps > MAX_STEPS_OF_CHOICE {
                return Err(Overrun::Expressions);
            }
            met |= found.yes;
            if met {
                break;
            }
        }
        if !met {
            choice.left_out.push((name.clone(), LeftOut::Predicate));
            continue;
        }
        match standing(
            facts.taints(),
            &rules.tolerations,
            chosen,
            inputs.lost_for,
            inputs.now,
        ) {
            Standing::Repelled(taint) => {
                let why = LeftOut::Taint {
                    key: taint.key.clone(),
                    effect: taint.effect,
                };
                choice.left_out.push((name.clone(), why));
            }
            Standing::Eligible { avoided, until } => {
                recheck(choice, until);
                eligible.push(Eligible {
                    facts,
                    chosen,
                    avoided,
                    score: 0,
                });
            }
        }
    }
    Ok(eligible)
}

/// Adds up the scores of who may be chosen.
fn score(inputs: &Inputs<'_>, eligible: &mut [Eligible<'_>], choice: &mut Choice) {
    let clusters: Vec<&ClusterFacts> = eligible.iter().map(|eligible| eligible.facts).collect();
    let chosen: Vec<bool> = eligible.iter().map(|eligible| eligible.chosen).collect();
    let subject = Subject {
        clusters: &clusters,
        chosen: &chosen,
        current: inputs.current,
        load: inputs.load,
        scores: inputs.scores,
        now: inputs.now,
    };
    for (prioritizer, weight) in &inputs.rules.prioritizers {
        let Judgement {
            scores,
            expired,
            until,
        } = judge(prioritizer, &subject);
        for (eligible, score) in eligible.iter_mut().zip(&scores) {
            eligible.score += weight * score.unwrap_or(0);
        }
        let expired = expired.into_iter();
        choice
            .expired
            .extend(expired.map(|cluster| (cluster, prioritizer.clone())));
        // A score is still good in its last moment.
        let after = until.and_then(|until| until.checked_add(SignedDuration::from_millis(1)).ok());
        recheck(choice, after);
        choice.breakdown.push(Breakdown {
            prioritizer: prioritizer.clone(),
            weight: *weight,
            scores,
        });
    }
    choice.eligible = clusters.iter().map(|facts| facts.name().clone()).collect();
}

/// Chooses the best, evenly spread.
fn select(rules: &Rules, eligible: &[Eligible<'_>], choice: &mut Choice) -> Result<(), Overrun> {
    let mut ranked: Vec<usize> = (0..eligible.len()).collect();
    // They stand in the order of their names, so equal scores are decided by name.
    ranked.sort_by_key(|index| {
        let found = &eligible[*index];
        (found.avoided, Reverse(found.score))
    });
    let limit = rules.number_of_clusters.unwrap_or(eligible.len());
    let mut kept_out = Vec::new();
    let chosen: Vec<usize> = if rules.spread.is_empty() {
        ranked.iter().copied().take(limit).collect()
    } else {
        let candidates: Vec<Candidate<'_>> = ranked
            .iter()
            .map(|index| Candidate {
                avoided: eligible[*index].avoided,
                topologies: rules.topologies(eligible[*index].facts),
            })
            .collect();
        let spread_rules: Vec<_> = rules.spread.iter().map(|(_, rule)| *rule).collect();
        let found = spread(&candidates, &spread_rules, limit).ok_or(Overrun::Topologies)?;
        kept_out = found.kept_out;
        found.chosen.iter().map(|place| ranked[*place]).collect()
    };
    let mut fates: Vec<Option<LeftOut>> = eligible
        .iter()
        .map(|found| Some(LeftOut::Rank { score: found.score }))
        .collect();
    for (place, constraint) in kept_out {
        let index = ranked[place];
        let score = eligible[index].score;
        fates[index] = Some(LeftOut::Spread { constraint, score });
    }
    for index in &chosen {
        fates[*index] = None;
    }
    let left_out = eligible.iter().zip(fates);
    let left_out = left_out.filter_map(|(found, fate)| Some((found.facts.name().clone(), fate?)));
    choice.left_out.extend(left_out);
    choice.chosen = chosen
        .into_iter()
        .map(|index| Chosen {
            cluster: eligible[index].facts.name().clone(),
            score: eligible[index].score,
        })
        .collect();
    choice.missing = rules
        .number_of_clusters
        .map(|wanted| wanted.saturating_sub(choice.chosen.len()));
    Ok(())
}

fn recheck(choice: &mut Choice, at: Option<Timestamp>) {
    choice.recheck_at = choice.recheck_at.into_iter().chain(at).min();
}
