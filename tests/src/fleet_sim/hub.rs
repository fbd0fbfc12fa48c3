//! A hub in one thread: takes calls, decides upon a head that includes records on their way, makes
//! them visible when the ledger has taken them, and tells clusters what follows.

use std::collections::VecDeque;

use jiff::Timestamp;
use skein_hub_core::{
    Context, Decision, Grant, Heartbeats, JoinVerdict, Observed, Stored, Trigger, World, decide,
    decide_join, react, snapshot,
};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Change, CommandMessage};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, Producer, SCHEMA_VERSION};
use skein_schema::join::JoinRequest;
use skein_schema::name::{ClusterName, HubName, TokenName, UserName};
use skein_schema::status::{Heartbeat, StatusMessage};
use uuid::Uuid;

use super::Broken;
use super::bus::{Bus, Desired, Message, Queued};
use super::dice::Dice;
use super::dispatch::Dispatch;
use super::signer::Signer;

/// The answer to a command, as far as it must be the same each time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Done {
        change: Change,
        sequence: Option<u64>,
    },
    Refused(Code),
}

/// The answer to an agent that asks to be let in.
#[derive(Debug, Clone)]
pub(super) enum JoinReply {
    Pending,
    Issued(Box<Grant>),
    Refused,
}

/// What a hub sends to somebody.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    Answer {
        place: u64,
        command: Uuid,
        answer: Answer,
    },
    Join {
        cluster: ClusterName,
        request: Uuid,
        reply: JoinReply,
    },
    Desired(Desired),
}

/// What somebody wants of a hub.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Command {
        place: u64,
        queued: Queued,
    },
    Join {
        token: TokenName,
        request: Box<JoinRequest>,
    },
}

/// A record on its way and the answer that waits for it, or an answer that waits for those before.
#[derive(Debug, Clone)]
struct Waiting {
    after: u64,
    record: Option<(Box<Stored>, Message)>,
    call: Option<Call>,
    sent: Option<Sent>,
}

/// Who and what a record is from.
#[derive(Debug, Clone)]
struct Cause {
    actor: Actor,
    command: Option<Uuid>,
}

/// A hub.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    name: HubName,
    head: World,
    pub(super) committed: World,
    pub(super) observed: Observed,
    statuses: usize,
    heartbeats: Heartbeats,
    pub(super) dispatch: Dispatch,
    waiting: VecDeque<Waiting>,
    dice: Dice,
    /// Times it found that another had written.
    pub(super) conflicts: u64,
}

impl Hub {
    /// Starts from the last snapshot, if any, and the tail of the ledger.
    pub(super) fn start(
        bus: &mut Bus,
        signer: Signer,
        now: Timestamp,
        dice: Dice,
    ) -> Result<Self, Broken> {
        let (committed, observed, statuses) = match bus.snapshots.last() {
            None => (World::default(), Observed::default(), 0),
            Some(stored) => {
                let (world, observed) = snapshot::decode(&stored.bytes)
                    .map_err(|error| Broken(format!("the snapshot cannot be read: {error}")))?;
                (world, observed, stored.statuses)
            }
        };
        let mut hub = Self {
            name: HubName::new("hub-0").expect("a label"),
            head: World::default(),
            committed,
            observed,
            statuses,
            heartbeats: Heartbeats::new(now),
            dispatch: Dispatch::resume(bus, signer),
            waiting: VecDeque::new(),
            dice,
            conflicts: 0,
        };
        hub.fold_statuses(bus);
        hub.catch_up(bus)?;
        hub.lead(now);
        Ok(hub)
    }

    /// Whether everything that it decided is stored and told.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.dispatch.is_empty()
    }

    /// Stores a snapshot. Only what clusters have been told may be in one: a hub that starts from
    /// it does not read the records before.
    pub(super) fn snapshot(&self, bus: &mut Bus) {
        if self.is_idle() {
            bus.snapshots.push(super::bus::StoredSnapshot {
                statuses: self.statuses,
                bytes: snapshot::encode(&self.committed, &self.observed),
            });
        }
    }

    /// Decides a call.
    pub(super) fn call(&mut self, call: Call, now: Timestamp) {
        match &call {
            Call::Command { place, queued } => {
                let (place, queued) = (*place, queued.clone());
                self.command(place, &queued, call, now);
            }
            Call::Join { token, request } => {
                let (token, request) = (token.clone(), request.clone());
                self.join(&token, &request, call, now);
            }
        }
    }

    fn command(&mut self, place: u64, queued: &Queued, call: Call, now: Timestamp) {
        let message: CommandMessage =
            serde_json::from_slice(&queued.body).expect("the generator sends commands");
        let command = message.command;
        let actor = Actor::User(UserName::new(&queued.user).expect("the generator's users"));
        let context = Context {
            now,
            actor: &actor,
            command: queued.id,
        };
        let known = self.head.outcome(queued.id).is_some();
        let decided = decide(&self.head, &self.observed, &command, &context);
        let sent = |answer| {
            Some(Sent::Answer {
                place,
                command: queued.id,
                answer,
            })
        };
        let cause = Cause {
            actor: actor.clone(),
            command: Some(queued.id),
        };
        match decided {
            Ok(decision) if known || decision.is_empty() => {
                let answer = Answer::Done {
                    change: decision.change,
                    sequence: decision.decided_at,
                };
                self.hold(call, sent(answer));
            }
            Ok(decision) => {
                let answer = Answer::Done {
                    change: decision.change,
                    sequence: Some(self.head.sequence() + 1),
                };
                self.record(&decision, &cause, Some(call), sent(answer), now);
            }
            Err(Refusal { code, .. }) if known => self.hold(call, sent(Answer::Refused(code))),
            Err(refusal) => {
                let answer = sent(Answer::Refused(refusal.code));
                let decision = Decision::refused(
                    queued.id,
                    command.verb(),
                    Some(&command),
                    Digest::of(&queued.body),
                    refusal,
                );
                self.record(&decision, &cause, Some(call), answer, now);
            }
        }
    }

    fn join(&mut self, token: &TokenName, request: &JoinRequest, call: Call, now: Timestamp) {
        let actor = Actor::Token(token.clone());
        let context = Context {
            now,
            actor: &actor,
            command: request.request,
        };
        let decided = decide_join(&self.head, token, request, &context);
        let (decision, reply) = match decided {
            Err(_) => (None, JoinReply::Refused),
            Ok(joined) => {
                let reply = match joined.verdict {
                    JoinVerdict::Pending { .. } => JoinReply::Pending,
                    JoinVerdict::Issue(grant) => JoinReply::Issued(grant),
                };
                (
                    Some(joined.decision).filter(|decision| !decision.is_empty()),
                    reply,
                )
            }
        };
        let sent = Some(Sent::Join {
            cluster: request.cluster.clone(),
            request: request.request,
            reply,
        });
        let cause = Cause {
            actor: actor.clone(),
            command: Some(request.request),
        };
        match decision {
            Some(decision) => self.record(&decision, &cause, Some(call), sent, now),
            None => self.hold(call, sent),
        }
    }

    /// A heartbeat came.
    pub(super) fn beat(&mut self, cluster: &ClusterName, beat: &Heartbeat, now: Timestamp) {
        self.heartbeats.beat(cluster, beat, now);
        self.tick(now);
    }

    /// The bus says that an agent's connection is gone.
    pub(super) fn disconnected(&mut self, cluster: &ClusterName, now: Timestamp) {
        self.heartbeats.disconnected(cluster, now);
    }

    /// Looks whether somebody wrote without it: one that was given up may, and a lead that has
    /// nothing to write would not notice.
    pub(super) fn look_at_the_end(&mut self, bus: &mut Bus, now: Timestamp) -> Result<(), Broken> {
        if bus.ledger.last() > self.committed.sequence() {
            self.fall_back(bus, now)?;
        }
        Ok(())
    }

    /// Judges the clusters whose heartbeats are due.
    pub(super) fn tick(&mut self, now: Timestamp) {
        if self
            .heartbeats
            .next_deadline()
            .is_none_or(|deadline| deadline > now)
        {
            return;
        }
        for decision in self.heartbeats.due(&self.head, now) {
            let cause = self.own_cause();
            self.record(&decision, &cause, None, None, now);
        }
    }

    /// Folds in what agents have reported since, and reacts to it.
    pub(super) fn read_statuses(&mut self, bus: &Bus, now: Timestamp) {
        for (cluster, changes) in self.fold_statuses(bus) {
            let trigger = Trigger::Reported(&cluster, &changes);
            for decision in react::after(&self.head, &self.observed, &trigger, now) {
                let cause = self.own_cause();
                self.record(&decision, &cause, None, None, now);
            }
        }
    }

    fn fold_statuses(
        &mut self,
        bus: &Bus,
    ) -> Vec<(ClusterName, Vec<skein_hub_core::ObservedChange>)> {
        let mut news = Vec::new();
        for stored in &bus.statuses[self.statuses..] {
            self.statuses += 1;
            let message: StatusMessage =
                serde_json::from_slice(&stored.body).expect("agents send status messages");
            let sequence = self.statuses as u64;
            let changes = self
                .observed
                .evolve(&stored.cluster, &message, sequence, stored.time);
            if !changes.is_empty() {
                news.push((stored.cluster.clone(), changes));
            }
        }
        news
    }

    fn own_cause(&self) -> Cause {
        Cause {
            actor: Actor::Hub(self.name.clone()),
            command: None,
        }
    }

    fn hold(&mut self, call: Call, sent: Option<Sent>) {
        self.waiting.push_back(Waiting {
            after: self.head.sequence(),
            record: None,
            call: Some(call),
            sent,
        });
    }

    fn record(
        &mut self,
        decision: &Decision,
        cause: &Cause,
        call: Option<Call>,
        sent: Option<Sent>,
        now: Timestamp,
    ) {
        let (stored, message) = self.encode(decision, cause, now);
        self.head.evolve(&stored);
        self.waiting.push_back(Waiting {
            after: stored.sequence,
            record: Some((Box::new(stored.clone()), message)),
            call,
            sent,
        });
        let trigger = Trigger::Recorded(&stored);
        for decision in react::after(&self.head, &self.observed, &trigger, now) {
            let cause = self.own_cause();
            self.record(&decision, &cause, None, None, now);
        }
    }

    fn encode(&mut self, decision: &Decision, cause: &Cause, now: Timestamp) -> (Stored, Message) {
        let id = self.dice.uuid(now);
        let body = decision.record.encode();
        let kind = decision
            .record
            .events
            .first()
            .map_or("", |event| event.kind());
        let envelope = Envelope {
            id,
            kind: kind.to_owned(),
            source: format!("/hub/{}", self.name),
            subject: decision.subject.to_string(),
            time: now,
            actor: cause.actor.clone(),
            on_behalf_of: None,
            command_id: cause.command,
            causation_id: None,
            correlation_id: cause.command.unwrap_or(id),
            traceparent: None,
            producer: Producer::this_build("skein-tests"),
            schema_version: SCHEMA_VERSION,
            digest: Digest::of(&body),
        };
        let headers = envelope.to_headers().into_iter();
        let message = Message {
            subject: decision.subject.ledger_subject(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body,
        };
        let stored = Stored {
            sequence: self.head.sequence() + 1,
            time: now,
            envelope,
            record: decision.record.clone(),
        };
        (stored, message)
    }

    /// The ledger takes up to `limit` of the records on their way, and what waited for them goes
    /// out.
    pub(super) fn flush(
        &mut self,
        bus: &mut Bus,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Sent>, Broken> {
        let mut sent = Vec::new();
        let mut taken = 0;
        while let Some(front) = self.waiting.front() {
            match &front.record {
                None if front.after <= self.committed.sequence() => {}
                None => {
                    return Err(Broken(
                        "an answer waits for a record that is not on its way".to_owned(),
                    ));
                }
                Some(_) if taken == limit => break,
                Some((stored, message)) => {
                    if bus
                        .ledger
                        .append(message.clone(), stored.sequence - 1)
                        .is_err()
                    {
                        self.fall_back(bus, now)?;
                        break;
                    }
                    let stored = stored.clone();
                    self.commit(&stored, bus);
                    taken += 1;
                }
            }
            sent.extend(self.waiting.pop_front().and_then(|waiting| waiting.sent));
        }
        Ok(sent)
    }

    /// Another hub wrote: what was on its way is decided again behind what is there.
    fn fall_back(&mut self, bus: &mut Bus, now: Timestamp) -> Result<(), Broken> {
        self.conflicts += 1;
        let calls: Vec<_> = std::mem::take(&mut self.waiting)
            .into_iter()
            .filter_map(|waiting| waiting.call)
            .collect();
        self.catch_up(bus)?;
        self.lead(now);
        for call in calls {
            self.call(call, now);
        }
        Ok(())
    }

    fn catch_up(&mut self, bus: &mut Bus) -> Result<(), Broken> {
        while self.committed.sequence() < bus.ledger.last() {
            let stored = bus.ledger.read(self.committed.sequence() + 1)?;
            self.commit(&stored, bus);
        }
        Ok(())
    }

    fn lead(&mut self, now: Timestamp) {
        self.head = self.committed.clone();
        for decision in react::after(&self.head, &self.observed, &Trigger::Started, now) {
            let cause = self.own_cause();
            self.record(&decision, &cause, None, None, now);
        }
    }

    fn commit(&mut self, stored: &Stored, bus: &mut Bus) {
        let changes = self.committed.evolve(stored);
        self.dispatch.committed(&changes, &self.committed, stored);
        bus.revocations = self.committed.revocations();
    }

    /// Whether the head is what the records on their way make of the committed world.
    pub(super) fn head_agrees(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.record.is_some()) || self.head == self.committed
    }
}
