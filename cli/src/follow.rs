//! Questions whose answer has no end: watches, and events that are followed.
//!
//! A hub that is restarted forgets who listens, and nobody tells the listener. So a hub gives a sign
//! of life every 30 seconds; whoever hears none for a while asks again, and goes on where it was.

use std::collections::VecDeque;
use std::time::Duration;

use skein_schema::code::Code;
use skein_schema::envelope::EventId;
use skein_schema::query::{Answer, At, EventFilter, EventView, Query, Selection};

use crate::client::{Answers, Client, Unheard, unexpected};
use crate::error::{CliError, CliResult};

mod seen;
#[cfg(test)]
mod tests;

use seen::Seen;

/// Who is asked.
pub(crate) trait Source {
    /// Its answers to one question.
    type Answers: Hear;
    /// Puts a question.
    async fn ask(&self, query: &Query) -> CliResult<Self::Answers>;
    /// How long its first answer may take.
    fn patience(&self) -> Duration;
}

/// Who hears answers.
pub(crate) trait Hear {
    /// The next answer, waiting `patience` for it.
    async fn hear(&mut self, patience: Duration) -> Result<Answer, Unheard>;
}

impl Source for Client {
    type Answers = Answers;

    async fn ask(&self, query: &Query) -> CliResult<Answers> {
        self.query(query).await
    }

    fn patience(&self) -> Duration {
        self.timeout()
    }
}

impl Hear for Answers {
    async fn hear(&mut self, patience: Duration) -> Result<Answer, Unheard> {
        Self::hear(self, patience).await
    }
}

/// How much silence is borne.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Silence after which the question is asked again.
    pub(crate) silence: Duration,
    /// How long it is asked again in vain before that is an error.
    pub(crate) absence: Duration,
}

impl Patience {
    /// Of somebody who looks on.
    pub(crate) const ONLOOKER: Self = Self {
        silence: Duration::from_secs(90),
        absence: Duration::from_secs(90),
    };
    /// Of somebody who waits for something, up to a deadline of their own.
    pub(crate) const WAITING: Self = Self {
        silence: Duration::from_secs(45),
        absence: Duration::MAX,
    };
}

/// What came.
enum Heard {
    /// An answer.
    Answer(Answer),
    /// The question was put anew: its answers begin anew.
    Again,
    /// Nothing more comes.
    End,
}

/// A question that is asked again when its answers cease.
struct Endless<'a, S: Source> {
    source: &'a S,
    query: Query,
    patience: Patience,
    answers: S::Answers,
    /// Nothing has been heard since it was asked.
    fresh: bool,
    /// Since when it is asked again in vain.
    absent: Option<tokio::time::Instant>,
}

impl<'a, S: Source> Endless<'a, S> {
    async fn ask(source: &'a S, query: Query, patience: Patience) -> CliResult<Self> {
        Ok(Self {
            answers: source.ask(&query).await?,
            source,
            query,
            patience,
            fresh: true,
            absent: None,
        })
    }

    async fn next(&mut self) -> CliResult<Heard> {
        let patience = if self.fresh {
            self.source.patience()
        } else {
            self.patience.silence
        };
        match self.answers.hear(patience).await {
            Ok(Answer::End { .. }) => Ok(Heard::End),
            Ok(answer) => {
                self.fresh = false;
                self.absent = None;
                Ok(Heard::Answer(answer))
            }
            Err(Unheard::Broken(error)) => Err(error),
            // Nobody has answered at all yet: there is nothing to go on with.
            Err(Unheard::Silent(error))
                if self.fresh
                    && self.absent.is_none()
                    && self.patience.absence != Duration::MAX =>
            {
                Err(error)
            }
            Err(Unheard::Silent(_)) => self.again().await,
        }
    }

    async fn again(&mut self) -> CliResult<Heard> {
        let now = tokio::time::Instant::now();
        match self.absent {
            None => self.absent = Some(now),
            Some(since) if now.duration_since(since) >= self.patience.absence => {
                return Err(gone());
            }
            Some(_) => pause().await,
        }
        self.fresh = true;
        self.answers = self.source.ask(&self.query).await.map_err(|_| gone())?;
        Ok(Heard::Again)
    }
}

fn gone() -> CliError {
    CliError::new(
        Code::NoHub,
        "the hub has fallen silent and does not answer any more",
    )
    .with_hint("`skein doctor` looks for the cause; start again when a hub answers")
}

/// Between two questions to a hub that is not there.
#[expect(
    clippy::disallowed_methods,
    reason = "a back-off: a hub that comes back cannot tell those it does not know"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Objects that are watched.
pub(crate) struct Watch<'a, S: Source> {
    endless: Endless<'a, S>,
    seen: Seen,
    ready: VecDeque<Answer>,
}

impl<'a, S: Source> Watch<'a, S> {
    /// Begins to watch what `selection` selects.
    pub(crate) async fn begin(
        source: &'a S,
        selection: Selection,
        patience: Patience,
    ) -> CliResult<Self> {
        Ok(Self {
            endless: Endless::ask(source, Query::Watch(selection), patience).await?,
            seen: Seen::default(),
            ready: VecDeque::new(),
        })
    }

    /// The next [`Answer::Changed`] or [`Answer::Listed`]; `None` after the last. When the question
    /// had to be asked again, only what has changed meanwhile is told.
    pub(crate) async fn next(&mut self) -> CliResult<Option<Answer>> {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return Ok(Some(answer));
            }
            match self.endless.next().await? {
                Heard::Answer(answer) => self.ready.extend(self.seen.take(answer)?),
                Heard::Again => self.seen.begin_again(),
                Heard::End => return Ok(None),
            }
        }
    }
}

/// Events that are followed.
pub(crate) struct Followed<'a, S: Source> {
    endless: Endless<'a, S>,
    filter: EventFilter,
    last: Option<EventId>,
}

impl<'a, S: Source> Followed<'a, S> {
    /// Begins to follow what `filter` lets through.
    pub(crate) async fn begin(
        source: &'a S,
        filter: EventFilter,
        patience: Patience,
    ) -> CliResult<Self> {
        let query = Query::Events(filter.clone());
        Ok(Self {
            endless: Endless::ask(source, query, patience).await?,
            filter,
            last: None,
        })
    }

    /// The next event, each once; `None` after the last.
    pub(crate) async fn next(&mut self) -> CliResult<Option<EventView>> {
        loop {
            let event = match self.endless.next().await? {
                Heard::Answer(Answer::Event(event)) => event,
                // What was there has been sent, or the hub asks whether we listen.
                Heard::Answer(Answer::Listed) | Heard::Again => continue,
                Heard::Answer(other) => return Err(unexpected(&other)),
                Heard::End => return Ok(None),
            };
            if self.last.is_some_and(|last| event.id <= last) {
                continue;
            }
            self.last = Some(event.id);
            // Asked again, it goes on with this record: its later events may not have come.
            self.endless.query = Query::Events(EventFilter {
                since: Some(At::Sequence(event.id.sequence)),
                last: None,
                ..self.filter.clone()
            });
            return Ok(Some(*event));
        }
    }
}
