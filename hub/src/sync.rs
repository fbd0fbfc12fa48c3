//! Catching up: answers agents on `sync.<set>.<cluster>`.
//!
//! An agent that has everything is told so from memory. One that is a little behind gets the
//! stored messages again, in pages; one that is far behind, or whose messages are gone, gets the
//! whole state. Contents go only to a cluster that one of its works names them for. Which cluster
//! asks is the last token of the subject, which the bus has checked; the set token may be an old
//! one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use skein_nats::connect::PublishError;
use skein_nats::content::ContentStore;
use skein_nats::desired::DesiredStream;
use skein_nats::{Connection, Headers, Message};
use skein_schema::code::{Code, Refusal};
use skein_schema::desired::DesiredHeader;
use skein_schema::digest::Digest;
use skein_schema::envelope;
use skein_schema::name::{ClusterName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};
use skein_schema::subject;
use skein_schema::sync::{PART_HEADER, SyncEnd, SyncPart, SyncRequest};
use tokio::sync::mpsc;

use crate::dispatch::compose::{Composer, Revisions};
use crate::dispatch::lines::{Line, Lines};
use crate::dispatch::{Dispatch, is_accepted};
use crate::intake;
use crate::metrics::Metrics;
use crate::state::{Standing, State};
use crate::task::{Jobs, Stop};

/// Messages of one page; an agent asks again for more.
const PAGE: usize = skein_nats::desired::PAGE;
/// How long a request may wait for this replica to learn what it is about.
const PATIENCE: Duration = Duration::from_secs(4);
/// How many requests are answered at a time.
const AT_A_TIME: usize = 512;
/// Largest revision that an agent can claim; far beyond what any hub reaches.
const REV_MAX: u64 = 1 << 52;

/// Answers catch-up requests.
#[derive(Debug, Clone)]
pub struct Sync(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    desired: DesiredStream,
    contents: ContentStore,
    state: Arc<State>,
    lines: Arc<Lines>,
    composer: Composer,
    dispatch: mpsc::Sender<Dispatch>,
    metrics: Arc<Metrics>,
}

/// What answering needs.
#[derive(Debug)]
pub struct Parts {
    /// The bus.
    pub connection: Connection,
    /// Stored desired messages.
    pub desired: DesiredStream,
    /// Stored contents.
    pub contents: ContentStore,
    /// The folds.
    pub state: Arc<State>,
    /// How far each cluster's messages have come.
    pub lines: Arc<Lines>,
    /// Signs whole states.
    pub composer: Composer,
    /// Asks the dispatcher.
    pub dispatch: mpsc::Sender<Dispatch>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Why a request got no answer; the agent asks again.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    /// The answer could not be sent.
    #[error("the answer could not be sent")]
    Publish(#[from] PublishError),
    /// Stored messages could not be read.
    #[error("the stored messages could not be read")]
    Desired(#[from] skein_nats::ReadError),
    /// A content could not be read.
    #[error("the content could not be read")]
    Content(#[from] skein_nats::content::ContentError),
    /// This replica does not know the cluster's state yet; another may.
    #[error("this hub is behind")]
    Behind,
}

impl Sync {
    /// A service that answers by these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            connection,
            desired,
            contents,
            state,
            lines,
            composer,
            dispatch,
            metrics,
        } = parts;
        Self(Arc::new(Inner {
            connection,
            desired,
            contents,
            state,
            lines,
            composer,
            dispatch,
            metrics,
        }))
    }

    /// Answers until told to stop.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut requests = self
            .0
            .connection
            .queue_subscribe(subject::SYNC_ALL, subject::HUB_QUEUE)
            .await?;
        let jobs = Jobs::new(AT_A_TIME, stop.clone());
        loop {
            let message = tokio::select! {
                () = stop.wait() => return Ok(()),
                message = requests.next() => message,
            };
            let Some(message) = message else {
                anyhow::ensure!(stop.is_set(), "the connection to the bus was closed");
                return Ok(());
            };
            let inner = Arc::clone(&self.0);
            // Without room the agent waits and asks again, with jitter: that is the back pressure.
            if jobs
                .spawn(async move { inner.serve(message).await })
                .is_err()
            {
                self.0.metrics.count(&self.0.metrics.syncs, "overload");
            }
        }
    }
}

impl Inner {
    async fn serve(&self, message: Message) {
        let (_, cluster) = match subject::parse_of_cluster(&message.subject) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::warn!(%error, "a catch-up request came on a subject that is none");
                return;
            }
        };
        let outcome = match read(&message) {
            Ok(SyncRequest::Desired { rev, .. }) => self.desired(&message, &cluster, rev).await,
            Ok(SyncRequest::Content { digest }) => self.content(&message, &cluster, digest).await,
            Err(refusal) => {
                self.metrics.count(&self.metrics.malformed, "sync");
                self.end(&message, SyncEnd::Refused(refusal))
                    .await
                    .map(|()| "malformed")
            }
        };
        match outcome {
            Ok(kind) => self.metrics.count(&self.metrics.syncs, kind),
            Err(error) => {
                self.metrics.count(&self.metrics.syncs, "failed");
                tracing::warn!(%cluster, error = %crate::report(&error), "a catch-up request was not answered");
            }
        }
    }

    async fn desired(
        &self,
        to: &Message,
        cluster: &ClusterName,
        rev: u64,
    ) -> Result<&'static str, SyncError> {
        if let Some(refusal) = self.refusal(cluster) {
            self.end(to, SyncEnd::Refused(refusal)).await?;
            return Ok("refused");
        }
        let rev = rev.min(REV_MAX);
        let line = self.line(cluster, rev).await?;
        if rev >= line.stored {
            self.end(
                to,
                SyncEnd::Current {
                    rev,
                    clusterset: line.set,
                },
            )
            .await?;
            return Ok("current");
        }
        if let Some(from) = line.sequence_of(rev)
            && self.replay(to, cluster, rev, from + 1, &line).await?
        {
            return Ok("replay");
        }
        self.snapshot(to, cluster).await?;
        Ok("snapshot")
    }

    /// The cluster's line, once it is not behind what the agent has.
    async fn line(&self, cluster: &ClusterName, rev: u64) -> Result<Line, SyncError> {
        let mut changes = self.lines.changes();
        // A revision that is on its way may have reached the agent before its acknowledgement us.
        let is_known = |line: &Line| line.stored > 0 && line.assigned >= rev;
        if let Some(line) = self.lines.get(cluster).filter(is_known) {
            return Ok(line);
        }
        // The stream has lost what the agent has seen, or never had anything: only the lead can
        // put that right.
        if *self.state.standing().borrow() != Standing::Leading {
            return Err(SyncError::Behind);
        }
        let ask = Dispatch::Snapshot {
            cluster: cluster.clone(),
            above: rev,
        };
        self.dispatch
            .send(ask)
            .await
            .map_err(|_| SyncError::Behind)?;
        let sent = async {
            loop {
                if let Some(line) = self.lines.get(cluster).filter(|line| line.stored > rev) {
                    return Some(line);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(PATIENCE, sent)
            .await
            .ok()
            .flatten()
            .ok_or(SyncError::Behind)
    }

    /// Sends stored messages again, those from the stream's sequence `from` on; false when they do
    /// not follow on what the agent has. A stored snapshot follows on nothing: a lead that died may
    /// have left a part of one only.
    async fn replay(
        &self,
        to: &Message,
        cluster: &ClusterName,
        rev: u64,
        from: u64,
        line: &Line,
    ) -> Result<bool, SyncError> {
        let subject = subject::desired(&line.set, cluster);
        let page = self.desired.page(&subject, from, PAGE).await?;
        let mut last = rev;
        for message in &page.messages {
            let header =
                DesiredHeader::from_headers(cluster.clone(), |name| message.headers.get(name));
            let Ok(header) = header else { return Ok(false) };
            if header.previous != last {
                return Ok(false);
            }
            last = header.rev;
        }
        if last == rev {
            return Ok(false);
        }
        for message in page.messages {
            self.part(to, SyncPart::Desired, message.headers, message.body)
                .await?;
        }
        let end = if page.more {
            SyncEnd::More
        } else {
            SyncEnd::Current {
                rev: last,
                clusterset: line.set.clone(),
            }
        };
        self.end(to, end).await?;
        Ok(true)
    }

    /// Sends the whole state under the revision that the stream is at.
    async fn snapshot(&self, to: &Message, cluster: &ClusterName) -> Result<(), SyncError> {
        // First the line, then the state: the state then includes all that the revision stands for.
        let line = self.lines.get(cluster).ok_or(SyncError::Behind)?;
        let reached = self.state.reached(line.sequence);
        tokio::time::timeout(PATIENCE, reached)
            .await
            .map_err(|_| SyncError::Behind)?;
        let (sequence, snapshot) = {
            let view = self.state.read();
            (
                view.world.sequence(),
                skein_hub_core::desired::snapshot(&view.world, cluster),
            )
        };
        let (settings, works) = snapshot.ok_or(SyncError::Behind)?;
        for part in self.composer.snapshot(
            cluster,
            line.stored,
            sequence,
            &settings,
            works,
            Revisions::Same {
                rev_sequence: line.stored_sequence,
            },
        ) {
            self.part(
                to,
                SyncPart::Desired,
                part.headers.into(),
                Bytes::from(part.body),
            )
            .await?;
        }
        self.end(
            to,
            SyncEnd::Current {
                rev: line.stored,
                clusterset: settings.clusterset,
            },
        )
        .await
    }

    async fn content(
        &self,
        to: &Message,
        cluster: &ClusterName,
        digest: Digest,
    ) -> Result<&'static str, SyncError> {
        let refuse = |message: &str| SyncEnd::Refused(Refusal::new(Code::NotFound, message));
        let end = if !self.is_entitled(cluster, &digest) {
            // Not told apart from a content that does not exist.
            refuse("no work of this cluster names this content")
        } else if let Some(body) = self.contents.get(&digest).await? {
            self.part(to, SyncPart::Content, Headers::new(), body)
                .await?;
            SyncEnd::Sent
        } else {
            refuse("the content is not stored")
        };
        let kind = if end == SyncEnd::Sent {
            "content"
        } else {
            "refused"
        };
        self.end(to, end).await?;
        Ok(kind)
    }

    fn is_entitled(&self, cluster: &ClusterName, digest: &Digest) -> bool {
        let (text, workspace) = (digest.to_string(), Workspace::from(cluster));
        let view = self.state.read();
        view.world.iter_in(KindName::ManifestWork, &workspace).any(
            |(_, resource)| match &**resource {
                Resource::ManifestWork(work) => {
                    let manifests = work.spec.workload.manifests.iter();
                    manifests
                        .filter_map(|manifest| manifest.content())
                        .any(|content| content.digest == text)
                }
                _ => false,
            },
        )
    }

    fn refusal(&self, cluster: &ClusterName) -> Option<Refusal> {
        let view = self.state.read();
        match view
            .world
            .get(&ObjectKey::cluster(cluster))
            .map(|resource| &**resource)
        {
            Some(Resource::ManagedCluster(found)) if is_accepted(found) => None,
            Some(_) => Some(Refusal::new(
                Code::ClusterDenied,
                "the cluster is not accepted",
            )),
            None => Some(Refusal::new(
                Code::NotFound,
                "the hub does not know this cluster",
            )),
        }
    }

    async fn part(
        &self,
        to: &Message,
        part: SyncPart,
        headers: Headers,
        body: Bytes,
    ) -> Result<(), PublishError> {
        self.connection
            .respond(to, headers.with(PART_HEADER, part.as_str()), body)
            .await
    }

    async fn end(&self, to: &Message, end: SyncEnd) -> Result<(), SyncError> {
        let body = serde_json::to_vec(&end).expect("answers of the schema are JSON");
        Ok(self
            .part(to, SyncPart::End, Headers::new(), body.into())
            .await?)
    }
}

fn read(message: &Message) -> Result<SyncRequest, Refusal> {
    envelope::check_version(|name| message.headers.get(name))
        .map_err(|error| intake::envelope_refusal(&error))?;
    serde_json::from_slice(&message.body).map_err(|error| {
        Refusal::new(
            Code::MalformedDocument,
            "the catch-up request cannot be read",
        )
        .with_cause("", error.to_string())
    })
}
