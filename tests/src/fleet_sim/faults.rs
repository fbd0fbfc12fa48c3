//! Crashes, starts, cuts and snapshots.

use super::hub::{Call, Hub};
use super::{Broken, Fleet, Happening};

/// Milliseconds between two signs of life of an agent.
const TICK: u64 = 5_000;

impl Fleet {
    pub(super) fn snapshot(&mut self) {
        if let Some(hub) = &self.hub {
            hub.snapshot(&mut self.bus);
        }
        if self.trouble() {
            let next = self.dice.between(10_000, 60_000);
            self.plan(next, Happening::Snapshot);
        }
    }

    pub(super) fn hub_crash(&mut self) {
        if !self.trouble() {
            return;
        }
        self.step(|| "the hub crashes".to_owned());
        self.summary.crashes += 1;
        let hub = self.hub.take();
        self.summary.conflicts += hub.as_ref().map_or(0, |hub| hub.conflicts);
        // Sometimes it is only thought to be dead.
        if self.dice.chance(0.4) {
            self.zombie = hub;
            let later = self.dice.between(1, 4_000);
            self.plan(later, Happening::ZombieWrites);
        }
        let (start, next) = (
            self.dice.between(1, 5_000),
            self.dice.between(10_000, 60_000),
        );
        self.plan(start, Happening::HubStart);
        self.plan(start + next, Happening::HubCrash);
    }

    pub(super) fn hub_start(&mut self) -> Result<(), Broken> {
        // Snapshots can be thrown away; the ledger has everything. But what was told is known from
        // the stream of desired messages alone.
        if self.trouble() && self.dice.chance(0.2) {
            self.bus.snapshots.clear();
        }
        let dice = self.dice.split();
        let hub = Hub::start(&mut self.bus, self.signer.clone(), self.now, dice)?;
        self.step(|| format!("the hub starts at {}", hub.committed.sequence()));
        self.truth.follow(&self.bus.ledger)?;
        self.hub = Some(hub);
        self.wake_hub();
        Ok(())
    }

    /// The ledger takes what a hub had on its way that was given up, unless another wrote first.
    pub(super) fn zombie_writes(&mut self) -> Result<(), Broken> {
        let Some(mut zombie) = self.zombie.take() else {
            return Ok(());
        };
        // It does not know that it was given up, and takes another command.
        let places: Vec<_> = self.bus.commands.keys().copied().collect();
        if !places.is_empty() {
            let place = places[self.dice.place(places.len())];
            let queued = self.bus.commands[&place].clone();
            zombie.call(Call::Command { place, queued }, self.now);
        }
        let before = self.bus.ledger.last();
        let sent = zombie.flush(&mut self.bus, usize::MAX, self.now)?;
        self.summary.conflicts += zombie.conflicts;
        let after = self.bus.ledger.last();
        self.step(|| format!("the old hub writes {} records", after - before));
        self.truth.follow(&self.bus.ledger)?;
        for message in sent {
            self.sent(message)?;
        }
        Ok(())
    }

    pub(super) fn agent_start(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        if agent.up {
            return;
        }
        agent.start(self.now, &mut self.dice);
        let (run, cluster) = (agent.run, agent.cluster.clone());
        self.step(|| format!("{cluster}'s agent starts"));
        self.plan(1, Happening::AgentTick(number, run));
        self.plan(500, Happening::Reconcile(number, run));
        // All ticks of this run, to its end or the run's.
        let end = self.trouble_until.duration_since(self.now).as_millis();
        let end = u64::try_from(end).unwrap_or_default() + 150_000;
        let mut at = self.dice.between(1, TICK);
        while at < end {
            self.plan(at, Happening::AgentTick(number, run));
            at += TICK;
        }
    }

    pub(super) fn agent_crash(&mut self, number: usize) {
        if !self.trouble() {
            return;
        }
        self.summary.crashes += 1;
        let agent = &mut self.agents[number];
        agent.crash();
        let cluster = agent.cluster.clone();
        self.step(|| format!("{cluster}'s agent crashes"));
        self.disconnected(number);
        let (start, next) = (
            self.dice.between(100, 8_000),
            self.dice.between(20_000, 90_000),
        );
        self.plan(start, Happening::AgentStart(number));
        self.plan(start + next, Happening::AgentCrash(number));
    }

    pub(super) fn cut(&mut self, number: usize, cut: bool) {
        if cut && !self.trouble() {
            return;
        }
        let agent = &mut self.agents[number];
        agent.cut = cut;
        let cluster = agent.cluster.clone();
        if cut {
            self.step(|| format!("{cluster} is cut off"));
            self.disconnected(number);
            let (heal, next) = (
                self.dice.between(500, 20_000),
                self.dice.between(30_000, 120_000),
            );
            self.plan(heal, Happening::Cut(number, false));
            self.plan(heal + next, Happening::Cut(number, true));
        } else {
            self.step(|| format!("{cluster} is connected again"));
        }
    }

    /// The bus may say that a connection is gone.
    fn disconnected(&mut self, number: usize) {
        if self.dice.chance(0.7)
            && let Some(hub) = &mut self.hub
        {
            hub.disconnected(&self.agents[number].cluster, self.now);
        }
    }
}
