//! From committed records to signed, numbered messages on `desired.<set>.<cluster>`.
//!
//! Every replica knows which changes the DESIRED stream does not hold yet; the lead publishes
//! them. What was on its way when a lead died is still in the others' outbox, and what is
//! published twice only says again what is so already.
//!
//! Whenever it is not certain what the stream holds for a cluster (a publish failed, the stream
//! was lost, the agent knows a later revision), the whole state is sent instead of a change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use skein_hub_core::join::set_of;
use skein_nats::connect::ConnectionEvent;
use skein_nats::desired::DesiredStream;
use skein_nats::{Connection, Headers, Message, StoreMessageError};
use skein_schema::desired::DesiredHeader;
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::name::{ClusterName, SetName};
use skein_schema::resource::{KindName, Resource};
use skein_schema::subject;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use crate::driver::effect::Outgoing;
use crate::metrics::Metrics;
use crate::signing::SigningKey;
use crate::state::State;
use crate::task::Stop;

pub mod compose;
pub mod lines;
mod outbox;

use compose::{Composer, Outbound};
use lines::{Line, Lines};
use outbox::Outbox;

/// How many messages may wait for the stream's acknowledgement.
const IN_FLIGHT: usize = 1_000;
/// Header of a republished message: its sequence in the stream (JetStream's name).
const STREAM_SEQUENCE: &str = "Nats-Sequence";
/// How long to wait before a cluster's state is sent again after a failure.
const REPAIR_AFTER: Duration = Duration::from_secs(1);

/// What the dispatcher is asked.
#[derive(Debug)]
pub enum Dispatch {
    /// A record was committed that changes what clusters are to do.
    Changes(Outgoing),
    /// This hub leads from now on, or does not.
    Lead(bool),
    /// Send a cluster its whole state, under a revision above this one.
    Snapshot {
        /// Which cluster.
        cluster: ClusterName,
        /// A revision that the agent has seen.
        above: u64,
    },
    /// Answer when everything asked before this is stored. Not answered while following.
    Settle(oneshot::Sender<()>),
}

/// The task that publishes desired messages.
#[derive(Debug)]
pub struct Dispatcher {
    connection: Connection,
    stream: DesiredStream,
    state: Arc<State>,
    composer: Composer,
    metrics: Arc<Metrics>,
    outbox: Outbox,
    leads: bool,
    in_flight: FuturesUnordered<BoxFuture<'static, Acknowledged>>,
    next_ticket: u64,
    tickets: BTreeSet<u64>,
    broken: BTreeSet<ClusterName>,
    barriers: Vec<(u64, oneshot::Sender<()>)>,
}

#[derive(Debug)]
struct Acknowledged {
    ticket: u64,
    cluster: ClusterName,
    line: Line,
    outcome: Result<u64, StoreMessageError>,
}

impl Dispatcher {
    /// A dispatcher that follows until told to lead.
    #[must_use]
    pub fn new(
        connection: Connection,
        stream: DesiredStream,
        state: Arc<State>,
        key: Arc<SigningKey>,
        lines: Arc<Lines>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            connection,
            stream,
            state,
            composer: Composer::new(key),
            metrics,
            outbox: Outbox::new(lines),
            leads: false,
            in_flight: FuturesUnordered::new(),
            next_ticket: 0,
            tickets: BTreeSet::new(),
            broken: BTreeSet::new(),
            barriers: Vec::new(),
        }
    }

    /// Runs until nobody can ask any more, and then until what is on its way has arrived.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn run(
        mut self,
        mut asked: mpsc::Receiver<Dispatch>,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let mut live = self.connection.subscribe(subject::LIVE_DESIRED_ALL).await?;
        let mut events = self.connection.events();
        let mut deaf = false;
        self.load(&stop).await;
        let mut repair = tokio::time::interval(REPAIR_AFTER);
        repair.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.metrics
                .desired_waiting
                .set(i64::try_from(self.outbox.len() + self.in_flight.len()).unwrap_or(i64::MAX));
            tokio::select! {
                biased;
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.acknowledged(done),
                ask = asked.recv(), if self.in_flight.len() < IN_FLIGHT => match ask {
                    Some(ask) => self.asked(ask, &stop).await,
                    None => break,
                },
                message = live.next() => match message {
                    Some(message) => self.seen(&message),
                    None if stop.is_set() => return Ok(()),
                    None => anyhow::bail!("the connection to the bus was closed"),
                },
                event = events.recv(), if !deaf => {
                    deaf = matches!(event, Err(RecvError::Closed));
                    if misses_messages(&event) {
                        self.load(&stop).await;
                    }
                }
                _ = repair.tick(), if self.leads && !self.broken.is_empty() => self.repair().await,
            }
        }
        while let Some(done) = self.in_flight.next().await {
            self.acknowledged(done);
        }
        Ok(())
    }

    async fn asked(&mut self, ask: Dispatch, stop: &Stop) {
        match ask {
            Dispatch::Changes(outgoing) => {
                let clusters: Vec<ClusterName> = outgoing.clusters.keys().cloned().collect();
                self.outbox.add(outgoing);
                if self.leads {
                    for cluster in clusters {
                        self.send_waiting(&cluster).await;
                    }
                }
            }
            Dispatch::Lead(leads) => {
                self.leads = leads;
                if leads {
                    self.load(stop).await;
                    self.take_over().await;
                } else {
                    // What is broken stays so: this hub may lead again before another has sent anything.
                    self.barriers.clear();
                }
            }
            Dispatch::Snapshot { cluster, above } => {
                if self.leads {
                    self.send_snapshot(&cluster, above).await;
                }
            }
            Dispatch::Settle(done) => {
                if self.leads {
                    self.barriers.push((self.next_ticket, done));
                    self.settle();
                }
            }
        }
    }

    /// Learns from the stream what it holds for each cluster. A stream without a leader is waited
    /// for: a bus of several servers chooses another one.
    async fn load(&mut self, stop: &Stop) {
        let lasts = loop {
            match self.stream.last_per_subject().await {
                Ok(lasts) => break lasts,
                Err(error) => {
                    tracing::warn!(error = %crate::report(&error), "the DESIRED stream cannot be read, trying again");
                }
            }
            if tokio::time::timeout(REPAIR_AFTER, stop.wait())
                .await
                .is_ok()
            {
                return;
            }
        };
        for (subject, last) in lasts {
            match read_line(&subject, |name| last.headers.get(name)) {
                Some((cluster, line)) => self.outbox.stored(&cluster, &line, last.sequence),
                None => tracing::warn!(%subject, "a message of the DESIRED stream cannot be read"),
            }
        }
    }

    /// Publishes what the lead before left, and the whole state of clusters that have none.
    async fn take_over(&mut self) {
        for cluster in self.outbox.clusters() {
            self.send_waiting(&cluster).await;
        }
        for (cluster, set) in self.accepted() {
            // A line on another set's subject: the lead before told of a move, and nothing after it.
            let line = self.outbox.lines().get(&cluster);
            if line.is_none_or(|line| line.set != set) {
                self.send_snapshot(&cluster, 0).await;
            }
        }
    }

    /// The clusters that were let in, each with its set.
    fn accepted(&self) -> Vec<(ClusterName, SetName)> {
        let view = self.state.read();
        let accepted = view
            .world
            .iter(KindName::ManagedCluster)
            .filter_map(|(_, resource)| match &**resource {
                Resource::ManagedCluster(cluster) if is_accepted(cluster) => {
                    Some((ClusterName::new(resource.name()).ok()?, set_of(cluster)))
                }
                _ => None,
            });
        accepted.collect()
    }

    async fn send_waiting(&mut self, cluster: &ClusterName) {
        if self.broken.contains(cluster) {
            // The repair sends the whole state, which includes this.
            return;
        }
        let Some(line) = self.outbox.lines().get(cluster) else {
            return self.send_snapshot(cluster, 0).await;
        };
        let mut line = line;
        for change in self.outbox.take(cluster) {
            match self.composer.change(cluster, &line, &change) {
                compose::Next::Change(outbound) => {
                    line.assigned = outbound.line.assigned;
                    self.publish(outbound, "change").await;
                }
                compose::Next::Moved(outbound) => {
                    self.publish(outbound, "moved").await;
                    return self.send_snapshot(cluster, 0).await;
                }
            }
        }
    }

    /// Sends a cluster its whole state as it is now, under a revision above `above`.
    async fn send_snapshot(&mut self, cluster: &ClusterName, above: u64) {
        let (sequence, snapshot) = {
            let view = self.state.read();
            (
                view.world.sequence(),
                skein_hub_core::desired::snapshot(&view.world, cluster),
            )
        };
        let Some((settings, works)) = snapshot else {
            self.outbox.take(cluster);
            return;
        };
        let rev = self
            .outbox
            .lines()
            .get(cluster)
            .map_or(0, |line| line.assigned)
            .max(above);
        self.outbox.take(cluster);
        for outbound in self.composer.snapshot(
            cluster,
            rev,
            sequence,
            &settings,
            works,
            compose::Revisions::Rising,
        ) {
            self.publish(outbound, "snapshot").await;
        }
    }

    async fn repair(&mut self) {
        for cluster in std::mem::take(&mut self.broken) {
            tracing::warn!(%cluster, "sending the whole desired state after a failed publish");
            self.send_snapshot(&cluster, 0).await;
        }
        // Who waits for all to be stored waits for this, too.
        for (ticket, _) in &mut self.barriers {
            *ticket = self.next_ticket;
        }
    }

    async fn publish(&mut self, outbound: Outbound, kind: &str) {
        // Each that waits holds one of the connection's permits, and all that is published on it shares
        // them: acknowledgements have to be taken while a record fans out to thousands.
        while self.in_flight.len() >= IN_FLIGHT
            && let Some(done) = self.in_flight.next().await
        {
            self.acknowledged(done);
        }
        let Outbound {
            cluster,
            line,
            subject,
            headers,
            body,
            rolls_up,
        } = outbound;
        self.outbox.lines().assigned(&cluster, &line);
        self.metrics.count(&self.metrics.desired, kind);
        let headers = Headers::from(headers);
        let sent = if rolls_up {
            self.stream
                .publish_and_roll_up(&subject, &headers, Bytes::from(body))
                .await
        } else {
            self.stream
                .publish(&subject, &headers, Bytes::from(body), None)
                .await
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.insert(ticket);
        self.in_flight.push(
            sent.map(move |outcome| Acknowledged {
                ticket,
                cluster,
                line,
                outcome,
            })
            .boxed(),
        );
    }

    fn acknowledged(&mut self, done: Acknowledged) {
        self.tickets.remove(&done.ticket);
        match done.outcome {
            Ok(place) => self.outbox.lines().stored(&done.cluster, &done.line, place),
            Err(error) => {
                tracing::warn!(cluster = %done.cluster, error = %crate::report(&error), "a desired message was not stored");
                self.broken.insert(done.cluster);
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        if !self.broken.is_empty() {
            // Nobody may be told that all is stored before the repair.
            return;
        }
        let oldest = self.tickets.first().copied().unwrap_or(u64::MAX);
        let (done, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.barriers)
            .into_iter()
            .partition(|(ticket, _)| *ticket <= oldest);
        self.barriers = open;
        for (_, barrier) in done {
            // The asker may have gone.
            let _ = barrier.send(());
        }
    }

    /// Another hub published a message.
    fn seen(&mut self, message: &Message) {
        if self.leads {
            return;
        }
        let subject = message
            .subject
            .strip_prefix("live.")
            .unwrap_or(&message.subject);
        let place = message
            .headers
            .get(STREAM_SEQUENCE)
            .and_then(|text| text.parse().ok());
        if let (Some((cluster, line)), Some(place)) =
            (read_line(subject, |name| message.headers.get(name)), place)
        {
            self.outbox.stored(&cluster, &line, place);
        }
    }
}

/// Whether messages on subjects may have passed us by: they are not kept for a subscriber that is
/// away or slow.
fn misses_messages(event: &Result<ConnectionEvent, RecvError>) -> bool {
    matches!(
        event,
        Ok(ConnectionEvent::Connected | ConnectionEvent::SlowConsumer) | Err(RecvError::Lagged(_))
    )
}

/// Whether somebody has let the cluster in.
#[must_use]
pub fn is_accepted(cluster: &ManagedCluster) -> bool {
    cluster.spec.hub_accepts_client
}

fn read_line<'a>(
    subject: &str,
    get: impl Fn(&str) -> Option<&'a str>,
) -> Option<(ClusterName, Line)> {
    let (set, cluster): (SetName, ClusterName) = subject::parse_of_cluster(subject).ok()?;
    let header = DesiredHeader::from_headers(cluster, get).ok()?;
    Some((header.cluster, Line::new(set, header.rev, header.sequence)))
}
