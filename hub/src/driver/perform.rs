//! Does what the machine says. This is the only place that matches on [`Effect`].

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use skein_nats::content::{ContentError, ContentStore};
use skein_nats::ledger::{
    AppendError, Appender, JetStreamLedger, Ledger, Outcome, ReadError, Settled, StoredRecord, Tip,
    Witness, WitnessError,
};
use skein_schema::digest::Digest;
use tokio::sync::{mpsc, watch};

use super::effect::{CommandAnswer, Effect, JoinReply};
use super::input::Input;
use crate::dispatch::Dispatch;
use crate::metrics::Metrics;
use crate::state::{Standing, State};

/// How long to wait before the bus is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// How many digests of stored contents are remembered, so that a template that goes to many
/// clusters is sent once.
const KNOWN_CONTENTS: usize = 10_000;

/// An answer for somebody who waits.
#[derive(Debug)]
pub enum Reply {
    /// To a command.
    Command(Box<CommandAnswer>),
    /// To a request to join or renew.
    Join(Box<JoinReply>),
}

/// Where effects go.
#[derive(Debug)]
pub struct Outlets {
    /// The ledger.
    pub ledger: JetStreamLedger,
    /// Manifests by digest.
    pub contents: ContentStore,
    /// Answers.
    pub replies: mpsc::Sender<Reply>,
    /// Desired messages.
    pub dispatch: mpsc::Sender<Dispatch>,
    /// Who is revoked; the newest value is pushed to the bus.
    pub revocations: watch::Sender<Option<BTreeMap<String, Timestamp>>>,
    /// Gives the lease up.
    pub resign: mpsc::Sender<()>,
    /// What was acknowledged.
    pub witness: Witness,
    /// The folds.
    pub state: Arc<State>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Performs effects, and brings what the ledger answers.
pub struct Performer {
    outlets: Outlets,
    appender: Option<Appender<Instant>>,
    following: Option<BoxStream<'static, Result<StoredRecord, ReadError>>>,
    finding: Option<BoxFuture<'static, Tip>>,
    /// The newest tip seen; the first append stands on it.
    tip: Tip,
    known_contents: BTreeSet<Digest>,
}

impl std::fmt::Debug for Performer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Performer")
            .field("tip", &self.tip)
            .finish_non_exhaustive()
    }
}

impl Performer {
    /// A performer that has nothing to do yet.
    #[must_use]
    pub fn new(outlets: Outlets) -> Self {
        Self {
            outlets,
            appender: None,
            following: None,
            finding: None,
            tip: Tip::default(),
            known_contents: BTreeSet::new(),
        }
    }

    /// Whether another record can be put on its way.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.appender.as_ref().is_none_or(Appender::has_room)
    }

    /// What the ledger answers next. Safe to drop between polls.
    pub async fn next(&mut self) -> Input {
        let appended = async {
            match &mut self.appender {
                Some(appender) if appender.in_flight() > 0 => match appender.settled().await {
                    Some(settled) => settled,
                    None => pending().await,
                },
                _ => pending().await,
            }
        };
        let found = async {
            match &mut self.finding {
                Some(finding) => finding.await,
                None => pending().await,
            }
        };
        let read = async {
            match &mut self.following {
                Some(following) => following.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            settled = appended => self.settled(settled),
            tip = found => {
                self.finding = None;
                self.tip = tip;
                Input::End(self.tip.sequence)
            }
            record = read => match record {
                Some(Ok(record)) => Input::Read(Box::new(record)),
                Some(Err(error)) => {
                    self.following = None;
                    Input::Unreadable(crate::report(&error))
                }
                None => {
                    self.following = None;
                    Input::Unreadable("the ledger's reader ended".to_owned())
                }
            },
        }
    }

    fn settled(&self, settled: Settled<Instant>) -> Input {
        let metrics = &self.outlets.metrics;
        match settled.outcome {
            Ok(Outcome::Appended { sequence }) => {
                metrics.appended(settled.ticket.elapsed());
                Input::Appended { sequence }
            }
            Ok(Outcome::Conflict { after }) => {
                metrics.conflicts.inc();
                tracing::warn!(
                    after,
                    "another hub wrote to the ledger; reading on and deciding again"
                );
                Input::NotAppended
            }
            Err(AppendError::Rejected { after, reason }) => {
                tracing::error!(after, %reason, "the ledger does not take a record");
                Input::Rejected { reason }
            }
            Err(error @ AppendError::Unknown { .. }) => {
                metrics.conflicts.inc();
                tracing::warn!(error = %crate::report(&error), "reading on and deciding again");
                Input::NotAppended
            }
        }
    }

    /// Performs effects in their order. The answers to questions among them come back as inputs.
    ///
    /// # Errors
    /// When a part of the hub that is needed is gone.
    pub async fn perform(&mut self, effects: Vec<Effect>) -> anyhow::Result<Vec<Input>> {
        let mut inputs = Vec::new();
        for effect in effects {
            match effect {
                Effect::StoreContents(contents) => self.store(contents).await,
                Effect::Append {
                    record,
                    expected_last,
                } => match &mut self.appender {
                    Some(appender) => appender.push(record, Instant::now()).await,
                    None => {
                        // Leading failed a moment ago: what was decided upon it falls back.
                        tracing::debug!(expected_last, "a record is not appended");
                        inputs.push(Input::NotAppended);
                    }
                },
                Effect::AnswerCommand(answer) => {
                    self.outlets.replies.send(Reply::Command(answer)).await?;
                }
                Effect::AnswerJoin(reply) => self.outlets.replies.send(Reply::Join(reply)).await?,
                Effect::Dispatch(outgoing) => {
                    self.outlets
                        .dispatch
                        .send(Dispatch::Changes(outgoing))
                        .await?;
                }
                Effect::Announce(announcement) => {
                    self.outlets
                        .metrics
                        .ledger_sequence
                        .set(announcement.sequence);
                    self.outlets.state.announce(announcement);
                }
                Effect::Revoke(revocations) => {
                    self.outlets.revocations.send_replace(Some(revocations));
                }
                Effect::Witness {
                    sequence,
                    id,
                    digest,
                } => {
                    self.outlets.witness.note(sequence, digest);
                    self.tip = Tip {
                        sequence,
                        id: Some(id),
                    };
                }
                Effect::Follow { from } => {
                    self.appender = None;
                    self.following = Some(self.outlets.ledger.read(from));
                }
                Effect::FindEnd => self.finding = Some(find_end(self.outlets.ledger.clone())),
                Effect::Lead { last } => inputs.extend(self.lead(last).await),
                Effect::Resign => {
                    // A request that waits is as good.
                    let _ = self.outlets.resign.try_send(());
                }
                Effect::Stand(standing) => self.stand(standing).await?,
            }
        }
        Ok(inputs)
    }

    async fn lead(&mut self, last: u64) -> Option<Input> {
        self.following = None;
        // The bus may have lost its end while this hub ran, and others may have written since: the
        // sequence alone would look right.
        match self.outlets.witness.check(&self.outlets.ledger).await {
            Ok(()) => {}
            Err(WitnessError::Fenced(fenced)) => {
                return Some(Input::Unreadable(fenced.to_string()));
            }
            Err(error) => {
                tracing::warn!(error = %crate::report(&error), "the ledger could not be compared with what was acknowledged");
                return Some(Input::NotAppended);
            }
        }
        if self.tip.sequence != last {
            self.tip = match self.outlets.ledger.get(last).await {
                Ok(Some(record)) => Tip {
                    sequence: last,
                    id: record.id().map(str::to_owned),
                },
                Ok(None) => {
                    return Some(Input::Unreadable(format!(
                        "the ledger has lost record {last}"
                    )));
                }
                Err(error) => {
                    tracing::warn!(error = %crate::report(&error), "the ledger's end could not be read");
                    return Some(Input::NotAppended);
                }
            };
        }
        self.appender = Some(Appender::new(
            Arc::new(self.outlets.ledger.clone()),
            self.tip.clone(),
        ));
        None
    }

    async fn stand(&mut self, standing: Standing) -> anyhow::Result<()> {
        let leads = standing == Standing::Leading;
        match &standing {
            Standing::Leading => tracing::info!("this hub leads"),
            Standing::Following => tracing::info!("this hub follows"),
            Standing::CatchingUp => tracing::info!("reading the ledger up to its end"),
            Standing::Fenced(reason) => {
                tracing::error!(%reason, "the hub has stopped deciding; an operator must look at the ledger");
            }
        }
        self.outlets.metrics.leads.set(i64::from(leads));
        self.outlets
            .metrics
            .fenced
            .set(i64::from(matches!(standing, Standing::Fenced(_))));
        self.outlets.dispatch.send(Dispatch::Lead(leads)).await?;
        self.outlets.state.stand(standing);
        Ok(())
    }

    /// Stores contents; it does not go on before they are there, since the record that names them
    /// comes next.
    async fn store(&mut self, contents: Vec<(Digest, Vec<u8>)>) {
        let new = contents
            .into_iter()
            .filter(|(digest, _)| !self.known_contents.contains(digest));
        let new: Vec<(Digest, Bytes)> = new
            .map(|(digest, body)| (digest, Bytes::from(body)))
            .collect();
        loop {
            let put = new
                .iter()
                .map(|(_, body)| self.outlets.contents.put(body.clone()));
            match try_join_all(put).await {
                Ok(_) => break,
                Err(error) => {
                    let error: ContentError = error;
                    tracing::warn!(error = %crate::report(&error), "a content could not be stored, trying again");
                    pause().await;
                }
            }
        }
        if self.known_contents.len() + new.len() > KNOWN_CONTENTS {
            self.known_contents.clear();
        }
        self.known_contents
            .extend(new.into_iter().map(|(digest, _)| digest));
    }

    /// Shows how much is on its way.
    pub fn observe(&self, in_flight: usize) {
        self.outlets
            .metrics
            .in_flight
            .set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }

    /// Writes what was acknowledged to disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.outlets.witness.flush()?)
    }
}

/// Asks for the ledger's end until the bus answers.
fn find_end(ledger: JetStreamLedger) -> BoxFuture<'static, Tip> {
    async move {
        loop {
            match ledger.tip().await {
                Ok(tip) => return tip,
                Err(error) => {
                    tracing::warn!(error = %crate::report(&error), "the ledger's end could not be read, trying again");
                    pause().await;
                }
            }
        }
    }
    .boxed()
}

#[expect(clippy::disallowed_methods, reason = "a back-off")]
async fn pause() {
    tokio::time::sleep(PAUSE).await;
}
