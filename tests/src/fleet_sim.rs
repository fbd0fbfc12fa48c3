//! A fleet in one thread on a virtual clock: the hub's decisions, the agents' folds, and a bus and
//! machines that misbehave, all by one seed.
//!
//! Messages are dropped, repeated, delayed and overtake each other; hub and agents crash and start
//! again from what was stored; a hub that was thought dead goes on writing; forged messages come
//! in. All the while, and when everything has come to rest, what must hold is checked by
//! `truth`. A run depends on its seed alone, so that a failure can be looked at again.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use skein_schema::command::CommandMessage;
use skein_schema::event::AgentKeys;
use skein_schema::name::{ClusterName, TokenName};
use uuid::Uuid;

mod agent;
mod bus;
mod commands;
mod dice;
mod dispatch;
mod faults;
mod forger;
mod hub;
mod signer;
mod traffic;
mod truth;

use agent::{Agent, ToHub};
use bus::{Bus, Desired, Queued};
use commands::Commands;
use dice::Dice;
use hub::{Answer, Hub, JoinReply, Sent};
use signer::Signer;
use truth::Truth;

/// Steps that are told when a run fails.
const STEPS_KEPT: usize = 30;
/// When a run begins, in virtual time: a whole second, as credentials are dated.
const BEGINNING: i64 = 1_800_000_000;

/// How long and how large a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many clusters there are.
    pub clusters: usize,
    /// Virtual seconds in which things go wrong and people ask for things.
    pub trouble_seconds: i64,
    /// Virtual seconds after that in which nothing goes wrong and everything comes to rest.
    pub rest_seconds: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clusters: 3,
            trouble_seconds: 400,
            rest_seconds: 150,
        }
    }
}

/// What happened in a run that went well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Commands that were sent.
    pub commands: u64,
    /// Records in the ledger at the end.
    pub records: u64,
    /// Works that clusters hold at the end.
    pub works: u64,
    /// Times a hub found that another one had written.
    pub conflicts: u64,
    /// Times an agent found that it missed messages.
    pub gaps: u64,
    /// Messages that were lost.
    pub lost: u64,
    /// Crashes of hubs and agents.
    pub crashes: u64,
    /// Forged messages that no agent took.
    pub forged: u64,
}

/// A run in which something did not hold.
#[derive(Debug, Clone, thiserror::Error)]
#[error("seed {seed}: {what}\nthe last steps:\n{}", .steps.join("\n"))]
pub struct Failure {
    /// The seed that shows it again.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// What happened last.
    pub steps: Vec<String>,
}

/// Something did not hold.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Happening {
    /// Somebody asks for something.
    Command,
    /// The queue hands a command to the hub.
    Deliver(u64),
    /// The hub does the next part of what it has to do.
    HubStep,
    /// Heartbeats are judged.
    HubTick,
    /// The hub stores a snapshot.
    Snapshot,
    HubCrash,
    HubStart,
    /// A hub that was given up writes what it had on its way.
    ZombieWrites,
    AgentStart(usize),
    AgentCrash(usize),
    /// An agent is cut off, or is so no longer.
    Cut(usize, bool),
    AgentTick(usize, u64),
    /// An agent makes its cluster as wanted.
    Reconcile(usize, u64),
    /// A message from an agent arrives.
    FromAgent(usize, u64, Box<ToHub>),
    /// A message to an agent arrives.
    ToAgent(usize, u64, Box<ToAgent>),
    /// Somebody forges a message to an agent.
    Forge,
}

/// What arrives at an agent.
#[derive(Debug, Clone)]
enum ToAgent {
    Desired(Desired),
    /// The rest of an answer to a request to catch up, and whether there is more.
    Synced(Vec<Desired>, bool),
    Joined(Uuid, JoinReply),
    Confirmed(u64),
}

/// The fleet.
struct Fleet {
    now: Timestamp,
    trouble_until: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    planned: u64,
    dice: Dice,
    bus: Bus,
    hub: Option<Hub>,
    hub_steps: bool,
    /// Before this, desired messages wait.
    dispatch_at: Timestamp,
    zombie: Option<Hub>,
    signer: Signer,
    agents: Vec<Agent>,
    commands: Commands,
    answers: BTreeMap<Uuid, Vec<Answer>>,
    truth: Truth,
    steps: VecDeque<String>,
    summary: Summary,
}

/// Runs a fleet by a seed.
///
/// # Errors
/// What did not hold, the seed, and the steps before.
pub fn run(seed: u64, options: &Options) -> Result<Summary, Failure> {
    let mut fleet = Fleet::new(seed, options);
    match fleet.run(options) {
        Ok(()) => Ok(fleet.summary),
        Err(Broken(what)) => Err(Failure {
            seed,
            what,
            steps: fleet.steps.into(),
        }),
    }
}

impl Fleet {
    fn new(seed: u64, options: &Options) -> Self {
        let mut dice = Dice::new(seed);
        let now = Timestamp::from_second(BEGINNING).expect("a time of this century");
        let signer = Signer::new("hub-key", dice.bytes());
        let agents: Vec<_> = (0..options.clusters)
            .map(|number| {
                let cluster = ClusterName::new(format!("c{number}")).expect("a label");
                let token = TokenName::new(format!("t{number}")).expect("a label");
                let keys = AgentKeys {
                    nkey: public_key(&mut dice),
                    sealing_key: None,
                    certificate_request: None,
                };
                Agent::new(cluster, token, keys)
            })
            .collect();
        let clusters: Vec<_> = agents
            .iter()
            .map(|agent| {
                let public_key = public_key(&mut dice);
                (agent.cluster.clone(), agent.token.clone(), public_key)
            })
            .collect();
        let commands = Commands::new(&clusters, now, &mut dice);
        Self {
            now,
            trouble_until: now + SignedDuration::from_secs(options.trouble_seconds),
            agenda: BTreeMap::new(),
            planned: 0,
            dice,
            bus: Bus::default(),
            hub: None,
            hub_steps: false,
            dispatch_at: now,
            zombie: None,
            signer,
            agents,
            commands,
            answers: BTreeMap::new(),
            truth: Truth::default(),
            steps: VecDeque::new(),
            summary: Summary::default(),
        }
    }

    fn run(&mut self, options: &Options) -> Result<(), Broken> {
        self.plan(0, Happening::HubStart);
        self.plan(1, Happening::HubTick);
        self.plan(100, Happening::Command);
        self.plan(20_000, Happening::Snapshot);
        self.plan(15_000, Happening::HubCrash);
        self.plan(10_000, Happening::Forge);
        for number in 0..self.agents.len() {
            let (start, crash, cut) = (
                self.dice.below(20_000),
                self.dice.between(30_000, 90_000),
                self.dice.between(20_000, 90_000),
            );
            self.plan(start, Happening::AgentStart(number));
            self.plan(crash, Happening::AgentCrash(number));
            self.plan(cut, Happening::Cut(number, true));
        }
        let end = self.trouble_until + SignedDuration::from_secs(options.rest_seconds);
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            if at > end {
                break;
            }
            self.now = at;
            self.happen(happening)?;
            self.truth.follow(&self.bus.ledger)?;
        }
        let Some(hub) = &self.hub else {
            return Err(Broken("the hub is not up at the end".to_owned()));
        };
        self.truth.rests(hub, &self.bus, &self.agents)?;
        self.summary.conflicts += hub.conflicts;
        for (command, answers) in &self.answers {
            self.truth.answered_once(*command, answers, true)?;
        }
        self.summary.records = self.bus.ledger.last();
        self.summary.works = self
            .agents
            .iter()
            .map(|agent| agent.held.len() as u64)
            .sum();
        Ok(())
    }

    /// Whether things go wrong now.
    fn trouble(&self) -> bool {
        self.now < self.trouble_until
    }

    /// Something happens so many milliseconds from now.
    fn plan(&mut self, millis: u64, happening: Happening) {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let at = self.now + SignedDuration::from_millis(millis);
        self.planned += 1;
        self.agenda.insert((at, self.planned), happening);
    }

    /// The hub has something to do.
    fn wake_hub(&mut self) {
        if !self.hub_steps {
            self.hub_steps = true;
            let soon = self.dice.between(1, 40);
            self.plan(soon, Happening::HubStep);
        }
    }

    /// Remembers a step, for whoever looks at a failure.
    fn step(&mut self, text: impl FnOnce() -> String) {
        if self.steps.len() == STEPS_KEPT {
            self.steps.pop_front();
        }
        let seconds = self.now.as_millisecond() - BEGINNING * 1_000;
        self.steps
            .push_back(format!("{:>8.3} {}", seconds as f64 / 1_000.0, text()));
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        match happening {
            Happening::Command => self.command(),
            Happening::Deliver(place) => self.deliver(place),
            Happening::HubStep => return self.hub_step(),
            Happening::HubTick => {
                if let Some(hub) = &mut self.hub {
                    hub.look_at_the_end(&mut self.bus, self.now)?;
                    hub.tick(self.now);
                    self.wake_hub();
                }
                self.plan(3_000, Happening::HubTick);
            }
            Happening::Snapshot => self.snapshot(),
            Happening::HubCrash => self.hub_crash(),
            Happening::HubStart => return self.hub_start(),
            Happening::ZombieWrites => return self.zombie_writes(),
            Happening::AgentStart(number) => self.agent_start(number),
            Happening::AgentCrash(number) => self.agent_crash(number),
            Happening::Cut(number, cut) => self.cut(number, cut),
            Happening::AgentTick(number, run) => self.agent_tick(number, run),
            Happening::Reconcile(number, run) => self.reconcile(number, run),
            Happening::FromAgent(number, run, message) => self.at_hub(number, run, &message),
            Happening::ToAgent(number, run, message) => {
                return self.at_agent(number, run, *message);
            }
            Happening::Forge => return self.forge(),
        }
        Ok(())
    }

    fn command(&mut self) {
        if !self.trouble() {
            return;
        }
        let (user, command) = self.commands.next(&mut self.dice);
        let queued = Queued {
            id: self.dice.uuid(self.now),
            user: user.to_owned(),
            body: serde_json::to_vec(&CommandMessage {
                deadline_seconds: 3_600,
                command: command.clone(),
            })
            .expect("a command is JSON"),
        };
        self.step(|| format!("{user} sends {}: {command:?}", queued.id));
        self.answers.insert(queued.id, Vec::new());
        self.summary.commands += 1;
        // Who hears nothing sends the same again.
        let times = if self.dice.chance(0.15) { 2 } else { 1 };
        for _ in 0..times {
            let place = self.bus.queue(queued.clone());
            let delay = self.dice.between(1, 500);
            self.plan(delay, Happening::Deliver(place));
        }
        let next = self.dice.between(100, 4_000);
        self.plan(next, Happening::Command);
    }

    fn deliver(&mut self, place: u64) {
        let Some(queued) = self.bus.commands.get(&place).cloned() else {
            return;
        };
        if let Some(hub) = &mut self.hub {
            hub.call(hub::Call::Command { place, queued }, self.now);
            self.wake_hub();
        }
        // Until it is taken off, it comes again.
        self.plan(10_000, Happening::Deliver(place));
    }

    fn hub_step(&mut self) -> Result<(), Broken> {
        self.hub_steps = false;
        let Some(mut hub) = self.hub.take() else {
            return Ok(());
        };
        hub.read_statuses(&self.bus, self.now);
        let limit = self.dice.place(12);
        let result = hub.flush(&mut self.bus, limit, self.now);
        let mut sent = result?;
        // Now and then the bus takes its time, and catching up finds a hub that knows more than it
        // has sent.
        if self.trouble() && self.dice.chance(0.02) {
            let pause = self.dice.between(500, 4_000).cast_signed();
            self.dispatch_at = self.now + SignedDuration::from_millis(pause);
        }
        if self.now >= self.dispatch_at && self.dice.chance(0.7) {
            let messages = hub.dispatch.send(&hub.committed, &mut self.bus);
            sent.extend(messages.into_iter().map(Sent::Desired));
        }
        let idle = hub.is_idle();
        if self.truth.follow(&self.bus.ledger)? {
            self.truth.agrees_with(&hub)?;
        }
        self.hub = Some(hub);
        for message in sent {
            self.sent(message)?;
        }
        if !idle {
            self.wake_hub();
        }
        Ok(())
    }

    /// Something leaves a hub.
    fn sent(&mut self, sent: Sent) -> Result<(), Broken> {
        match sent {
            Sent::Answer {
                place,
                command,
                answer,
            } => {
                self.step(|| format!("{command} is answered {answer:?}"));
                // The answer is out, but the queue may not have heard that the command is done.
                if !(self.trouble() && self.dice.chance(0.1)) {
                    self.bus.commands.remove(&place);
                }
                let answers = self.answers.entry(command).or_default();
                answers.push(answer);
                self.truth.answered_once(command, answers, false)?;
            }
            Sent::Join {
                cluster,
                request,
                reply,
            } => {
                if let Some(number) = self.number(&cluster) {
                    self.send_to_agent(number, &ToAgent::Joined(request, reply));
                }
            }
            Sent::Desired(message) => {
                if let Some(number) = self.number(&message.header.cluster) {
                    self.send_to_agent(number, &ToAgent::Desired(message));
                }
            }
        }
        Ok(())
    }

    fn number(&self, cluster: &ClusterName) -> Option<usize> {
        self.agents
            .iter()
            .position(|agent| agent.cluster == *cluster)
    }
}

fn public_key(dice: &mut Dice) -> String {
    nkeys::KeyPair::new_from_raw(nkeys::KeyPairType::User, dice.bytes())
        .expect("32 bytes make a key")
        .public_key()
}
