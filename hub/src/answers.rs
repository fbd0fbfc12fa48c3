//! Answers, once what they rest on is committed: credentials are minted, manifests put back in
//! place, results published, and commands taken off the queue.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use skein_nats::{Connection, Headers};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{CommandResult, TokenGrant};
use skein_schema::subject;
use tokio::sync::mpsc;

use crate::driver::effect::{CommandAnswer, JoinReply, JoinVerdict, Verdict};
use crate::driver::perform::Reply;
use crate::hydrate::Hydrator;
use crate::intake::Undone;
use crate::join::Mint;
use crate::metrics::{CommandOutcome, Metrics};
use crate::trace;

/// Sends answers.
#[derive(Debug)]
pub struct Answers {
    /// The bus.
    pub connection: Connection,
    /// Commands that are not done.
    pub undone: Undone,
    /// Makes credentials.
    pub mint: Mint,
    /// Puts manifests back in place.
    pub hydrator: Hydrator,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl Answers {
    /// Sends answers until nobody has any.
    ///
    /// # Errors
    /// Never: an answer that cannot be sent is logged, and its command is delivered again.
    pub async fn run(self, mut replies: mpsc::Receiver<Reply>) -> anyhow::Result<()> {
        while let Some(reply) = replies.recv().await {
            match reply {
                Reply::Command(answer) => self.command(*answer).await,
                Reply::Join(reply) => self.join(*reply).await,
            }
        }
        Ok(())
    }

    async fn command(&self, answer: CommandAnswer) {
        let waited = (self.now)().duration_since(answer.stored_at);
        self.metrics.command.observe(waited.as_secs_f64().max(0.0));
        let subject = subject::result(&answer.user, answer.id);
        let trace_id = trace::trace_id(answer.traceparent.as_deref()).to_owned();
        let headers = answer
            .traceparent
            .iter()
            .map(|text| ("traceparent", text.clone()))
            .collect::<Headers>();
        let (verb, user, id, queued, repeated) = (
            answer.verb,
            answer.user,
            answer.id,
            answer.queued,
            answer.repeated,
        );
        let (result, mut outcome) = self.result(answer.verdict).await;
        if repeated {
            outcome = CommandOutcome::Repeated;
        }
        self.metrics.decided(&verb, outcome);
        match &result {
            CommandResult::Refused(refusal) => {
                tracing::info!(%user, %verb, command = %id, trace_id, code = %refusal.code, reason = %refusal.message, "command refused");
            }
            CommandResult::Done {
                change, sequence, ..
            } => {
                tracing::info!(%user, %verb, command = %id, trace_id, ?change, sequence, "command done");
            }
        }
        let body = serde_json::to_vec(&result).expect("results of the schema are JSON");
        if let Err(error) = self
            .connection
            .publish(&subject, headers, body.into())
            .await
        {
            tracing::warn!(%subject, error = %crate::report(&error), "a result was not sent; its command is delivered again");
            return;
        }
        self.undone.done(queued).await;
    }

    async fn result(&self, verdict: Verdict) -> (CommandResult, CommandOutcome) {
        match verdict {
            Verdict::Refused(refusal) => (CommandResult::Refused(refusal), CommandOutcome::Refused),
            Verdict::Done {
                change,
                sequence,
                object,
                token,
                warnings,
            } => {
                let outcome = if sequence.is_some() {
                    CommandOutcome::Recorded
                } else {
                    CommandOutcome::Unchanged
                };
                let credential = match token.map(|grant| self.credential(&grant)).transpose() {
                    Ok(credential) => credential,
                    Err(refusal) => {
                        return (CommandResult::Refused(refusal), CommandOutcome::Refused);
                    }
                };
                let object = match object {
                    Some(object) => Some(self.hydrated(object).await),
                    None => None,
                };
                (
                    CommandResult::Done {
                        change,
                        sequence,
                        object,
                        credential,
                        warnings,
                    },
                    outcome,
                )
            }
        }
    }

    fn credential(&self, grant: &TokenGrant) -> Result<String, Refusal> {
        self.metrics.count(&self.metrics.credentials, "token");
        self.mint.token(grant, (self.now)()).map_err(|error| {
            Refusal::new(
                Code::InvalidField,
                "the token's credential could not be made",
            )
            .with_cause("publicKey", error.to_string())
        })
    }

    /// The object with its manifests in place; as it is when they cannot be read, since the command
    /// is done all the same.
    async fn hydrated(&self, object: Value) -> Value {
        match self.hydrator.hydrate(object.clone()).await {
            Ok(whole) => whole,
            Err(error) => {
                tracing::warn!(error = %crate::report(&error), "an answer names manifests by digest");
                object
            }
        }
    }

    async fn join(&self, reply: JoinReply) {
        if matches!(reply.answer, JoinVerdict::Issue(_)) {
            self.metrics.count(&self.metrics.credentials, "agent");
        }
        let answer = self.mint.answer(reply.answer);
        let body = serde_json::to_vec(&answer).expect("answers of the schema are JSON");
        if let Err(error) = self
            .connection
            .respond(&reply.to, Headers::new(), body.into())
            .await
        {
            tracing::warn!(error = %crate::report(&error), "a request to join was not answered; the agent asks again");
        }
    }
}
