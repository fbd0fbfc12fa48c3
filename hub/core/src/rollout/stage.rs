//! Stages: parts of a rollout that come one after another.
//!
//! Each mandatory group is a stage of its own, whole and without tolerance. What remains is one
//! stage with a limited number at a time, or a stage per group. The turn is with the first stage
//! that is not over; a stage that has failed too often stops all of them.

use super::{Breach, DecisionGroup, Seen, Turn};
use skein_schema::kind::rollout_strategy::{
    IntOrPercent, MandatoryDecisionGroup, RolloutStrategy, RolloutType,
};
use skein_schema::name::ClusterName;
use std::collections::{BTreeMap, BTreeSet};

/// Clusters that have their turn together.
pub(super) struct Stage<'a> {
    /// Index of the group, if it is one.
    group: Option<i32>,
    /// By name.
    clusters: Vec<&'a ClusterName>,
    /// How many may be in flight.
    window: usize,
    /// How many may fail.
    tolerated: usize,
}

/// The stages of a rollout, in their order.
pub(super) fn stages<'a>(
    strategy: &RolloutStrategy,
    groups: &[&'a DecisionGroup],
    homes: &BTreeMap<&'a ClusterName, i32>,
) -> Vec<Stage<'a>> {
    let everything = |window, tolerated, clusters| Stage {
        group: None,
        clusters,
        window,
        tolerated,
    };
    let max_failures = strategy.config().max_failures;
    let first = mandatory(strategy, groups);
    let rest = || {
        let beside = |group: &&&DecisionGroup| !first.contains(&group.index);
        groups.iter().filter(beside).copied()
    };
    let mut stages: Vec<_> = groups
        .iter()
        .filter(|group| first.contains(&group.index))
        .map(|group| whole_group(group, homes, |_| 0))
        .collect();
    match strategy.kind {
        RolloutType::All => {
            let clusters = homes.keys().copied().collect();
            stages.push(everything(usize::MAX, usize::MAX, clusters));
        }
        RolloutType::Progressive => {
            let indexes: BTreeSet<_> = rest().map(|group| group.index).collect();
            let clusters: Vec<_> = homes
                .iter()
                .filter(|(_, home)| indexes.contains(home))
                .map(|(cluster, _)| *cluster)
                .collect();
            let tolerated = max_failures.of(homes.len());
            let window = window(strategy, clusters.len());
            stages.push(everything(window, tolerated, clusters));
        }
        RolloutType::ProgressivePerGroup => {
            stages.extend(rest().map(|group| {
                let tolerated = |size| max_failures.of(size);
                whole_group(group, homes, tolerated)
            }));
        }
    }
    stages
}

/// A group as a stage; `tolerated` tells from its size how many may fail.
fn whole_group<'a>(
    group: &'a DecisionGroup,
    homes: &BTreeMap<&'a ClusterName, i32>,
    tolerated: impl Fn(usize) -> usize,
) -> Stage<'a> {
    let own = |cluster: &&ClusterName| homes.get(cluster) == Some(&group.index);
    let clusters: Vec<_> = group.clusters.iter().filter(own).collect();
    Stage {
        group: Some(group.index),
        tolerated: tolerated(clusters.len()),
        clusters,
        window: usize::MAX,
    }
}

/// How many clusters may be in flight, of `total` outside the mandatory groups.
fn window(strategy: &RolloutStrategy, total: usize) -> usize {
    let knob: Option<IntOrPercent> = strategy
        .progressive
        .as_ref()
        .and_then(|knobs| knobs.max_concurrency);
    // Decoding refuses zero. Should one be stored all the same, slow is safe and "all" is not.
    knob.map_or(usize::MAX, |knob| knob.of(total).max(1))
}

/// Indexes of the mandatory groups in the order of their turns, which is that of the groups and not
/// that of the strategy.
fn mandatory(strategy: &RolloutStrategy, groups: &[&DecisionGroup]) -> BTreeSet<i32> {
    let wanted = strategy.mandatory_decision_groups();
    let is_mandatory = |group: &&&DecisionGroup| wanted.iter().any(|w| is_meant(w, group));
    let mandatory = groups.iter().filter(is_mandatory);
    mandatory.map(|group| group.index).collect()
}

/// Mandatory groups that are not there.
pub(super) fn absent(
    strategy: &RolloutStrategy,
    groups: &[&DecisionGroup],
) -> Vec<MandatoryDecisionGroup> {
    let there = |wanted: &&MandatoryDecisionGroup| groups.iter().any(|g| is_meant(wanted, g));
    let wanted = strategy.mandatory_decision_groups().iter();
    wanted.filter(|wanted| !there(wanted)).cloned().collect()
}

fn is_meant(wanted: &MandatoryDecisionGroup, group: &DecisionGroup) -> bool {
    if wanted.group_name.is_empty() {
        wanted.group_index.unwrap_or_default() == group.index
    } else {
        wanted.group_name == group.name
    }
}

impl<'a> Stage<'a> {
    /// Too many failures, if there are.
    pub(super) fn breach(&self, seen: &BTreeMap<&'a ClusterName, Seen>) -> Option<Breach> {
        let failures = self.count(seen, |seen| seen.status.is_failure());
        (failures > self.tolerated).then_some(Breach {
            group: self.group,
            failures,
            tolerated: self.tolerated,
        })
    }

    /// True if the next stage may begin: each cluster is done, or has failed as is tolerated.
    pub(super) fn is_over(&self, seen: &BTreeMap<&'a ClusterName, Seen>) -> bool {
        let open = |seen: &Seen| seen.turn != Turn::Over && !seen.status.is_failure();
        self.count(seen, open) == 0
    }

    /// Clusters that there is room for: the waiting by name, then the new by name.
    pub(super) fn starts(&self, seen: &BTreeMap<&'a ClusterName, Seen>) -> Vec<&'a ClusterName> {
        let in_flight = self.count(seen, |seen| seen.turn == Turn::InFlight);
        let with = |turn: Turn| {
            self.clusters
                .iter()
                .copied()
                .filter(move |cluster| seen.get(cluster).is_some_and(|seen| seen.turn == turn))
        };
        with(Turn::Waiting)
            .chain(with(Turn::New))
            .take(self.window.saturating_sub(in_flight))
            .collect()
    }

    fn count(
        &self,
        seen: &BTreeMap<&'a ClusterName, Seen>,
        counted: impl Fn(&Seen) -> bool,
    ) -> usize {
        let of = |cluster: &&&ClusterName| seen.get(**cluster).is_some_and(&counted);
        self.clusters.iter().filter(of).count()
    }
}
