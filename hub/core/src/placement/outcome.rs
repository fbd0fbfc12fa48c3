//! What a placement decides in a world, and whether that is worth recording.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use skein_schema::event::PlacementDecided;
use skein_schema::event::placement::{
    DecidedAgainst, DecidedGroup, DecidedScores, ExpiredScore, Reason, Satisfied,
};
use skein_schema::kind::managed_cluster::TAINT_UNREACHABLE;
use skein_schema::kind::placement::{AddOnScore, Placement};
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::cel_selector::ScoreList;
use super::choose::{Choice, Inputs, LeftOut, Overrun, choose};
use super::facts::ClusterFacts;
use super::prioritize::{ScoreOf, Scores};
use super::rules::Rules;
use super::satisfaction::Satisfaction;
use super::scope::scope;
use crate::clusterset::SetMembership;
use crate::world::{DecisionRecord, World, uid};

/// Largest record with the scores of every cluster in it, in bytes.
const SCORES_MAX: usize = 512 * 1024;
/// Clusters that must have been lost at once to make it look like a partition.
const PARTITION_MIN: usize = 3;

/// What came out.
pub(super) struct Outcome {
    /// What is to be recorded, if it is another decision than the last.
    pub(super) event: Option<PlacementDecided>,
    /// When to look again.
    pub(super) again: Option<Timestamp>,
}

/// Lets a placement decide.
pub(super) fn of(
    world: &World,
    clusters: &BTreeMap<ClusterName, Arc<ClusterFacts>>,
    key: &ObjectKey,
    placement: &Placement,
    rules: &Rules,
    now: Timestamp,
) -> Outcome {
    let before = world.decision(key);
    let before = before.filter(|before| Some(before.decided.uid) == uid_of(placement));
    let mut decided = PlacementDecided {
        key: key.clone(),
        uid: uid_of(placement).unwrap_or_default(),
        generation: placement.metadata.generation.unwrap_or(1),
        sets: Vec::new(),
        groups: vec![DecidedGroup::default()],
        left_out: Vec::new(),
        scores: Vec::new(),
        expired: Vec::new(),
        satisfied: satisfied(&Satisfaction::NoBindings),
        kept_because: None,
        recheck_at: None,
    };
    let bound = bound(world, key);
    match scope(&bound, &rules.cluster_sets) {
        Err(satisfaction) => decided.satisfied = satisfied(&satisfaction),
        Ok(sets) => {
            let names = sets.iter().filter_map(|set| ObjectName::new(set).ok());
            decided.sets = names.collect();
            let members = members(world, clusters, &sets);
            match choice(world, &members, before, rules, now) {
                Ok(choice) => {
                    decided.satisfied = satisfied(&Satisfaction::of(&choice, sets));
                    fill(&mut decided, choice, rules);
                }
                Err(overrun) => keep(&mut decided, before, &overrun),
            }
        }
    }
    settle(decided, before, rules, now)
}

/// Records a decision that differs from the last one; one that differs only in its scores, not
/// before the last ones are old enough.
fn settle(
    mut decided: PlacementDecided,
    before: Option<&DecisionRecord>,
    rules: &Rules,
    now: Timestamp,
) -> Outcome {
    let again = decided.recheck_at;
    let soonest = |at: Timestamp| Some(again.map_or(at, |again| again.min(at)));
    if let Some(before) = before {
        let changed = essence(&before.decided) != essence(&decided);
        if !changed && before.decided.scores == decided.scores {
            return Outcome { event: None, again };
        }
        let stand_until = before.time.checked_add(rules.score_rate_limit).ok();
        if let Some(until) = stand_until.filter(|until| !changed && *until > now) {
            let again = soonest(until);
            return Outcome { event: None, again };
        }
    }
    if serde_json::to_vec(&decided).map_or(0, |bytes| bytes.len()) > SCORES_MAX {
        decided.scores.clear();
    }
    Outcome {
        event: Some(decided),
        again,
    }
}

/// What makes a decision another one: all but the scores, and when to look again.
fn essence(decided: &PlacementDecided) -> PlacementDecided {
    let mut essence = decided.clone();
    essence.scores.clear();
    essence.recheck_at = None;
    for group in &mut essence.groups {
        for (_, score) in &mut group.clusters {
            *score = 0;
        }
    }
    essence
}

fn uid_of(placement: &Placement) -> Option<uuid::Uuid> {
    uid(&Resource::from(placement.clone()))
}

fn satisfied(satisfaction: &Satisfaction) -> Satisfied {
    Satisfied {
        status: satisfaction.status() == "True",
        reason: satisfaction.reason().to_owned(),
        message: satisfaction.message(),
    }
}

/// The sets that are bound to a placement's namespace and exist.
fn bound<'a>(world: &'a World, key: &ObjectKey) -> BTreeSet<&'a str> {
    let Some(workspace) = &key.workspace else {
        return BTreeSet::new();
    };
    let bindings = world.iter_in(KindName::ManagedClusterSetBinding, workspace);
    let names = bindings.map(|(binding, _)| &binding.name);
    let exists = |set: &&ObjectName| {
        let key = ObjectKey::cluster_scoped(KindName::ManagedClusterSet, (*set).clone());
        world.get(&key).is_some()
    };
    names.filter(exists).map(ObjectName::as_str).collect()
}

/// The members of sets, in the order of their names.
fn members<'a>(
    world: &World,
    clusters: &'a BTreeMap<ClusterName, Arc<ClusterFacts>>,
    sets: &BTreeSet<&str>,
) -> Vec<&'a ClusterFacts> {
    let memberships = sets.iter().filter_map(|set| {
        let name = ObjectName::new(set).ok()?;
        let key = ObjectKey::cluster_scoped(KindName::ManagedClusterSet, name);
        match &**world.get(&key)? {
            Resource::ManagedClusterSet(set) => SetMembership::new(set).ok(),
            _ => None,
        }
    });
    let memberships: Vec<SetMembership> = memberships.collect();
    let clusters = clusters.values().map(|facts| &**facts);
    clusters
        .filter(|facts| memberships.iter().any(|set| set.contains(facts.labels())))
        .collect()
}

fn choice(
    world: &World,
    members: &[&ClusterFacts],
    before: Option<&DecisionRecord>,
    rules: &Rules,
    now: Timestamp,
) -> Result<Choice, Overrun> {
    let current: BTreeSet<ClusterName> = before
        .map(|before| before.clusters().cloned().collect())
        .unwrap_or_default();
    choose(&Inputs {
        rules,
        clusters: members,
        current: &current,
        load: world.load(),
        scores: &Stored(world),
        hold_lost: is_partition(members),
        now,
    })
}

/// Whether so many clusters are lost at once that the hub's own network is the likely cause: a
/// third of those it may choose from. Nothing is moved then.
fn is_partition(members: &[&ClusterFacts]) -> bool {
    let lost = members.iter().filter(|facts| {
        let mut taints = facts.taints().iter();
        taints.any(|taint| taint.key == TAINT_UNREACHABLE)
    });
    let lost = lost.count();
    lost >= PARTITION_MIN && lost * 3 >= members.len()
}

fn fill(decided: &mut PlacementDecided, choice: Choice, rules: &Rules) {
    let group = |group: super::group::Group| DecidedGroup {
        name: group.name,
        clusters: group
            .clusters
            .into_iter()
            .map(|chosen| (chosen.cluster, chosen.score))
            .collect(),
    };
    decided.groups = choice.groups.into_iter().map(group).collect();
    let mut against: BTreeMap<Reason, Vec<ClusterName>> = BTreeMap::new();
    for (cluster, why) in choice.left_out {
        against.entry(reason(why, rules)).or_default().push(cluster);
    }
    let against = against.into_iter();
    decided.left_out = against
        .map(|(reason, clusters)| DecidedAgainst { reason, clusters })
        .collect();
    let scores = choice.breakdown.into_iter().map(|breakdown| DecidedScores {
        prioritizer: breakdown.prioritizer.to_string(),
        weight: breakdown.weight,
        scores: breakdown.scores,
    });
    decided.scores = scores.collect();
    let expired = choice.expired.into_iter();
    decided.expired = expired
        .map(|(cluster, prioritizer)| ExpiredScore {
            cluster,
            prioritizer: prioritizer.to_string(),
        })
        .collect();
    decided.recheck_at = choice.recheck_at;
}

fn reason(why: LeftOut, rules: &Rules) -> Reason {
    match why {
        LeftOut::Predicate => Reason::Predicate,
        LeftOut::Taint { key, effect } => Reason::Taint { key, effect },
        LeftOut::Spread { constraint, .. } => Reason::Spread {
            topology_key: rules.topology_key(constraint).to_owned(),
        },
        LeftOut::Rank { .. } => Reason::Rank,
    }
}

/// The decision before stays, whatever it was.
fn keep(decided: &mut PlacementDecided, before: Option<&DecisionRecord>, why: &Overrun) {
    if let Some(before) = before {
        let before = &before.decided;
        decided.groups.clone_from(&before.groups);
        decided.left_out.clone_from(&before.left_out);
        decided.scores.clone_from(&before.scores);
        decided.satisfied.clone_from(&before.satisfied);
    } else {
        decided.satisfied = satisfied(&Satisfaction::NoneMatched);
    }
    decided.kept_because = Some(why.to_string());
}

/// The scores that are stored as objects.
struct Stored<'a>(&'a World);

impl Stored<'_> {
    fn get(
        &self,
        cluster: &ClusterName,
        name: &str,
    ) -> Option<&skein_schema::kind::add_on_placement_score::AddOnPlacementScore> {
        let key = ObjectKey {
            kind: KindName::AddOnPlacementScore,
            workspace: Some(cluster.into()),
            name: ObjectName::new(name).ok()?,
        };
        match &**self.0.get(&key)? {
            Resource::AddOnPlacementScore(score) => Some(score),
            _ => None,
        }
    }
}

impl Scores for Stored<'_> {
    fn score(&self, cluster: &ClusterName, score: &AddOnScore) -> Option<ScoreOf> {
        let status = self.get(cluster, &score.resource_name)?.status.as_ref();
        let scores = status.into_iter().flat_map(|status| &status.scores);
        let mut named = scores.filter(|item| item.name == score.score_name);
        let until = status.and_then(|status| status.valid_until.as_ref());
        Some(ScoreOf {
            value: named.next().map(|item| item.value.into()),
            valid_until: until.map(|until| until.0),
        })
    }

    fn all_scores(&self, cluster: &ClusterName, name: &str) -> Option<ScoreList> {
        let status = self.get(cluster, name)?.status.as_ref();
        let scores = status.into_iter().flat_map(|status| &status.scores);
        Some(ScoreList::new(
            scores.map(|item| (item.name.as_str(), item.value)),
        ))
    }
}
