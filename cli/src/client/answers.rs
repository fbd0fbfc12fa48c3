//! The answers to one question, as they come.

use std::time::Duration;

use skein_nats::connect::{self, ConnectionEvent};
use skein_schema::code::Code;
use skein_schema::query::Answer;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{failure, from_body};
use crate::error::{CliError, CliResult};

/// The answers to one question.
pub(crate) struct Answers {
    stream: connect::Answers,
    patience: Duration,
    connection: Watched,
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum Unheard {
    /// There is no hub, it is silent, or the bus has forgotten that we listen: asking again may help.
    Silent(CliError),
    /// It refused, or said what we cannot read.
    Broken(CliError),
}

impl Answers {
    /// `patience` is how long [`Self::next`] waits for each; `events` are those of the connection
    /// from before the question was asked.
    pub(super) fn new(
        stream: connect::Answers,
        patience: Duration,
        events: Receiver<ConnectionEvent>,
    ) -> Self {
        Self {
            stream,
            patience,
            connection: Watched {
                events: Some(events),
                lost: false,
            },
        }
    }

    /// The next answer; `None` after the last one.
    pub(crate) async fn next(&mut self) -> CliResult<Option<Answer>> {
        let heard = self.stream.next(self.patience).await;
        let message =
            heard.map_err(|error| failure::of_question(&error, "the hub has stopped answering"))?;
        Ok(match read(&message)? {
            Answer::End { .. } => None,
            answer => Some(answer),
        })
    }

    /// All answers until the last.
    pub(crate) async fn collect(mut self) -> CliResult<Vec<Answer>> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await? {
            answers.push(answer);
        }
        Ok(answers)
    }

    /// The next answer to a question without an end. A connection that was lost and is there again is
    /// silence, too: what came in between is missed, and a hub that was restarted with its bus does
    /// not know us.
    pub(crate) async fn hear(&mut self, patience: Duration) -> Result<Answer, Unheard> {
        let heard = tokio::select! {
            heard = self.stream.next(patience) => heard,
            () = self.connection.renewed() => {
                let lost = CliError::new(Code::Unreachable, "the connection to the bus was lost");
                return Err(Unheard::Silent(lost));
            }
        };
        let message = heard.map_err(|error| {
            Unheard::Silent(failure::of_question(
                &error,
                "the hub has stopped answering",
            ))
        })?;
        read(&message).map_err(Unheard::Broken)
    }
}

fn read(message: &skein_nats::Message) -> CliResult<Answer> {
    match from_body(message)? {
        Answer::Refused(refusal) => Err(refusal.into()),
        answer => Ok(answer),
    }
}

/// A connection whose loss is looked out for.
struct Watched {
    events: Option<Receiver<ConnectionEvent>>,
    /// It was lost and is not there again yet.
    lost: bool,
}

impl Watched {
    /// Resolves when the connection was lost and is there again. May be dropped and called again.
    async fn renewed(&mut self) {
        while let Some(events) = &mut self.events {
            match events.recv().await {
                Ok(ConnectionEvent::Disconnected) => self.lost = true,
                Ok(ConnectionEvent::Connected) if self.lost => {
                    self.lost = false;
                    return;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => self.events = None,
            }
        }
        std::future::pending::<()>().await;
    }
}
