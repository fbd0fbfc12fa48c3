//! Requests, decided upon the head.

use std::sync::Arc;

use jiff::SignedDuration;
use skein_hub_core::decide::check_not_overtaken;
use skein_hub_core::{Context, Decision, JoinDecision, decide, decide_join, decide_renew, join};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Command, TokenGrant};
use skein_schema::digest::Digest;

use super::{
    Answer, Effect, Entry, JoinReply, JoinVerdict, Machine, Request, Timestamp, Verdict, answer,
};
use crate::driver::record::Cause;
use crate::intake::CommandRequest;

impl Machine {
    pub(super) fn decide(&mut self, request: Request, now: Timestamp, effects: &mut Vec<Effect>) {
        match &request {
            Request::Command(command) => {
                let command = Arc::clone(command);
                self.decide_command(request, &command, now, effects);
            }
            Request::Join(call) => {
                let context = Context {
                    now,
                    actor: &Cause::join(call).actor,
                    command: call.request.request,
                };
                let decided = decide_join(&self.head, &call.token, &call.request, &context);
                let cause = Cause::join(call);
                self.answer_join(request, decided, &cause, now, effects);
            }
            Request::Renew(call) => {
                let context = Context {
                    now,
                    actor: &Cause::renew(call).actor,
                    command: call.request.request,
                };
                let decided = decide_renew(&self.head, &call.cluster, &call.request, &context);
                let cause = Cause::renew(call);
                self.answer_join(request, decided, &cause, now, effects);
            }
        }
    }

    fn decide_command(
        &mut self,
        request: Request,
        command: &CommandRequest,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        // A command that has an outcome is answered again and never recorded again.
        let known = self.head.outcome(command.id).is_some();
        // What becomes of a command is not older than the command, also where the hub's clock is
        // behind the bus's: whether an older command comes too late is told by comparing the two.
        let now = now.max(command.stored_at);
        // Bounded here, too: the answer is the same each time, and fits into a message.
        let decided = self.judge(command, known, now).map_err(Refusal::bounded);
        let cause = Cause::command(command);
        let unrecorded = known || command.is_dry_run();
        match decided {
            Ok(decision) if decision.is_empty() || unrecorded => {
                let verdict = self.done(&decision, command, decision.decided_at);
                self.hold(request, verdict, known, effects);
            }
            Ok(decision) => {
                let verdict = self.done(&decision, command, Some(self.head.sequence() + 1));
                let verdict = answer(&request, verdict, false);
                self.record(decision, &cause, Some(request), Some(verdict), now, effects);
            }
            Err(refusal) if unrecorded => {
                self.hold(request, Verdict::Refused(refusal), known, effects);
            }
            Err(refusal) => {
                let wish = command.wish.as_ref().ok();
                let decision = Decision::refused(
                    command.id,
                    &command.verb,
                    wish,
                    command.body,
                    refusal.clone(),
                );
                let verdict = answer(&request, Verdict::Refused(refusal), false);
                self.record(decision, &cause, Some(request), Some(verdict), now, effects);
            }
        }
    }

    fn judge(
        &self,
        command: &CommandRequest,
        known: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let wish = command.wish.as_ref().map_err(Clone::clone)?;
        let actor = command.actor();
        let context = Context {
            now,
            actor: &actor,
            command: command.id,
        };
        if !known {
            in_time(command, now)?;
        }
        let decision = decide(&self.head, &self.state.read().observed, wish, &context)?;
        if !known && command.deliveries > 1 {
            check_not_overtaken(&self.head, &decision, command.stored_at)?;
        }
        Ok(decision)
    }

    fn done(
        &self,
        decision: &Decision,
        command: &CommandRequest,
        sequence: Option<u64>,
    ) -> Verdict {
        let object = decision.object.as_ref().map(|object| {
            let mut object = object.to_value();
            if let Some(sequence) = sequence {
                object["metadata"]["resourceVersion"] = sequence.to_string().into();
            }
            object
        });
        Verdict::Done {
            change: decision.change,
            sequence,
            object,
            token: self.token(decision, command),
            warnings: decision.warnings.clone(),
        }
    }

    /// The token whose bootstrap credential is part of the answer. A command that is delivered
    /// again gets it only for what was granted the first time.
    fn token(&self, decision: &Decision, command: &CommandRequest) -> Option<TokenGrant> {
        let Ok(Command::CreateToken(grant)) = &command.wish else {
            return None;
        };
        let granted = self
            .head
            .token(&grant.token)
            .is_some_and(|known| known.grant == *grant && !known.revoked);
        (granted || !decision.is_empty()).then(|| grant.clone())
    }

    fn answer_join(
        &mut self,
        request: Request,
        decided: Result<JoinDecision, Refusal>,
        cause: &Cause,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let to = match &request {
            Request::Join(call) => call.message.clone(),
            Request::Renew(call) => call.message.clone(),
            Request::Command(_) => return,
        };
        let (decision, verdict) = match decided {
            Err(refusal) => (None, JoinVerdict::Refused(refusal)),
            Ok(joined) => {
                let verdict = match joined.verdict {
                    join::JoinVerdict::Pending { message } => JoinVerdict::Pending { message },
                    join::JoinVerdict::Issue(mut grant) => {
                        grant.issued_at = self.not_revoked(&grant.keys.nkey, grant.issued_at);
                        JoinVerdict::Issue(grant)
                    }
                };
                (
                    Some(joined.decision).filter(|decision| !decision.is_empty()),
                    verdict,
                )
            }
        };
        let reply = Answer::Join(Box::new(JoinReply {
            to,
            answer: verdict,
        }));
        match decision {
            Some(decision) => {
                self.record(decision, cause, Some(request), Some(reply), now, effects);
            }
            None => self.hold_answer(request, reply, effects),
        }
    }

    /// The bus refuses a key's tokens up to and including the second of its revocation; one that is
    /// let in again in that second gets a token of the next.
    fn not_revoked(&self, nkey: &str, issued_at: Timestamp) -> Timestamp {
        match self.head.revocations().get(nkey) {
            Some(until) if issued_at.as_second() <= until.as_second() => {
                *until + SignedDuration::from_secs(1)
            }
            _ => issued_at,
        }
    }

    fn hold(
        &mut self,
        request: Request,
        verdict: Verdict,
        repeated: bool,
        effects: &mut Vec<Effect>,
    ) {
        let verdict = answer(&request, verdict, repeated);
        self.hold_answer(request, verdict, effects);
    }

    /// An answer that needs no record waits for those that it was computed upon.
    fn hold_answer(&mut self, request: Request, answer: Answer, effects: &mut Vec<Effect>) {
        self.pending.push_back(Entry {
            after: self.head.sequence(),
            stored: None,
            digest: Digest::of(&[]),
            request: Some(request),
            answer: Some(answer),
        });
        self.release(effects);
    }
}

fn in_time(command: &CommandRequest, now: Timestamp) -> Result<(), Refusal> {
    if now <= command.deadline {
        return Ok(());
    }
    Err(Refusal::new(
        Code::DeadlineExceeded,
        "the command was not decided before its deadline",
    )
    .with_cause(
        "deadlineSeconds",
        format!("the deadline was {}, it is {now}", command.deadline),
    )
    .with_hint("nothing was changed; send it again"))
}
