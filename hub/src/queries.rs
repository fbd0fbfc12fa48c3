//! Answers questions on `query.<user>.<what>`: from the folds in memory, and from the ledger where
//! the past is asked for. Any replica answers.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use skein_hub_core::access;
use skein_nats::connect::{PublishError, RequestError};
use skein_nats::content::ContentStore;
use skein_nats::ledger::JetStreamLedger;
use skein_nats::snapshots::SnapshotStore;
use skein_nats::status::StatusStream;
use skein_nats::{Connection, Headers, Message};
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::envelope::{self, Actor};
use skein_schema::name::{HubName, UserName};
use skein_schema::query::{Answer, Query};
use skein_schema::subject;

use crate::hydrate::Hydrator;
use crate::intake::{self, EXCERPT};
use crate::metrics::Metrics;
use crate::state::State;
use crate::task::{Jobs, Stop};

mod events;
mod get;
mod health;
mod past;
mod watch;

use past::Past;

/// How many questions are answered at a time; watches count too.
const AT_A_TIME: usize = 1_024;
/// How often it is asked whether somebody still listens to a long answer.
const PROBE: Duration = Duration::from_secs(30);

/// What answering needs.
#[derive(Debug)]
pub struct Parts {
    /// This replica.
    pub name: HubName,
    /// The bus.
    pub connection: Connection,
    /// The ledger, for the past.
    pub ledger: JetStreamLedger,
    /// What agents reported, for the past.
    pub statuses: StatusStream,
    /// Folded states, for the past.
    pub snapshots: SnapshotStore,
    /// Manifests by digest.
    pub contents: ContentStore,
    /// On how many servers each stream is to be.
    pub replicas: usize,
    /// The folds.
    pub state: Arc<State>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub now: fn() -> jiff::Timestamp,
}

/// Answers questions.
#[derive(Debug, Clone)]
pub struct Queries(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: HubName,
    connection: Connection,
    ledger: JetStreamLedger,
    past: Past,
    hydrator: Hydrator,
    replicas: usize,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    now: fn() -> jiff::Timestamp,
}

/// Why an answer ends early.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    /// The question cannot be answered; the asker is told why.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Nobody listens any more.
    #[error("the asker is gone")]
    Gone,
    /// The answer could not be sent.
    #[error("the answer could not be sent")]
    Publish(#[from] PublishError),
    /// The ledger, or another stream, could not be read.
    #[error("the past could not be read")]
    Past(#[from] past::PastError),
    /// A content could not be read.
    #[error("a manifest could not be read")]
    Content(#[from] skein_nats::content::ContentError),
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Ledger(#[from] skein_nats::ReadError),
}

impl From<Refusal> for QueryError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Where answers go.
#[derive(Debug)]
struct Asker {
    connection: Connection,
    message: Message,
}

impl Asker {
    async fn send(&self, answer: &Answer) -> Result<(), QueryError> {
        let body = serde_json::to_vec(answer).expect("answers of the schema are JSON");
        Ok(self
            .connection
            .respond(&self.message, Headers::new(), body.into())
            .await?)
    }

    /// Resolves when nobody listens to the answers any more. To find out, it sends
    /// [`Answer::Listed`] again now and then, which says nothing new.
    ///
    /// Between accounts the bus forgets the way back to an asker two minutes after the last answer
    /// that somebody heard. So these answers also keep a quiet watch alive, and one whose asker
    /// went away without a word ends some minutes later.
    async fn gone(&self) {
        let Some(reply) = &self.message.reply else {
            return;
        };
        let body = serde_json::to_vec(&Answer::Listed).expect("answers of the schema are JSON");
        let mut probe = tokio::time::interval_at(tokio::time::Instant::now() + PROBE, PROBE);
        loop {
            probe.tick().await;
            let asked = self
                .connection
                .request(reply, Headers::new(), body.clone().into())
                .await;
            if matches!(asked, Err(RequestError::NobodyThere { .. })) {
                return;
            }
        }
    }
}

/// Counts a question as open until it is dropped, however its answer ends.
struct Open<'a>(&'a Metrics);

impl<'a> Open<'a> {
    fn count(metrics: &'a Metrics) -> Self {
        metrics.queries_open.inc();
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.queries_open.dec();
    }
}

impl Queries {
    /// A service that answers by these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let past = Past::new(parts.ledger.clone(), parts.statuses, parts.snapshots);
        Self(Arc::new(Inner {
            name: parts.name,
            connection: parts.connection,
            ledger: parts.ledger,
            past,
            hydrator: Hydrator::new(parts.contents),
            replicas: parts.replicas,
            state: parts.state,
            metrics: parts.metrics,
            now: parts.now,
        }))
    }

    /// Answers until told to stop.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut questions = self
            .0
            .connection
            .queue_subscribe(subject::QUERY_ALL, subject::HUB_QUEUE)
            .await?;
        let jobs = Jobs::new(AT_A_TIME, stop.clone());
        loop {
            let message = tokio::select! {
                () = stop.wait() => return Ok(()),
                message = questions.next() => message,
            };
            let Some(message) = message else {
                anyhow::ensure!(stop.is_set(), "the connection to the bus was closed");
                return Ok(());
            };
            let asker = Asker {
                connection: self.0.connection.clone(),
                message,
            };
            let inner = Arc::clone(&self.0);
            let reply = asker.message.clone();
            if jobs.spawn(async move { inner.serve(asker).await }).is_err() {
                self.0.metrics.count(&self.0.metrics.queries, "overload");
                let asker = Asker {
                    connection: self.0.connection.clone(),
                    message: reply,
                };
                let refusal =
                    Refusal::new(Code::NoHub, "the hub answers as many questions as it can")
                        .with_hint("try again in a moment");
                if let Err(error) = asker.send(&Answer::Refused(refusal)).await {
                    tracing::debug!(%error, "an asker was not told of the overload");
                }
            }
        }
    }
}

impl Inner {
    async fn serve(&self, asker: Asker) {
        let _open = Open::count(&self.metrics);
        let outcome = match self.read(&asker.message) {
            Ok(query) => {
                self.metrics.count(&self.metrics.queries, query.what());
                self.answer(&asker, query).await
            }
            Err(refusal) => {
                self.metrics.count(&self.metrics.queries, "refused");
                Err(refusal.into())
            }
        };
        let refusal = match outcome {
            Ok(()) | Err(QueryError::Gone) => return,
            Err(QueryError::Refused(refusal)) => refusal,
            Err(error @ QueryError::Past(past::PastError::Record { .. })) => {
                tracing::error!(error = %crate::report(&error), "the past cannot be read");
                Refusal::new(Code::Undecodable, crate::report(&error))
                    .with_hint("see docs/runbook.md: a record cannot be read")
            }
            Err(error) => {
                tracing::warn!(error = %crate::report(&error), subject = %asker.message.subject, "a question was not answered");
                Refusal::new(
                    Code::Unreachable,
                    "the hub could not read what it needs to answer",
                )
                .with_hint("try again; the hub's log says what failed")
            }
        };
        if let Err(error) = asker.send(&Answer::Refused(refusal)).await {
            tracing::debug!(%error, "an asker was not told of a refusal");
        }
    }

    /// Reads a question and checks that its sender may ask it.
    fn read(&self, message: &Message) -> Result<Query, Refusal> {
        let (user, what): (UserName, String) =
            subject::parse_query(&message.subject).map_err(|error| {
                Refusal::new(Code::InvalidArgument, excerpt(&error.to_string(), EXCERPT))
            })?;
        envelope::check_version(|name| message.headers.get(name))
            .map_err(|error| intake::envelope_refusal(&error))?;
        let query: Query = serde_json::from_slice(&message.body).map_err(|error| {
            self.metrics.count(&self.metrics.malformed, "query");
            let refusal = if error.is_data() {
                Refusal::new(Code::InvalidArgument, "the question cannot be understood")
                    .with_hint("the sender may be newer than this hub: upgrade the hub first")
            } else {
                Refusal::new(Code::MalformedDocument, "the question is not JSON")
            };
            refusal.with_cause("", excerpt(&error.to_string(), EXCERPT))
        })?;
        if query.what() != what {
            return Err(Refusal::new(
                Code::InvalidArgument,
                "the question is not that of its subject",
            )
            .with_cause("what", format!("must be that of {what:?}")));
        }
        let view = self.state.read();
        access::authorize(&view.world, &Actor::User(user), &access::of_query(&query))?;
        Ok(query)
    }

    async fn answer(&self, asker: &Asker, query: Query) -> Result<(), QueryError> {
        match query {
            Query::Get(selection) => self.get(asker, &selection).await,
            Query::Watch(selection) => self.watch(asker, &selection).await,
            Query::Events(filter) => self.events(asker, &filter).await,
            Query::Diff {
                from,
                to,
                kind,
                workspace,
            } => self.diff(asker, from, to, kind, workspace.as_ref()).await,
            Query::SealingKey { cluster } => self.sealing_key(asker, &cluster).await,
            Query::Tokens => self.tokens(asker).await,
            Query::Health => self.health(asker).await,
        }
    }

    async fn end(&self, asker: &Asker, sequence: u64) -> Result<(), QueryError> {
        asker.send(&Answer::End { sequence }).await
    }
}
