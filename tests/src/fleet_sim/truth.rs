//! An independent look at what is stored: the fold of the ledger's bytes, and what must follow
//! from it everywhere else.

use std::collections::{BTreeMap, BTreeSet};

use skein_hub_core::{Observed, World, invariant, snapshot};
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::CONDITION_APPLIED;
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};
use skein_schema::status::StatusMessage;
use uuid::Uuid;

use super::Broken;
use super::agent::Agent;
use super::bus::{Bus, Ledger};
use super::hub::{Answer, Hub};

/// A cluster's works that are to be: name, uid, generation.
type Works = BTreeMap<ObjectName, (Uuid, i64)>;

/// The fold of the ledger as it was stored, and what it said on the way.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) world: World,
    /// Each cluster's works after the records that changed them.
    history: BTreeMap<ClusterName, BTreeMap<u64, Works>>,
    /// Records by the command that they are about.
    records: BTreeMap<Uuid, Vec<u64>>,
}

impl Truth {
    /// Folds in what is new, and checks every world on the way; true if something was.
    pub(super) fn follow(&mut self, ledger: &Ledger) -> Result<bool, Broken> {
        let before = self.world.sequence();
        while self.world.sequence() < ledger.last() {
            let stored = ledger.read(self.world.sequence() + 1)?;
            let changes = self.world.evolve(&stored);
            let clusters: BTreeSet<_> = changes
                .touched
                .iter()
                .filter(|key| key.kind == KindName::ManifestWork)
                .filter_map(|key| ClusterName::new(key.workspace.as_ref()?).ok())
                .collect();
            for cluster in clusters {
                let works = works_of(&self.world, &cluster);
                let history = self.history.entry(cluster).or_default();
                history.insert(stored.sequence, works);
            }
            if let Some(command) = stored.envelope.command_id {
                let records = self.records.entry(command).or_default();
                records.push(stored.sequence);
            }
            // A hub that finds an empty ledger puts in what is always there, one by one.
            if self.records.is_empty() {
                continue;
            }
            if let Some(breach) = invariant::check(&self.world).first() {
                return Err(Broken(format!(
                    "record {} breaks {:?} of {}",
                    stored.sequence, breach.rule, breach.subject
                )));
            }
        }
        Ok(self.world.sequence() > before)
    }

    /// A hub that has everything must have exactly this.
    pub(super) fn agrees_with(&self, hub: &Hub) -> Result<(), Broken> {
        if hub.committed.sequence() != self.world.sequence() {
            return Ok(());
        }
        must(hub.committed == self.world, || {
            format!(
                "the hub's world at {} is not the fold of the ledger",
                self.world.sequence()
            )
        })?;
        must(hub.head_agrees(), || {
            "the head is not what was committed".to_owned()
        })
    }

    /// What an agent holds is what the hub wanted of its cluster at the moment that it knows of,
    /// and never anything of another cluster.
    pub(super) fn allows(&self, agent: &Agent) -> Result<(), Broken> {
        let Some(state) = &agent.state else {
            return Ok(());
        };
        let held: Works = state
            .works()
            .iter()
            .filter(|(_, held)| !held.removing)
            .map(|(name, held)| (name.clone(), (held.work.uid, held.work.generation)))
            .collect();
        let wanted = self
            .history
            .get(&agent.cluster)
            .and_then(|history| history.range(..=state.sequence()).next_back())
            .map(|(_, works)| works.clone())
            .unwrap_or_default();
        must(held == wanted, || {
            format!(
                "{} at revision {} and sequence {} holds {held:?}, wanted was {wanted:?}",
                agent.cluster,
                state.rev(),
                state.sequence()
            )
        })
    }

    /// Every command has one outcome, told however often it was asked for.
    pub(super) fn answered_once(
        &self,
        command: Uuid,
        answers: &[Answer],
        at_rest: bool,
    ) -> Result<(), Broken> {
        let records = self.records.get(&command).map_or(0, Vec::len);
        must(records <= 1, || {
            format!("command {command} was recorded {records} times")
        })?;
        let recorded = |answer: &&Answer| !matches!(answer, Answer::Done { sequence: None, .. });
        let mut told = answers.iter().filter(recorded);
        if let Some(first) = told.next() {
            must(told.all(|other| other == first), || {
                format!("command {command} has several outcomes: {answers:?}")
            })?;
            must(records == 1, || {
                format!("command {command} was answered {first:?} without a record")
            })?;
        }
        must(!at_rest || !answers.is_empty(), || {
            format!("command {command} was never answered")
        })
    }

    /// When nothing is on its way any more, agents, hub and ledger say the same.
    pub(super) fn rests(&self, hub: &Hub, bus: &Bus, agents: &[Agent]) -> Result<(), Broken> {
        must(
            hub.is_idle() && hub.committed.sequence() == self.world.sequence(),
            || "the hub has not come to rest".to_owned(),
        )?;
        self.agrees_with(hub)?;
        self.replays(hub, bus)?;
        for agent in agents {
            self.allows(agent)?;
            if self.is_let_in(agent) {
                self.has_converged(agent, hub)?;
            }
        }
        Ok(())
    }

    /// Each snapshot and its tail give what everything gives.
    fn replays(&self, hub: &Hub, bus: &Bus) -> Result<(), Broken> {
        let live = snapshot::encode(&hub.committed, &hub.observed);
        let nothing = snapshot::encode(&World::default(), &Observed::default());
        let stored = bus.snapshots.iter();
        let mut starts: Vec<_> = stored
            .map(|stored| (stored.statuses, &stored.bytes))
            .collect();
        starts.push((0, &nothing));
        for (statuses, bytes) in starts {
            let (mut world, mut observed) = snapshot::decode(bytes)
                .map_err(|error| Broken(format!("a snapshot cannot be read: {error}")))?;
            let from = world.sequence();
            for sequence in from + 1..=bus.ledger.last() {
                world.evolve(&bus.ledger.read(sequence)?);
            }
            for (stored, sequence) in bus.statuses.iter().zip(1..).skip(statuses) {
                let message: StatusMessage =
                    serde_json::from_slice(&stored.body).expect("agents send status messages");
                observed.evolve(&stored.cluster, &message, sequence, stored.time);
            }
            must(snapshot::encode(&world, &observed) == live, || {
                format!("the snapshot at {from} and its tail give other bytes than the live state")
            })?;
        }
        Ok(())
    }

    /// The cluster is accepted, with this agent's keys.
    fn is_let_in(&self, agent: &Agent) -> bool {
        let accepted = match self
            .world
            .get(&ObjectKey::cluster(&agent.cluster))
            .map(|found| &**found)
        {
            Some(Resource::ManagedCluster(found)) => found.spec.hub_accepts_client,
            _ => false,
        };
        let keys = self
            .world
            .cluster(&agent.cluster)
            .and_then(|record| record.keys.as_ref());
        accepted && keys.is_some_and(|keys| keys.nkey == agent.keys.nkey)
    }

    fn has_converged(&self, agent: &Agent, hub: &Hub) -> Result<(), Broken> {
        let cluster = &agent.cluster;
        let Some(state) = &agent.state else {
            return Err(Broken(format!("{cluster} is accepted and has not joined")));
        };
        must(state.rev() == hub.dispatch.rev(cluster), || {
            format!(
                "{cluster} is at revision {}, the hub at {}",
                state.rev(),
                hub.dispatch.rev(cluster)
            )
        })?;
        must(agent.has_told_all(), || {
            format!("{cluster} has something left to tell")
        })?;
        let leaving = |(key, resource): (&ObjectKey, &std::sync::Arc<Resource>)| {
            let on_cluster = key.workspace.as_ref().map(AsRef::as_ref) == Some(cluster.as_str());
            on_cluster && resource.metadata().deletion_timestamp.is_some()
        };
        must(!self.world.objects().any(leaving), || {
            format!("a work of {cluster} is still being deleted")
        })?;
        let wanted = works_of(&self.world, cluster);
        let held: Works = agent
            .held
            .iter()
            .map(|(name, held)| (name.clone(), (held.uid, held.generation)))
            .collect();
        must(held == wanted, || {
            format!("on {cluster} is {held:?}, wanted is {wanted:?}")
        })?;
        for (name, (uid, generation)) in &wanted {
            let seen = hub.observed.work(cluster, name, *uid);
            let applied = seen.is_some_and(|seen| {
                let status = seen.status();
                let applied = condition::find(&status.conditions, CONDITION_APPLIED);
                seen.generation == *generation
                    && applied.is_some_and(|condition| {
                        condition.status == "True"
                            && condition.observed_generation == Some(*generation)
                    })
            });
            must(applied, || {
                format!("{cluster}/{name} at {generation} is not seen as applied: {seen:?}")
            })?;
        }
        Ok(())
    }
}

fn works_of(world: &World, cluster: &ClusterName) -> Works {
    let works = world.iter_in(KindName::ManifestWork, &cluster.into());
    works
        .filter(|(_, work)| work.metadata().deletion_timestamp.is_none())
        .map(|(key, work)| {
            let metadata = work.metadata();
            let uid = metadata.uid.as_deref().unwrap_or_default();
            let uid = uid.parse().unwrap_or_default();
            (
                key.name.clone(),
                (uid, metadata.generation.unwrap_or_default()),
            )
        })
        .collect()
}

pub(super) fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(what())) }
}
