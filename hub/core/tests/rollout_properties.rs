//! What holds of every rollout: of a single plan, and of rollouts that are simulated to their end
//! with the clusters reporting in any order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use skein_hub_core::rollout::{
    ClusterState, DecisionGroup, Rollout, RolloutPlan, RolloutStatus, plan,
};
use skein_schema::kind::rollout_strategy::{
    IntOrPercent, MandatoryDecisionGroup, ProgressDeadline, RolloutAll, RolloutConfig,
    RolloutProgressive, RolloutProgressivePerGroup, RolloutStrategy, RolloutType,
};
use skein_schema::name::ClusterName;
use std::collections::{BTreeMap, BTreeSet};

type Clusters = BTreeMap<ClusterName, ClusterState>;

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn name() -> impl Strategy<Value = ClusterName> {
    (0..24_u8).prop_map(|number| ClusterName::new(format!("c{number}")).unwrap())
}

/// Groups without common clusters, their indexes with gaps and in any order.
fn groups() -> impl Strategy<Value = Vec<DecisionGroup>> {
    let group = (
        0..9_i32,
        select(&["", "canary", "eu"][..]),
        btree_set(name(), 0..7),
    );
    vec(group, 1..5).prop_map(|drawn| {
        let mut taken = BTreeSet::new();
        let mut indexes = BTreeSet::new();
        let unique = drawn
            .into_iter()
            .filter(|(index, _, _)| indexes.insert(*index));
        unique
            .map(|(index, name, clusters)| DecisionGroup {
                index,
                name: name.to_owned(),
                clusters: clusters
                    .into_iter()
                    .filter(|cluster| taken.insert(cluster.clone()))
                    .collect(),
            })
            .collect()
    })
}

fn share() -> impl Strategy<Value = IntOrPercent> {
    prop_oneof![
        (0..9_u32).prop_map(IntOrPercent::Number),
        (0..=100_u8).prop_map(IntOrPercent::Percent),
    ]
}

fn strategy() -> impl Strategy<Value = RolloutStrategy> {
    let config = (
        select(&["0", "5m", "1h"][..]),
        select(&["None", "10m", "2h"][..]),
        share(),
    );
    let config = config.prop_map(|(soak, deadline, max_failures)| RolloutConfig {
        min_success_time: soak.parse().unwrap(),
        progress_deadline: deadline.parse().unwrap(),
        max_failures,
    });
    let by_name = Just(MandatoryDecisionGroup {
        group_name: "canary".to_owned(),
        group_index: None,
    });
    let by_index = (0..9_i32).prop_map(|index| MandatoryDecisionGroup {
        group_name: String::new(),
        group_index: Some(index),
    });
    let mandatory = vec(prop_oneof![by_name, by_index], 0..3);
    let kind = select(
        &[
            RolloutType::All,
            RolloutType::Progressive,
            RolloutType::ProgressivePerGroup,
        ][..],
    );
    (kind, config, mandatory, proptest::option::of(share())).prop_map(
        |(kind, config, mandatory, max_concurrency)| RolloutStrategy {
            kind,
            all: Some(RolloutAll {
                config: config.clone(),
            }),
            progressive: Some(RolloutProgressive {
                config: config.clone(),
                mandatory_decision_groups: mandatory.clone(),
                max_concurrency,
            }),
            progressive_per_group: Some(RolloutProgressivePerGroup {
                config,
                mandatory_decision_groups: mandatory,
            }),
        },
    )
}

fn clusters() -> impl Strategy<Value = Clusters> {
    let status = select(
        &[
            RolloutStatus::ToApply,
            RolloutStatus::Progressing,
            RolloutStatus::Succeeded,
            RolloutStatus::Failed,
            RolloutStatus::TimeOut,
            RolloutStatus::Skip,
        ][..],
    );
    let state = (status, proptest::option::of(-180..5_i64)).prop_map(|(status, minutes)| {
        let since = minutes.map(|minutes| start() + SignedDuration::from_mins(minutes));
        ClusterState {
            status,
            last_transition: since,
        }
    });
    btree_map(name(), state, 0..20)
}

/// The clusters outside mandatory groups, and how many of them may be in flight.
fn window(strategy: &RolloutStrategy, groups: &[DecisionGroup]) -> (BTreeSet<ClusterName>, usize) {
    let beside: BTreeSet<_> = groups
        .iter()
        .filter(|group| !is_mandatory(strategy, group))
        .flat_map(|group| group.clusters.iter().cloned())
        .collect();
    let knob = match strategy.kind {
        RolloutType::Progressive => strategy.progressive.as_ref().unwrap().max_concurrency,
        RolloutType::All | RolloutType::ProgressivePerGroup => None,
    };
    let window = knob.map_or(usize::MAX, |knob| knob.of(beside.len()).max(1));
    (beside, window)
}

fn is_mandatory(strategy: &RolloutStrategy, group: &DecisionGroup) -> bool {
    let wanted = strategy.mandatory_decision_groups();
    wanted.iter().any(|wanted| match wanted.group_index {
        Some(index) => index == group.index,
        None => wanted.group_name == group.name,
    })
}

fn starting(plan: &RolloutPlan) -> impl Iterator<Item = &ClusterName> {
    let waiting = plan
        .to_roll_out
        .iter()
        .filter(|planned| planned.status == RolloutStatus::ToApply);
    waiting.map(|planned| &planned.cluster)
}

/// A rollout whose clusters do what is drawn.
struct Simulation<'a> {
    strategy: &'a RolloutStrategy,
    groups: &'a [DecisionGroup],
    clusters: Clusters,
    /// Clusters that were sent what is rolled out.
    sent: BTreeSet<ClusterName>,
    now: Timestamp,
}

impl<'a> Simulation<'a> {
    /// With `given`, all clusters are known as to be applied, as when the content changes.
    fn new(strategy: &'a RolloutStrategy, groups: &'a [DecisionGroup], given: bool) -> Self {
        let mut simulation = Self {
            strategy,
            groups,
            clusters: Clusters::new(),
            sent: BTreeSet::new(),
            now: start(),
        };
        let known = groups.iter().filter(|_| given);
        for cluster in known.flat_map(|group| &group.clusters) {
            simulation.set(cluster, RolloutStatus::ToApply);
        }
        simulation
    }

    fn plan(&self) -> RolloutPlan {
        plan(&Rollout {
            strategy: self.strategy,
            groups: self.groups,
            clusters: &self.clusters,
            now: self.now,
        })
    }

    /// Sends what is planned. A cluster that was sent something says nothing of it yet.
    fn send(&mut self, plan: &RolloutPlan) {
        for cluster in starting(plan) {
            if self.sent.insert(cluster.clone()) {
                self.set(cluster, RolloutStatus::ToApply);
            }
        }
    }

    fn set(&mut self, cluster: &ClusterName, status: RolloutStatus) {
        let state = ClusterState {
            status,
            last_transition: Some(self.now),
        };
        self.clusters.insert(cluster.clone(), state);
    }

    /// Whether a cluster was sent something and neither is done and has soaked, nor timed out.
    fn is_in_flight(&self, cluster: &ClusterName) -> bool {
        let state = &self.clusters[cluster];
        let since = state.last_transition.unwrap();
        let config = self.strategy.config();
        match state.status {
            RolloutStatus::Succeeded => self.now < since + config.min_success_time.length(),
            RolloutStatus::Progressing | RolloutStatus::Failed => config
                .progress_deadline
                .length()
                .is_none_or(|deadline| self.now < since + deadline),
            _ => true,
        }
    }

    fn in_flight(&self, of: &BTreeSet<ClusterName>) -> usize {
        let sent = self.sent.intersection(of);
        sent.filter(|cluster| self.is_in_flight(cluster)).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_depends_on_nothing_but_its_input(
        strategy in strategy(), groups in groups(), clusters in clusters(), turn in any::<Index>(),
    ) {
        let ask = |groups: &[DecisionGroup]| {
            plan(&Rollout { strategy: &strategy, groups, clusters: &clusters, now: start() })
        };
        let first = ask(&groups);
        prop_assert_eq!(&ask(&groups), &first);
        let mut turned = groups.clone();
        turned.rotate_left(turn.index(groups.len()));
        prop_assert_eq!(&ask(&turned), &first);
        turned.reverse();
        prop_assert_eq!(&ask(&turned), &first);
    }

    #[test]
    fn a_plan_names_each_cluster_once_and_starts_none_after_a_breach(
        strategy in strategy(), groups in groups(), clusters in clusters(),
    ) {
        let rollout =
            Rollout { strategy: &strategy, groups: &groups, clusters: &clusters, now: start() };
        let plan = plan(&rollout);
        let placed: BTreeSet<_> = groups.iter().flat_map(|group| &group.clusters).collect();
        let mut named = BTreeSet::new();
        for planned in plan.to_roll_out.iter().chain(&plan.timed_out) {
            prop_assert!(named.insert(&planned.cluster));
            prop_assert!(placed.contains(&planned.cluster));
        }
        for planned in &plan.removed {
            prop_assert!(named.insert(&planned.cluster));
        }
        let gone = clusters.keys().filter(|cluster| !placed.contains(cluster));
        prop_assert_eq!(gone.count(), plan.removed.len());
        if plan.breach.is_some() {
            prop_assert_eq!(starting(&plan).count(), 0);
        }
        for planned in plan.to_roll_out.iter().filter_map(|planned| planned.recheck) {
            prop_assert!(planned > start());
            prop_assert!(plan.recheck_after.is_some_and(|time| start() + time <= planned));
        }
        let (beside, window) = window(&strategy, &groups);
        let flying = plan.to_roll_out.iter().filter(|planned| beside.contains(&planned.cluster));
        let (waiting, flying): (Vec<_>, Vec<_>) =
            flying.partition(|planned| planned.status == RolloutStatus::ToApply);
        prop_assert!(waiting.len() <= window.saturating_sub(flying.len()));
    }

    /// Whatever the clusters report, and in whatever order.
    #[test]
    fn a_rollout_never_takes_too_many_and_ends_at_a_breach(
        strategy in strategy(), groups in groups(), given in any::<bool>(),
        events in vec((any::<Index>(), 0..6_u8, 0..1200_i64), 0..60),
    ) {
        let mut simulation = Simulation::new(&strategy, &groups, given);
        let (beside, window) = window(&strategy, &groups);
        // Clusters that came back after they were done or given up; nobody can forbid that.
        let mut returned = BTreeSet::new();
        for (which, what, seconds) in events {
            let plan = simulation.plan();
            let before = simulation.in_flight(&beside);
            simulation.send(&plan);
            let after = simulation.in_flight(&beside);
            prop_assert!(after <= window.saturating_add(returned.len()));
            prop_assert!(after == before || after <= window);
            if plan.breach.is_some() {
                prop_assert_eq!(starting(&plan).count(), 0);
                prop_assert_eq!(after, before);
            }
            simulation.now += SignedDuration::from_secs(seconds);
            if simulation.sent.is_empty() {
                continue;
            }
            let index = which.index(simulation.sent.len());
            let cluster = simulation.sent.iter().nth(index).unwrap().clone();
            if !simulation.is_in_flight(&cluster) {
                returned.insert(cluster.clone());
            }
            let status = match what {
                0 | 1 => RolloutStatus::Progressing,
                2 => RolloutStatus::Failed,
                _ => RolloutStatus::Succeeded,
            };
            simulation.set(&cluster, status);
        }
    }

    #[test]
    fn a_rollout_where_everything_succeeds_reaches_all_and_the_mandatory_first(
        strategy in strategy(), groups in groups(), given in any::<bool>(),
        picks in vec((any::<Index>(), any::<bool>()), 240),
    ) {
        let mut simulation = Simulation::new(&strategy, &groups, given);
        let placed: BTreeSet<_> =
            groups.iter().flat_map(|group| group.clusters.iter().cloned()).collect();
        let mandatory = |group: &&DecisionGroup| is_mandatory(&strategy, group);
        let first: BTreeSet<_> =
            groups.iter().filter(mandatory).flat_map(|group| group.clusters.clone()).collect();
        let succeeded = |simulation: &Simulation<'_>, cluster: &ClusterName| {
            let state = simulation.clusters.get(cluster);
            state.is_some_and(|state| state.status == RolloutStatus::Succeeded)
        };
        for (pick, progressing) in picks {
            let plan = simulation.plan();
            prop_assert!(plan.breach.is_none() && plan.timed_out.is_empty());
            if starting(&plan).any(|cluster| !first.contains(cluster)) {
                prop_assert!(first.iter().all(|cluster| succeeded(&simulation, cluster)));
            }
            simulation.send(&plan);
            let open = simulation.sent.iter().filter(|cluster| !succeeded(&simulation, cluster));
            let open: Vec<_> = open.cloned().collect();
            match open.as_slice() {
                [] => simulation.now += plan.recheck_after.unwrap_or(SignedDuration::ZERO),
                open if progressing => {
                    simulation.set(&open[pick.index(open.len())], RolloutStatus::Progressing);
                }
                open => simulation.set(&open[pick.index(open.len())], RolloutStatus::Succeeded),
            }
        }
        prop_assert_eq!(&simulation.sent, &placed);
        prop_assert!(placed.iter().all(|cluster| succeeded(&simulation, cluster)));
        prop_assert!(simulation.plan().to_roll_out.is_empty());
    }
}

/// Decoding refuses it; a strategy that was stored without being decoded must not mean "all".
#[test]
fn a_stored_zero_is_one_at_a_time() {
    let groups = [DecisionGroup {
        clusters: ["c1", "c2"]
            .map(|name| ClusterName::new(name).unwrap())
            .into(),
        ..DecisionGroup::default()
    }];
    for zero in [IntOrPercent::Number(0), IntOrPercent::Percent(0)] {
        let strategy = RolloutStrategy {
            kind: RolloutType::Progressive,
            progressive: Some(RolloutProgressive {
                max_concurrency: Some(zero),
                ..RolloutProgressive::default()
            }),
            ..RolloutStrategy::default()
        };
        let rollout = Rollout {
            strategy: &strategy,
            groups: &groups,
            clusters: &Clusters::new(),
            now: start(),
        };
        assert_eq!(plan(&rollout).to_roll_out.len(), 1);
    }
}

#[test]
fn times_at_the_end_of_the_calendar_do_no_harm() {
    let strategy = RolloutStrategy {
        kind: RolloutType::Progressive,
        progressive: Some(RolloutProgressive {
            config: RolloutConfig {
                progress_deadline: ProgressDeadline::After("87600h".parse().unwrap()),
                ..RolloutConfig::default()
            },
            ..RolloutProgressive::default()
        }),
        ..RolloutStrategy::default()
    };
    let cluster = ClusterName::new("c1").unwrap();
    let groups = [DecisionGroup {
        clusters: [cluster.clone()].into(),
        ..DecisionGroup::default()
    }];
    let state = ClusterState {
        status: RolloutStatus::Progressing,
        last_transition: Some(Timestamp::MAX),
    };
    let clusters = Clusters::from([(cluster, state)]);
    for (now, timed_out) in [(Timestamp::MIN, 0), (Timestamp::MAX, 1)] {
        let plan = plan(&Rollout {
            strategy: &strategy,
            groups: &groups,
            clusters: &clusters,
            now,
        });
        assert_eq!(plan.timed_out.len(), timed_out);
    }
}
