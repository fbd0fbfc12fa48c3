//! What a placement decides in a world, and whether that is worth recording.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use skein_schema::event::PlacementDecided;
use skein_schema::event::placement::{
    DecidedAgainst, DecidedGroup, DecidedScores, ExpiredScore, Reason, Satisfied,
};
use skein_schema::kind::add_on_placement_score::AddOnPlacementScore;
use skein_schema::kind::managed_cluster::TAINT_UNREACHABLE;
use skein_schema::kind::placement::{AddOnScore, Placement};
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::cel_selector::ScoreList;
use super::choose::{Choice, Inputs, LeftOut, MAX_STEPS_OF_CHOICE, Overrun, choose};
use super::facts::ClusterFacts;
use super::group::Group;
use super::prioritize::{ScoreOf, Scores};
use super::rules::Rules;
use super::satisfaction::Satisfaction;
use super::scope::scope;
use crate::clusterset::SetMembership;
use crate::world::{DecisionRecord, World, uid};

/// Largest decision in a record, in bytes of JSON: the ledger takes little more.
const EVENT_MAX: usize = 512 * 1024;
/// How long a cluster that a placement has is kept after it was lost, in seconds: what is lost at
/// once is noticed one after another, and a moment shows how much it is.
const SETTLE_SECONDS: i64 = 20;
/// How long it is kept while it looks as if the hub's own network were the cause, in seconds.
const PARTITION_SECONDS: i64 = 3600;
/// Clusters that must have been lost within that time to make it look so.
const PARTITION_MIN: usize = 3;

/// What came out.
pub(super) struct Outcome {
    /// What is to be recorded, if it is another decision than the last.
    pub(super) event: Option<PlacementDecided>,
    /// When to look again.
    pub(super) again: Option<Timestamp>,
    /// The steps that expressions took.
    pub(super) steps: u64,
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
    let mut steps = 0;
    let bound = bound(world, key);
    match scope(&bound, &rules.cluster_sets) {
        Err(satisfaction) => decided.satisfied = satisfied(&satisfaction),
        Ok(sets) => {
            let names = sets.iter().filter_map(|set| ObjectName::new(set).ok());
            decided.sets = names.collect();
            let members = members(world, clusters, &sets);
            match choice(world, &members, before, rules, now) {
                Ok(choice) => {
                    steps = choice.steps;
                    decided.satisfied = satisfied(&Satisfaction::of(&choice, sets));
                    fill(&mut decided, choice, rules);
                }
                Err(overrun) => {
                    steps = MAX_STEPS_OF_CHOICE;
                    keep(&mut decided, before, &members, &overrun.to_string());
                }
            }
            fit(&mut decided, before, &members);
        }
    }
    let (event, again) = settle(decided, before, rules, now);
    Outcome {
        event,
        again,
        steps,
    }
}

/// Leaves out of a decision what makes it larger than the ledger takes: scores first, then why
/// others are not chosen. A decision that is too large even so is not made.
fn fit(decided: &mut PlacementDecided, before: Option<&DecisionRecord>, members: &[&ClusterFacts]) {
    let is_too_large = |decided: &PlacementDecided| {
        serde_json::to_vec(decided).map_or(0, |bytes| bytes.len()) > EVENT_MAX
    };
    if is_too_large(decided) {
        decided.scores.clear();
        decided.expired.clear();
    }
    if is_too_large(decided) {
        decided.left_out.clear();
    }
    if is_too_large(decided) {
        decided.groups = vec![DecidedGroup::default()];
        keep(
            decided,
            before,
            members,
            "it is larger than the ledger takes",
        );
    }
}

/// Records a decision that differs from the last one; one that differs only in its reasons, not
/// before the last ones are old enough. Also says when to look again.
fn settle(
    decided: PlacementDecided,
    before: Option<&DecisionRecord>,
    rules: &Rules,
    now: Timestamp,
) -> (Option<PlacementDecided>, Option<Timestamp>) {
    let again = decided.recheck_at;
    if let Some(before) = before
        && essence(&before.decided) == essence(&decided)
    {
        if reasons(&before.decided) == reasons(&decided) {
            return (None, again);
        }
        let until = before.time.checked_add(rules.score_rate_limit);
        let until = until.unwrap_or(Timestamp::MAX);
        if until > now {
            return (None, Some(again.map_or(until, |again| again.min(until))));
        }
    }
    (Some(decided), again)
}

/// What makes a decision another one.
fn essence(decided: &PlacementDecided) -> impl PartialEq + use<'_> {
    let groups = decided.groups.iter();
    let groups = groups.map(|group| {
        let clusters = group.clusters.iter().map(|(cluster, _)| cluster);
        (&group.name, clusters.collect::<Vec<_>>())
    });
    (
        groups.collect::<Vec<_>>(),
        &decided.satisfied,
        &decided.kept_because,
        decided.generation,
    )
}

/// How it came about.
fn reasons(decided: &PlacementDecided) -> impl PartialEq + use<'_> {
    (
        &decided.sets,
        &decided.left_out,
        &decided.scores,
        &decided.expired,
    )
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
        scores: &StoredScores(world),
        lost_for: lost_for(members, now),
        now,
    })
}

/// How long lost clusters are kept. When a third of the candidates are lost within an hour, and three
/// at least, the hub's own network is the likelier cause, and moving everything would make things
/// worse. Those that were lost before do not count.
fn lost_for(members: &[&ClusterFacts], now: Timestamp) -> SignedDuration {
    let (mut lately, mut long_ago) = (0_usize, 0_usize);
    for facts in members {
        let mut taints = facts.taints().iter();
        let Some(taint) = taints.find(|taint| taint.key == TAINT_UNREACHABLE) else {
            continue;
        };
        let since = taint
            .time_added
            .as_ref()
            .map(|added| now.duration_since(added.0));
        match since {
            Some(since) if since.as_secs() < PARTITION_SECONDS => lately += 1,
            _ => long_ago += 1,
        }
    }
    let is_partition = lately >= PARTITION_MIN && lately * 3 >= members.len() - long_ago;
    SignedDuration::from_secs(if is_partition {
        PARTITION_SECONDS
    } else {
        SETTLE_SECONDS
    })
}

fn fill(decided: &mut PlacementDecided, choice: Choice, rules: &Rules) {
    let group = |group: Group| DecidedGroup {
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

/// The decision before stays, but for clusters that the placement may not have any more.
fn keep(
    decided: &mut PlacementDecided,
    before: Option<&DecisionRecord>,
    members: &[&ClusterFacts],
    why: &str,
) {
    decided.satisfied = satisfied(&Satisfaction::NoneMatched);
    decided.kept_because = Some(why.to_owned());
    let Some(before) = before else {
        return;
    };
    let is_member = |cluster: &ClusterName| {
        let found = members.binary_search_by(|facts| facts.name().cmp(cluster));
        found.is_ok()
    };
    decided.groups.clone_from(&before.decided.groups);
    for group in &mut decided.groups {
        group.clusters.retain(|(cluster, _)| is_member(cluster));
    }
    if decided
        .groups
        .iter()
        .any(|group| !group.clusters.is_empty())
    {
        decided.satisfied.clone_from(&before.decided.satisfied);
    }
}

/// The scores that are stored as objects.
struct StoredScores<'a>(&'a World);

impl StoredScores<'_> {
    fn get(&self, cluster: &ClusterName, name: &str) -> Option<&AddOnPlacementScore> {
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

impl Scores for StoredScores<'_> {
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
