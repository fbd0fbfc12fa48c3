//! When placements decide, and what is recorded of it.
//!
//! The scheduler keeps what every choice needs in a form that is quick to look through, and a list
//! of placements whose inputs have changed. It is no state of its own: whoever begins to lead
//! makes it anew out of the two folds. A change reaches only the placements that may choose the
//! changed cluster, and a placement whose clusters change all the time decides a few times a
//! second at most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use skein_schema::command::Change;
use skein_schema::event::Event;
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::kind::placement::{Placement, SCHEDULING_DISABLE_ANNOTATION};
use skein_schema::name::{ClusterName, ObjectName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::facts::ClusterFacts;
use super::outcome::{self, Outcome};
use super::rules::Rules;
use crate::clusterset::sets_of_cluster;
use crate::decide::{Decision, Subject};
use crate::ledger::Stored;
use crate::observed::Observed;
use crate::view;
use crate::world::{Changes, World};

/// How long a placement that has looked at its clusters waits before it looks again because they
/// have changed, in milliseconds; longer by one for each thousand steps that its expressions took.
const PAUSE_MILLISECONDS: i64 = 200;

/// Placements, and when they decide.
#[derive(Clone, Debug, Default)]
pub struct Scheduler {
    clusters: BTreeMap<ClusterName, Arc<ClusterFacts>>,
    placements: BTreeMap<ObjectKey, Planned>,
}

/// A placement as the scheduler knows it.
#[derive(Clone, Debug)]
struct Planned {
    /// What of the object matters: uid, generation, and whether it is paused.
    version: (Option<uuid::Uuid>, Option<i64>, bool),
    /// None if it cannot be carried out, which admission does not let happen.
    rules: Option<Arc<Rules>>,
    /// When it is to decide, and because of what.
    due: Option<(Timestamp, Option<Arc<Stored>>)>,
    /// Until when it rests, whatever its clusters do.
    rests_until: Option<Timestamp>,
}

/// A decision to be recorded, and what led to it.
#[derive(Debug)]
pub struct Due {
    /// The decision.
    pub decision: Decision,
    /// The record because of which it was made; none if time or a report led to it.
    pub cause: Option<Arc<Stored>>,
}

/// One placement has looked at its clusters.
#[derive(Debug)]
pub struct Look {
    /// What came out, if it is to be recorded.
    pub due: Option<Due>,
    /// How many steps its expressions took.
    pub steps: u64,
}

impl Scheduler {
    /// A scheduler that knows both folds; every placement is due.
    #[must_use]
    pub fn new(world: &World, observed: &Observed, now: Timestamp) -> Self {
        let mut scheduler = Self::default();
        for (name, _) in world.clusters() {
            if let Some(facts) = facts(world, observed, name) {
                scheduler.clusters.insert(name.clone(), facts);
            }
        }
        for (key, resource) in world.iter(KindName::Placement) {
            if let Resource::Placement(placement) = &**resource {
                let planned = Planned::new(placement, now, None);
                scheduler.placements.insert(key.clone(), planned);
            }
        }
        scheduler
    }

    /// Takes in what a record changed in the world.
    pub fn recorded(
        &mut self,
        world: &World,
        observed: &Observed,
        changes: &Changes,
        stored: &Arc<Stored>,
        now: Timestamp,
    ) {
        let cause = Some(stored);
        for key in &changes.touched {
            match key.kind {
                KindName::ManagedCluster => {
                    if let Ok(cluster) = ClusterName::new(key.name.as_str()) {
                        self.cluster_changed(world, observed, &cluster, cause, now);
                    }
                }
                KindName::ManagedClusterSet => {
                    let before = changes.before.get(key).and_then(Option::as_ref);
                    if spec(before) != spec(world.get(key)) {
                        self.sets_changed(world, &BTreeSet::from([key.name.clone()]), cause, now);
                    }
                }
                KindName::ManagedClusterSetBinding => {
                    self.make_due(cause, now, |placement, _| {
                        placement.workspace == key.workspace
                    });
                }
                KindName::Placement => self.placement_changed(world, key, stored, now),
                KindName::AddOnPlacementScore => {
                    let cluster = key.workspace.as_ref();
                    if let Some(Ok(cluster)) = cluster.map(ClusterName::new) {
                        self.scores_changed(world, &cluster, cause, now);
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes in that a cluster's agent has reported.
    pub fn reported(
        &mut self,
        world: &World,
        observed: &Observed,
        cluster: &ClusterName,
        now: Timestamp,
    ) {
        self.cluster_changed(world, observed, cluster, None, now);
    }

    /// When a placement is to decide next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let due = self.placements.values();
        due.filter_map(|planned| Some(planned.due.as_ref()?.0))
            .min()
    }

    /// Lets the placement decide that has been due for the longest time; `None` if none is due. Ask
    /// again after its decision, if there is one, was recorded: it may change what others decide.
    pub fn next(&mut self, world: &World, now: Timestamp) -> Option<Look> {
        let due = self.placements.iter().filter_map(|(key, planned)| {
            let (at, _) = planned.due.as_ref()?;
            (*at <= now).then_some((*at, key))
        });
        let key = due.min()?.1.clone();
        let cause = self.placements.get_mut(&key)?.due.take();
        let (decision, steps) = self.decide(world, &key, now);
        let cause = cause.and_then(|(_, cause)| cause);
        Some(Look {
            due: decision.map(|decision| Due { decision, cause }),
            steps,
        })
    }

    /// Lets a placement decide; no decision if it would be the one that it has. Also says how many
    /// steps that took.
    fn decide(
        &mut self,
        world: &World,
        key: &ObjectKey,
        now: Timestamp,
    ) -> (Option<Decision>, u64) {
        let found = world.get(key).map(|found| &**found);
        let (Some(planned), Some(Resource::Placement(placement))) =
            (self.placements.get_mut(key), found)
        else {
            return (None, 0);
        };
        let Some(rules) = planned.rules.clone().filter(|_| !is_paused(placement)) else {
            return (None, 0);
        };
        let Outcome {
            event,
            again,
            steps,
        } = outcome::of(world, &self.clusters, key, placement, &rules, now);
        let effort = i64::try_from(steps / 1000).unwrap_or(i64::MAX);
        let pause = SignedDuration::from_millis(PAUSE_MILLISECONDS.saturating_add(effort));
        planned.rests_until = now.checked_add(pause).ok();
        planned.due = again.map(|at| (at, None));
        let decision = event.map(|event| {
            let events = vec![Event::PlacementDecided(Box::new(event))];
            Decision::new(Subject::Object(key.clone()), Change::Configured, events)
        });
        (decision, steps)
    }

    fn cluster_changed(
        &mut self,
        world: &World,
        observed: &Observed,
        cluster: &ClusterName,
        cause: Option<&Arc<Stored>>,
        now: Timestamp,
    ) {
        let after = facts(world, observed, cluster);
        let before = match &after {
            Some(after) => self.clusters.insert(cluster.clone(), Arc::clone(after)),
            None => self.clusters.remove(cluster),
        };
        if self.placements.is_empty() {
            return;
        }
        let (before, after) = (before.as_deref(), after.as_deref());
        let looks_same = match (before, after) {
            (Some(before), Some(after)) => before.looks_like(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if looks_same {
            // Only an expression may see a difference.
            let mut rules = self
                .placements
                .values()
                .filter_map(|planned| planned.rules.as_ref());
            if !rules.any(|rules| rules.uses_expressions()) {
                return;
            }
            let sets = sets(world, after.map(ClusterFacts::object));
            self.make_due_in(world, &sets, cause, now, Rules::uses_expressions);
            return;
        }
        let mut touched = sets(world, before.map(ClusterFacts::object));
        touched.extend(sets(world, after.map(ClusterFacts::object)));
        self.sets_changed(world, &touched, cause, now);
    }

    fn scores_changed(
        &mut self,
        world: &World,
        cluster: &ClusterName,
        cause: Option<&Arc<Stored>>,
        now: Timestamp,
    ) {
        let object = self.clusters.get(cluster).map(|facts| facts.object());
        let sets = sets(world, object);
        self.make_due_in(world, &sets, cause, now, Rules::uses_scores);
    }

    fn sets_changed(
        &mut self,
        world: &World,
        sets: &BTreeSet<ObjectName>,
        cause: Option<&Arc<Stored>>,
        now: Timestamp,
    ) {
        self.make_due_in(world, sets, cause, now, |_| true);
    }

    /// Makes placements due that may choose from one of the sets.
    fn make_due_in(
        &mut self,
        world: &World,
        sets: &BTreeSet<ObjectName>,
        cause: Option<&Arc<Stored>>,
        now: Timestamp,
        concerned: impl Fn(&Rules) -> bool,
    ) {
        if sets.is_empty() || self.placements.is_empty() {
            return;
        }
        let bindings = world.iter(KindName::ManagedClusterSetBinding);
        let workspaces: BTreeSet<&Workspace> = bindings
            .filter(|(binding, _)| sets.contains(&binding.name))
            .filter_map(|(binding, _)| binding.workspace.as_ref())
            .collect();
        self.make_due(cause, now, |placement, rules| {
            let asked = &rules.cluster_sets;
            placement
                .workspace
                .as_ref()
                .is_some_and(|workspace| workspaces.contains(workspace))
                && (asked.is_empty()
                    || asked
                        .iter()
                        .any(|set| sets.iter().any(|s| s.as_str() == set)))
                && concerned(rules)
        });
    }

    fn make_due(
        &mut self,
        cause: Option<&Arc<Stored>>,
        now: Timestamp,
        concerned: impl Fn(&ObjectKey, &Rules) -> bool,
    ) {
        for (key, planned) in &mut self.placements {
            let Some(rules) = &planned.rules else {
                continue;
            };
            if !concerned(key, rules) {
                continue;
            }
            let at = planned.rests_until.map_or(now, |rested| rested.max(now));
            if planned.due.as_ref().is_none_or(|(due, _)| *due > at) {
                planned.due = Some((at, cause.cloned()));
            }
        }
    }

    fn placement_changed(
        &mut self,
        world: &World,
        key: &ObjectKey,
        stored: &Arc<Stored>,
        now: Timestamp,
    ) {
        let Some(Resource::Placement(placement)) = world.get(key).map(|found| &**found) else {
            self.placements.remove(key);
            return;
        };
        let planned = Planned::new(placement, now, Some(Arc::clone(stored)));
        // Its own decision touches it, too.
        let known = self.placements.get(key);
        if known.is_none_or(|known| known.version != planned.version) {
            self.placements.insert(key.clone(), planned);
        }
    }
}

impl Planned {
    fn new(placement: &Placement, now: Timestamp, cause: Option<Arc<Stored>>) -> Self {
        let metadata = &placement.metadata;
        let uid = metadata.uid.as_deref().and_then(|uid| uid.parse().ok());
        Self {
            version: (uid, metadata.generation, is_paused(placement)),
            rules: Rules::new(&placement.spec).ok().map(Arc::new),
            due: Some((now, cause)),
            rests_until: None,
        }
    }
}

/// Whether somebody wants its decision to stay as it is.
fn is_paused(placement: &Placement) -> bool {
    let annotations = placement.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(SCHEDULING_DISABLE_ANNOTATION))
        .is_some_and(|value| value == "true")
}

fn spec(resource: Option<&Arc<Resource>>) -> Option<serde_json::Value> {
    resource.map(|resource| resource.spec_value())
}

/// A cluster that can be chosen: one that is there and stays.
fn facts(world: &World, observed: &Observed, cluster: &ClusterName) -> Option<Arc<ClusterFacts>> {
    let object = view::resource(world, observed, &ObjectKey::cluster(cluster))?;
    match object {
        Resource::ManagedCluster(object) if object.metadata.deletion_timestamp.is_none() => {
            ClusterFacts::new(*object).ok().map(Arc::new)
        }
        _ => None,
    }
}

/// The sets that a cluster is in.
fn sets(world: &World, cluster: Option<&ManagedCluster>) -> BTreeSet<ObjectName> {
    let Some(cluster) = cluster else {
        return BTreeSet::new();
    };
    let all = world.iter(KindName::ManagedClusterSet);
    let all = all.filter_map(|(_, resource)| match &**resource {
        Resource::ManagedClusterSet(set) => Some(&**set),
        _ => None,
    });
    let found = sets_of_cluster(cluster, all).sets;
    found
        .into_iter()
        .filter_map(|name| ObjectName::new(name).ok())
        .collect()
}

#[cfg(test)]
mod tests;
