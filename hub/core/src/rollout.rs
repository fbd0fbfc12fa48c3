//! Rollouts: which clusters get something new at this moment, by a [`RolloutStrategy`].
//!
//! [`plan`] looks at the decision groups of a placement and at how far each cluster is, and says
//! what to roll out now, what has timed out, whether too much has failed, and when to look again.
//! It keeps nothing: the same question always has the same answer. [`status`] tells how far a
//! cluster is from what its agent reported.
//!
//! A rollout goes through stages (`stage.rs`). The rules are OCM's; where they are better, the
//! heading "Rollouts" in `docs/ocm-differences.md` says so.

pub mod status;

mod stage;

use jiff::{SignedDuration, Timestamp};
use skein_schema::kind::rollout_strategy::{MandatoryDecisionGroup, RolloutStrategy, RolloutType};
use skein_schema::name::ClusterName;
use stage::Stage;
use std::collections::{BTreeMap, BTreeSet};

/// How far a cluster is with what is rolled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RolloutStatus {
    /// It does not have it, or has said nothing of it.
    ///
    /// Of those that may start, clusters given as `ToApply` come before clusters that are not
    /// given: they may have been sent it already. No deadline ends their wait, see
    /// [`status::of_work`].
    ToApply,
    /// It has it and is not done.
    Progressing,
    /// It is done.
    Succeeded,
    /// It has it, and it went wrong.
    Failed,
    /// It was progressing or failed for longer than the deadline. Given by the caller it is final.
    TimeOut,
    /// It is left out, and counts as done.
    Skip,
}

impl RolloutStatus {
    /// True for what `maxFailures` counts.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimeOut)
    }
}

/// How far a cluster is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterState {
    /// How far.
    pub status: RolloutStatus,
    /// Since when; deadlines and soak times count from here. Without it they count from now, so
    /// they begin anew with every plan.
    pub last_transition: Option<Timestamp>,
}

/// A group of clusters that a placement made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecisionGroup {
    /// Its place among the groups; gaps do no harm.
    pub index: i32,
    /// Its name, empty if it has none. Several groups may have the same.
    pub name: String,
    /// Its clusters. One that is in several groups belongs to the first.
    pub clusters: BTreeSet<ClusterName>,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Rollout<'a> {
    /// How to go through the clusters.
    pub strategy: &'a RolloutStrategy,
    /// The clusters of the placement, in any order of groups.
    pub groups: &'a [DecisionGroup],
    /// How far the clusters are that have been begun with; others count as to be applied.
    pub clusters: &'a BTreeMap<ClusterName, ClusterState>,
    /// The hub's clock.
    pub now: Timestamp,
}

/// A cluster in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCluster {
    /// Its name.
    pub cluster: ClusterName,
    /// Index of its decision group; none if no group has it any more.
    pub group: Option<i32>,
    /// How far it is.
    pub status: RolloutStatus,
    /// Since when, as given.
    pub last_transition: Option<Timestamp>,
    /// When that changes by itself: the soak time of a successful cluster ends, or the deadline of
    /// another passes (in the past if it has timed out).
    pub recheck: Option<Timestamp>,
}

/// Too many clusters have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Index of the decision group, if the limit is the group's and not the whole rollout's.
    pub group: Option<i32>,
    /// How many have failed or timed out.
    pub failures: usize,
    /// How many may.
    pub tolerated: usize,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutPlan {
    /// Clusters that get it or go on having it: those in flight by name, then those that start
    /// now, in the order of their turn, with status `ToApply`.
    pub to_roll_out: Vec<PlannedCluster>,
    /// Clusters whose deadline has passed, by name. Those given as `TimeOut` are not repeated.
    pub timed_out: Vec<PlannedCluster>,
    /// Clusters that no group has any more, by name. They lose it whatever else the plan says.
    pub removed: Vec<PlannedCluster>,
    /// Too much has failed, and nothing new starts.
    pub breach: Option<Breach>,
    /// How long until the plan changes by itself: the next recheck of those to roll out. Plan
    /// again then, or deadlines and soak times never end.
    pub recheck_after: Option<SignedDuration>,
    /// Mandatory groups that the placement does not have, probably a slip of the pen.
    pub absent_mandatory_groups: Vec<MandatoryDecisionGroup>,
}

/// A cluster of the placement as the plan sees it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    turn: Turn,
    /// Its status, with `TimeOut` found out.
    status: RolloutStatus,
    recheck: Option<Timestamp>,
}

/// What a cluster means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It was given as to be applied.
    Waiting,
    /// It was not given.
    New,
    /// It takes up room: it progresses, soaks, or has failed and may still come round.
    InFlight,
    /// Nothing more is expected of it.
    Over,
}

/// What to do now. Depends on nothing but its input, and not on the order of groups.
#[must_use]
pub fn plan(rollout: &Rollout<'_>) -> RolloutPlan {
    let groups = in_order(rollout.groups);
    let homes = homes(&groups);
    let limits = Limits::new(rollout);
    let seen: BTreeMap<&ClusterName, Seen> = homes
        .keys()
        .map(|cluster| (*cluster, see(rollout.clusters.get(cluster), &limits)))
        .collect();
    let planned = |cluster: &ClusterName| {
        let state = rollout.clusters.get(cluster);
        let seen = seen.get(cluster);
        PlannedCluster {
            cluster: cluster.clone(),
            group: homes.get(cluster).copied(),
            status: match (seen, state) {
                (Some(seen), _) => seen.status,
                (None, Some(state)) => state.status,
                (None, None) => RolloutStatus::ToApply,
            },
            last_transition: state.and_then(|state| state.last_transition),
            recheck: seen.and_then(|seen| seen.recheck),
        }
    };

    let stages = stage::stages(rollout.strategy, &groups, &homes);
    let breach = stages.iter().find_map(|stage| stage.breach(&seen));
    let starts = match breach {
        Some(_) => Vec::new(),
        None => starts(&stages, &seen),
    };
    let in_flight = seen
        .iter()
        .filter(|(_, seen)| seen.turn == Turn::InFlight)
        .map(|(cluster, _)| *cluster);
    let to_roll_out: Vec<_> = in_flight.chain(starts).map(planned).collect();
    let timed_out = seen.iter().filter(|(cluster, seen)| {
        let given = rollout.clusters.get(**cluster).map(|state| state.status);
        seen.status == RolloutStatus::TimeOut && given != Some(RolloutStatus::TimeOut)
    });
    let removed = rollout
        .clusters
        .keys()
        .filter(|cluster| !homes.contains_key(cluster));
    RolloutPlan {
        recheck_after: to_roll_out
            .iter()
            .filter_map(|cluster| cluster.recheck)
            .map(|recheck| recheck.duration_since(rollout.now))
            .min(),
        timed_out: timed_out.map(|(cluster, _)| planned(cluster)).collect(),
        removed: removed.map(planned).collect(),
        to_roll_out,
        breach,
        absent_mandatory_groups: stage::absent(rollout.strategy, &groups),
    }
}

/// The clusters that start now: the turn is with the first stage that is not over.
fn starts<'a>(
    stages: &[Stage<'a>],
    seen: &BTreeMap<&'a ClusterName, Seen>,
) -> Vec<&'a ClusterName> {
    stages
        .iter()
        .find(|stage| !stage.is_over(seen))
        .map(|stage| stage.starts(seen))
        .unwrap_or_default()
}

/// The groups by index, whatever the order in which they were given.
fn in_order(groups: &[DecisionGroup]) -> Vec<&DecisionGroup> {
    let mut groups: Vec<_> = groups.iter().collect();
    groups.sort();
    groups
}

/// The clusters of the placement, each with the index of the group that it belongs to.
fn homes<'a>(groups: &[&'a DecisionGroup]) -> BTreeMap<&'a ClusterName, i32> {
    let mut homes = BTreeMap::new();
    for group in groups {
        for cluster in &group.clusters {
            homes.entry(cluster).or_insert(group.index);
        }
    }
    homes
}

/// What time does to clusters.
struct Limits {
    now: Timestamp,
    soak: SignedDuration,
    deadline: Option<SignedDuration>,
}

impl Limits {
    fn new(rollout: &Rollout<'_>) -> Self {
        let config = rollout.strategy.config();
        Self {
            now: rollout.now,
            soak: match rollout.strategy.kind {
                RolloutType::All => SignedDuration::ZERO,
                RolloutType::Progressive | RolloutType::ProgressivePerGroup => {
                    config.min_success_time.length()
                }
            },
            deadline: config.progress_deadline.length(),
        }
    }
}

/// Judges one cluster by the time that has passed.
fn see(state: Option<&ClusterState>, limits: &Limits) -> Seen {
    let Some(state) = state else {
        return Seen {
            turn: Turn::New,
            status: RolloutStatus::ToApply,
            recheck: None,
        };
    };
    let since = state.last_transition.unwrap_or(limits.now);
    let after = |length| since.saturating_add(length).unwrap_or(Timestamp::MAX);
    let (turn, status, recheck) = match state.status {
        RolloutStatus::ToApply => (Turn::Waiting, state.status, None),
        RolloutStatus::TimeOut | RolloutStatus::Skip => (Turn::Over, state.status, None),
        RolloutStatus::Succeeded => {
            let soaked = after(limits.soak);
            // Also true without a soak time, if the cluster's clock is ahead of the hub's.
            if limits.now < soaked {
                (Turn::InFlight, state.status, Some(soaked))
            } else {
                (Turn::Over, state.status, None)
            }
        }
        RolloutStatus::Progressing | RolloutStatus::Failed => match limits.deadline.map(after) {
            Some(deadline) if deadline <= limits.now => {
                (Turn::Over, RolloutStatus::TimeOut, Some(deadline))
            }
            deadline => (Turn::InFlight, state.status, deadline),
        },
    };
    Seen {
        turn,
        status,
        recheck,
    }
}
