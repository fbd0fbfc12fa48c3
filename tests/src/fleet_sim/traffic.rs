//! Messages between agents and the bus: what is lost, late or twice, and what the bus lets in.

use super::agent::ToHub;
use super::bus::StoredStatus;
use super::hub::Call;
use super::{Broken, Fleet, Happening, ToAgent};
use skein_agent_core::state::Acceptance;

impl Fleet {
    /// When a message arrives, each time it does, in milliseconds from now.
    fn arrivals(&mut self) -> Vec<u64> {
        if !self.trouble() {
            return vec![self.dice.between(1, 10)];
        }
        if self.dice.chance(0.1) {
            self.summary.lost += 1;
            return Vec::new();
        }
        let times = if self.dice.chance(0.1) { 2 } else { 1 };
        (0..times)
            .map(|_| {
                let most = if self.dice.chance(0.1) { 8_000 } else { 200 };
                self.dice.between(1, most)
            })
            .collect()
    }

    pub(super) fn send_to_agent(&mut self, number: usize, message: &ToAgent) {
        let run = self.agents[number].run;
        for delay in self.arrivals() {
            self.plan(
                delay,
                Happening::ToAgent(number, run, Box::new(message.clone())),
            );
        }
    }

    pub(super) fn send_to_hub(&mut self, number: usize, message: &ToHub) {
        let run = self.agents[number].run;
        for delay in self.arrivals() {
            self.plan(
                delay,
                Happening::FromAgent(number, run, Box::new(message.clone())),
            );
        }
    }

    /// Whether a message between the bus and this run of an agent gets through. A connection ends
    /// with the program that opened it.
    fn passes(&self, number: usize, run: u64) -> bool {
        let agent = &self.agents[number];
        agent.up && agent.run == run && !agent.cut
    }

    pub(super) fn at_hub(&mut self, number: usize, run: u64, message: &ToHub) {
        if !self.passes(number, run) {
            return;
        }
        let agent = &self.agents[number];
        let (cluster, token) = (agent.cluster.clone(), agent.token.clone());
        if let ToHub::Join(request) = message {
            if let Some(hub) = &mut self.hub {
                let request = request.clone();
                hub.call(Call::Join { token, request }, self.now);
                self.wake_hub();
            }
            return;
        }
        let admitted = agent
            .credential
            .is_some_and(|issued_at| self.bus.admits(&agent.keys.nkey, issued_at));
        if !admitted {
            if agent.credential.is_some() {
                self.step(|| format!("{cluster} is shut out"));
                self.agents[number].shut_out(self.now, &mut self.dice);
            }
            return;
        }
        match message {
            ToHub::Join(_) => {}
            ToHub::Status {
                number: count,
                body,
            } => {
                self.bus.statuses.push(StoredStatus {
                    cluster,
                    time: self.now,
                    body: body.clone(),
                });
                self.send_to_agent(number, &ToAgent::Confirmed(*count));
                self.wake_hub();
            }
            ToHub::Beat(beat) => {
                if let Some(hub) = &mut self.hub {
                    hub.beat(&cluster, beat, self.now);
                    self.wake_hub();
                }
            }
            ToHub::Sync { rev } => {
                let Some(hub) = &mut self.hub else { return };
                let (messages, more) =
                    hub.dispatch
                        .sync(&hub.committed, &mut self.bus, &cluster, *rev);
                self.step(|| {
                    let revs: Vec<_> = messages
                        .iter()
                        .map(|message| (message.header.rev, message.header.sequence))
                        .collect();
                    format!("{cluster} at {rev} catches up with {revs:?}, more: {more}")
                });
                self.send_to_agent(number, &ToAgent::Synced(messages, more));
            }
        }
    }

    pub(super) fn at_agent(
        &mut self,
        number: usize,
        run: u64,
        message: ToAgent,
    ) -> Result<(), Broken> {
        if !self.passes(number, run) {
            return Ok(());
        }
        match message {
            ToAgent::Desired(message) => {
                let waits = self.take_in(number, &message)?;
                if waits {
                    self.catch_up(number);
                }
            }
            ToAgent::Synced(messages, more) => {
                let mut gap = false;
                for message in &messages {
                    gap |= self.take_in(number, message)?;
                }
                if more || gap {
                    self.catch_up(number);
                }
            }
            ToAgent::Joined(request, reply) => {
                let signing = self.signer.public();
                let agent = &mut self.agents[number];
                let before = agent.state.is_some();
                agent.joined(request, &reply, &signing, self.now, &mut self.dice);
                if !before && agent.state.is_some() {
                    let cluster = agent.cluster.clone();
                    self.step(|| format!("{cluster} has joined"));
                    let run = self.agents[number].run;
                    self.plan(1, Happening::AgentTick(number, run));
                }
            }
            ToAgent::Confirmed(count) => {
                if let Some(next) = self.agents[number].confirmed(count) {
                    self.send_to_hub(number, &next);
                }
            }
        }
        Ok(())
    }

    /// An agent gets a desired message; true if it misses some before it.
    fn take_in(&mut self, number: usize, message: &super::Desired) -> Result<bool, Broken> {
        let agent = &mut self.agents[number];
        let (wake, acceptance) = agent.receive(message, &mut self.dice);
        let (run, cluster) = (agent.run, agent.cluster.clone());
        self.truth.allows(agent)?;
        let header = &message.header;
        self.step(|| {
            let (rev, sequence) = (header.rev, header.sequence);
            let became = match &acceptance {
                Acceptance::Applied(applied) => format!("applied {:?}", applied.touched),
                other => format!("{other:?}"),
            };
            format!("{cluster} gets revision {rev} with {sequence}: {became}")
        });
        if let Acceptance::Rejected(rejection) = &acceptance {
            return Err(Broken(format!(
                "{cluster} takes the hub's own message for none: {rejection}"
            )));
        }
        if wake {
            let soon = self.dice.between(5, 400);
            self.plan(soon, Happening::Reconcile(number, run));
        }
        let gap = matches!(acceptance, Acceptance::Gap { .. });
        self.summary.gaps += u64::from(gap);
        Ok(gap)
    }

    fn catch_up(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        let request = agent.catch_up().or_else(|| {
            let rev = agent.state.as_ref()?.rev();
            Some(ToHub::Sync { rev })
        });
        if let Some(request) = request {
            self.send_to_hub(number, &request);
        }
    }

    pub(super) fn agent_tick(&mut self, number: usize, run: u64) {
        let agent = &mut self.agents[number];
        if !agent.up || agent.run != run {
            return;
        }
        let messages = agent.tick(self.now);
        for message in &messages {
            self.send_to_hub(number, message);
        }
    }

    pub(super) fn reconcile(&mut self, number: usize, run: u64) {
        let agent = &mut self.agents[number];
        if !agent.up || agent.run != run {
            return;
        }
        if let Some(message) = agent.reconcile(self.now) {
            self.send_to_hub(number, &message);
        }
    }
}
