//! The synchronous heart of the hub: inputs in, effects out, no I/O, no clock, no randomness.
//!
//! The lead keeps two worlds. The *head* includes records that are still on their way and is what
//! the next command is decided upon; the *committed* one ([`crate::state`]) is what everybody else
//! sees. An answer waits until everything that it rests on is committed. When a record is not
//! taken, the head is thrown away, the ledger is read up to its end, and what was waiting is
//! decided again.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use skein_hub_core::placement::Scheduler;
use skein_hub_core::{Decision, Heartbeats, Stored, Trigger, World, react};
use skein_nats::Message;
use skein_nats::ledger::StoredRecord;
use skein_schema::code::{Code, Refusal};
use skein_schema::digest::Digest;
use skein_schema::event::Event;
use skein_schema::name::HubName;
use uuid::Uuid;

use super::effect::{CommandAnswer, Effect, JoinReply, JoinVerdict, Verdict};
use super::input::{Input, JoinCall, RenewCall, StatusCall};
use super::record::{self, Cause, Place};
use crate::intake::CommandRequest;
use crate::state::{Announcement, Standing, State};

mod commit;
mod decide;
mod schedule;

/// After so many records the head is made anew from the committed world, so that the two share
/// their objects again instead of holding each twice.
const SHARE_AGAIN: u64 = 1_000;

/// The hub's state machine.
pub struct Machine {
    name: HubName,
    state: Arc<State>,
    head: World,
    heartbeats: Heartbeats,
    /// While leading: which placements are to decide.
    scheduler: Option<Scheduler>,
    standing: Standing,
    /// Whether the lease is held; leading needs the ledger's end, too.
    lease: bool,
    /// The ledger's end, while catching up to it.
    target: Option<u64>,
    /// While leading is not made known yet: what must be committed first.
    lead_from: Option<u64>,
    /// Records on their way and answers behind them, oldest first.
    pending: VecDeque<Entry>,
    /// Requests that came, or came back, while catching up.
    waiting: VecDeque<Request>,
    /// Records since the head was last made anew.
    unshared: u64,
    ids: Box<dyn FnMut() -> Uuid + Send>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("name", &self.name)
            .field("standing", &self.standing)
            .field("head", &self.head.sequence())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

/// Something that waits for the acknowledgement of what it rests on.
#[derive(Debug)]
struct Entry {
    /// The sequence that must be committed first.
    after: u64,
    /// The record, if there is one; its sequence is `after` then.
    stored: Option<Arc<Stored>>,
    /// The record's digest, for the witness.
    digest: Digest,
    /// The request, to decide it again if the record is not taken.
    request: Option<Request>,
    /// The answer.
    answer: Option<Answer>,
}

/// What somebody waits for.
#[derive(Debug, Clone)]
enum Request {
    Command(Arc<CommandRequest>),
    Join(Arc<JoinCall>),
    Renew(Arc<RenewCall>),
}

#[derive(Debug)]
enum Answer {
    Command(Box<CommandAnswer>),
    Join(Box<JoinReply>),
}

impl Answer {
    fn effect(self) -> Effect {
        match self {
            Self::Command(answer) => Effect::AnswerCommand(answer),
            Self::Join(reply) => Effect::AnswerJoin(reply),
        }
    }
}

impl Machine {
    /// A machine that knows what `state` knows, and has yet to read the rest of the ledger. `ids`
    /// makes a new UUIDv7 at each call.
    #[must_use]
    pub fn new(
        name: HubName,
        state: Arc<State>,
        now: Timestamp,
        ids: impl FnMut() -> Uuid + Send + 'static,
    ) -> Self {
        let head = state.read().world.clone();
        Self {
            name,
            state,
            head,
            heartbeats: Heartbeats::new(now),
            scheduler: None,
            standing: Standing::CatchingUp,
            lease: false,
            target: None,
            lead_from: None,
            pending: VecDeque::new(),
            waiting: VecDeque::new(),
            unshared: 0,
            ids: Box::new(ids),
        }
    }

    /// What to do first. With `fence`, a reason not to decide, the ledger is read all the same, so
    /// that questions are answered.
    #[must_use]
    pub fn start(&mut self, fence: Option<&str>) -> Vec<Effect> {
        let mut effects = vec![
            Effect::Follow {
                from: self.committed() + 1,
            },
            Effect::FindEnd,
        ];
        if let Some(reason) = fence {
            effects.extend(self.fence(reason));
        }
        effects
    }

    /// Stops deciding for good, for a reason that an operator must look at.
    pub fn fence(&mut self, reason: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.scheduler = None;
        self.stand(Standing::Fenced(reason.to_owned()), &mut effects);
        let pending = std::mem::take(&mut self.pending);
        let requests = pending.into_iter().filter_map(|entry| entry.request);
        for request in requests.chain(std::mem::take(&mut self.waiting)) {
            effects.extend(self.refuse_fenced(&request));
        }
        effects.push(Effect::Resign);
        effects
    }

    /// Takes one input and says what follows from it.
    pub fn apply(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Command(request) => {
                self.request(Request::Command(Arc::from(request)), now, &mut effects);
            }
            Input::Join(call) => self.request(Request::Join(Arc::from(call)), now, &mut effects),
            Input::Renew(call) => self.request(Request::Renew(Arc::from(call)), now, &mut effects),
            Input::Status(call) => self.status(*call, now, &mut effects),
            Input::Beats(beats) => {
                for (cluster, beat) in &beats {
                    self.heartbeats.beat(cluster, beat, now);
                }
                self.tick(now, &mut effects);
            }
            Input::Connection {
                cluster,
                connected: true,
            } => self.heartbeats.connected(&cluster, now),
            Input::Connection {
                cluster,
                connected: false,
            } => self.heartbeats.disconnected(&cluster, now),
            Input::Read(record) => self.read(&record, now, &mut effects),
            Input::Unreadable(reason) => effects = self.fence(&reason),
            Input::End(last) => {
                self.target = Some(last);
                self.lead_when_caught_up(now, &mut effects);
            }
            Input::Appended { sequence } => self.appended(sequence, now, &mut effects),
            Input::NotAppended => self.fall_back(&mut effects),
            Input::Rejected { reason } => self.rejected(&reason, &mut effects),
            Input::LeaseHeld => self.lease_held(now, &mut effects),
            Input::LeaseLost => self.lease_lost(&mut effects),
            Input::Tick => self.tick(now, &mut effects),
        }
        self.let_placements_decide(now, &mut effects);
        effects
    }

    /// When [`Input::Tick`] is wanted next, if at all.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.standing == Standing::Leading {
            let placements = self.placements_deadline();
            self.heartbeats
                .next_deadline()
                .into_iter()
                .chain(placements)
                .min()
        } else {
            None
        }
    }

    /// How many records are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending
            .iter()
            .filter(|entry| entry.stored.is_some())
            .count()
    }

    /// Whether commands are to be taken off the queue: to decide them, or to refuse them.
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        matches!(self.standing, Standing::Leading | Standing::Fenced(_))
    }

    fn committed(&self) -> u64 {
        self.state.read().world.sequence()
    }

    fn stand(&mut self, standing: Standing, effects: &mut Vec<Effect>) {
        if self.standing != standing {
            self.lead_from = None;
            self.standing = standing.clone();
            effects.push(Effect::Stand(standing));
        }
    }

    fn request(&mut self, request: Request, now: Timestamp, effects: &mut Vec<Effect>) {
        match self.standing {
            Standing::Leading => self.decide(request, now, effects),
            // It will be decided as soon as the end of the ledger is known.
            Standing::CatchingUp if self.lease => self.waiting.push_back(request),
            // The queue delivers a command again, an agent asks again: to the one who leads.
            Standing::CatchingUp | Standing::Following => {}
            Standing::Fenced(_) => effects.extend(self.refuse_fenced(&request)),
        }
    }

    fn refuse_fenced(&self, request: &Request) -> Option<Effect> {
        let Standing::Fenced(reason) = &self.standing else {
            return None;
        };
        let refusal = Refusal::new(
            Code::Fenced,
            format!("the hub has stopped deciding: {reason}"),
        )
        .with_hint("an operator must look at the ledger; see the hub's log and docs/runbook.md");
        Some(answer(request, Verdict::Refused(refusal), false).effect())
    }

    fn lease_held(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.lease = true;
        match self.standing {
            Standing::Following => {
                self.target = None;
                self.stand(Standing::CatchingUp, effects);
                effects.push(Effect::FindEnd);
            }
            Standing::CatchingUp => self.lead_when_caught_up(now, effects),
            Standing::Leading | Standing::Fenced(_) => {}
        }
    }

    fn lease_lost(&mut self, effects: &mut Vec<Effect>) {
        self.lease = false;
        match self.standing {
            Standing::Leading => {
                // Records on their way may still be taken; they come back by reading.
                self.drop_head();
                effects.push(Effect::Follow {
                    from: self.committed() + 1,
                });
                self.stand(Standing::Following, effects);
            }
            Standing::CatchingUp => self.stand_if_caught_up(effects),
            Standing::Following | Standing::Fenced(_) => {}
        }
        self.waiting.clear();
    }

    /// Another hub wrote, or it is not known what became of a record: forget the head, read on.
    fn fall_back(&mut self, effects: &mut Vec<Effect>) {
        if self.standing != Standing::Leading {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        self.waiting
            .extend(pending.into_iter().filter_map(|entry| entry.request));
        self.drop_head();
        self.target = None;
        effects.push(Effect::Follow {
            from: self.committed() + 1,
        });
        effects.push(Effect::FindEnd);
        self.stand(Standing::CatchingUp, effects);
    }

    /// A record that the ledger will never take must not be made again: its command is refused.
    fn rejected(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        let refusal = Refusal::new(
            Code::TooLarge,
            format!("the ledger does not take the record: {reason}"),
        )
        .with_hint("make the object smaller, e.g. by splitting the work");
        match self.pending.front_mut().map(|entry| &mut entry.request) {
            Some(Some(Request::Command(command))) => Arc::make_mut(command).wish = Err(refusal),
            Some(request @ Some(_)) => {
                let request = request.take();
                effects
                    .extend(request.map(|request| {
                        answer(&request, Verdict::Refused(refusal), false).effect()
                    }));
            }
            // The hub's own record: it would only be made again.
            Some(None) | None => {
                effects.extend(self.fence(&format!(
                    "the ledger does not take a record of the hub: {reason}"
                )));
                return;
            }
        }
        self.fall_back(effects);
    }

    fn drop_head(&mut self) {
        self.pending.clear();
        self.scheduler = None;
        self.share();
    }

    fn share(&mut self) {
        self.head = self.state.read().world.clone();
        self.unshared = 0;
    }

    fn stand_if_caught_up(&mut self, effects: &mut Vec<Effect>) {
        let caught_up = self.target.is_some_and(|target| self.committed() >= target);
        if caught_up && !self.lease {
            self.stand(Standing::Following, effects);
        }
    }

    fn lead_when_caught_up(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let last = self.committed();
        if self.standing != Standing::CatchingUp || self.target.is_none_or(|target| last < target) {
            return;
        }
        if !self.lease {
            self.stand_if_caught_up(effects);
            return;
        }
        self.share();
        effects.push(Effect::Lead { last });
        self.standing = Standing::Leading;
        self.start_scheduling(now);
        effects.push(self.revocations());
        self.react(&Trigger::Started, None, now, effects);
        // Whoever hears that this hub leads finds what must always be there.
        self.lead_from = Some(self.head.sequence());
        self.make_lead_known(effects);
        for request in std::mem::take(&mut self.waiting) {
            self.decide(request, now, effects);
        }
    }

    fn make_lead_known(&mut self, effects: &mut Vec<Effect>) {
        if self.lead_from.is_some_and(|from| self.committed() >= from) {
            self.lead_from = None;
            effects.push(Effect::Stand(Standing::Leading));
        }
    }

    fn revocations(&self) -> Effect {
        Effect::Revoke(self.state.read().world.revocations())
    }

    fn status(&mut self, call: StatusCall, now: Timestamp, effects: &mut Vec<Effect>) {
        let state = Arc::clone(&self.state);
        let mut view = state.write();
        if call.sequence <= view.status_sequence {
            return;
        }
        view.status_sequence = call.sequence;
        let Some((cluster, message)) = call.report else {
            return;
        };
        let changes = view
            .observed
            .evolve(&cluster, &message, call.sequence, call.time);
        let sequence = view.world.sequence();
        drop(view);
        if changes.is_empty() {
            return;
        }
        let touched = changes.iter().map(|change| change.key(&cluster)).collect();
        effects.push(Effect::Announce(Announcement { sequence, touched }));
        if self.standing == Standing::Leading {
            self.schedule_reported(&cluster, &changes, now);
            self.react(&Trigger::Reported(&cluster, &changes), None, now, effects);
        }
    }

    fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.standing != Standing::Leading
            || self.heartbeats.next_deadline().is_none_or(|at| at > now)
        {
            return;
        }
        for decision in self.heartbeats.due(&self.head, now) {
            self.record(decision, &Cause::hub(&self.name), None, None, now, effects);
        }
    }

    fn read(&mut self, record: &StoredRecord, now: Timestamp, effects: &mut Vec<Effect>) {
        // While leading nothing is read. What was read twice, or lies behind a record that cannot
        // be decoded, is dropped.
        if self.standing == Standing::Leading || record.sequence != self.committed() + 1 {
            return;
        }
        match record::decode(record) {
            Ok(stored) => {
                self.commit(&stored, record.digest(), effects);
                self.lead_when_caught_up(now, effects);
            }
            Err(error) => {
                effects.extend(self.fence(&format!(
                    "record {}: {error} ({})",
                    record.sequence,
                    Code::Undecodable
                )));
            }
        }
    }

    fn react(
        &mut self,
        trigger: &Trigger<'_>,
        cause: Option<&Stored>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let decisions = {
            let view = self.state.read();
            react::after(&self.head, &view.observed, trigger, now)
        };
        for decision in decisions {
            let cause = cause.map_or_else(
                || Cause::hub(&self.name),
                |stored| Cause::record(&self.name, stored),
            );
            self.record(decision, &cause, None, None, now, effects);
        }
    }

    /// Puts a decision's record on its way, and what follows from it.
    fn record(
        &mut self,
        decision: Decision,
        cause: &Cause,
        request: Option<Request>,
        verdict: Option<Answer>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let expected_last = self.head.sequence();
        let Decision {
            subject,
            record,
            contents,
            ..
        } = decision;
        let place = Place {
            id: (self.ids)(),
            sequence: expected_last + 1,
            now,
        };
        let (stored, record) = record::encode(&subject, record, cause, &self.name, place);
        if !contents.is_empty() {
            effects.push(Effect::StoreContents(contents));
        }
        let changes = self.head.evolve(&stored);
        self.schedule_after(&changes, &stored, now);
        self.unshared += 1;
        let digest = record.digest();
        effects.push(Effect::Append {
            record,
            expected_last,
        });
        self.pending.push_back(Entry {
            after: stored.sequence,
            stored: Some(Arc::clone(&stored)),
            digest,
            request,
            answer: verdict,
        });
        self.react(&Trigger::Recorded(&stored), Some(&stored), now, effects);
    }
}

/// The answer to `request`.
fn answer(request: &Request, verdict: Verdict, repeated: bool) -> Answer {
    let join = |to: &Message, verdict| {
        Answer::Join(Box::new(JoinReply {
            to: to.clone(),
            answer: join_verdict(verdict),
        }))
    };
    match request {
        Request::Command(command) => Answer::Command(Box::new(CommandAnswer {
            id: command.id,
            user: command.user.clone(),
            verb: command.verb.clone(),
            traceparent: command.traceparent.clone(),
            queued: command.sequence,
            stored_at: command.stored_at,
            repeated,
            verdict,
        })),
        Request::Join(call) => join(&call.message, verdict),
        Request::Renew(call) => join(&call.message, verdict),
    }
}

fn join_verdict(verdict: Verdict) -> JoinVerdict {
    match verdict {
        Verdict::Refused(refusal) => JoinVerdict::Refused(refusal),
        Verdict::Done { .. } => JoinVerdict::Pending {
            message: "the request is recorded".to_owned(),
        },
    }
}

/// Whether a record changes who is revoked.
fn revokes(stored: &Stored) -> bool {
    stored
        .record
        .events
        .iter()
        .any(|event| matches!(event, Event::CredentialRevoked(_) | Event::TokenRevoked(_)))
}

#[cfg(test)]
mod tests;
