//! The agent's one loop: what is wanted comes in, jobs make it so, what is seen goes out.
//!
//! Everything that changes the agent's mind passes through here, one thing after another; the jobs
//! beside it only talk to the API server.

mod clip;
mod desired;
mod observe;
mod queue;
mod reports;
mod work_run;
mod works;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use skein_agent_core::state::DesiredState;
use skein_schema::name::{ObjectName, SetName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::content::Contents;
use crate::environment::{SharedEnvironment, jittered};
use crate::inventory::Inventory;
use crate::journal::{Journal, Reported};
use crate::metrics::Metrics;
use crate::outbox::{BATCH, Batch};
use crate::reconcile::Reconciler;
use crate::state_dir::StateDirError;
use crate::uplink::{LinkEvent, Outgoing, Position};
use crate::watch::{Place, WatchEvent, Watches};

use queue::Queue;
use work_run::WorkRun;
use works::JobDone;

/// OCM's lease duration, as long as the hub has said nothing.
pub(crate) const DEFAULT_LEASE_SECONDS: u32 = 60;

/// Times and limits of the loop.
#[derive(Debug, Clone, Copy)]
pub struct DriverTimes {
    /// Between two catch-ups without cause.
    pub sync: Duration,
    /// Between two attempts at a work that is as it should be: the net under the watches.
    pub resync: Duration,
    /// How long observations are gathered before they are reported.
    pub report: Duration,
    /// How long changes are gathered before the journal is written.
    pub journal: Duration,
    /// Wait after a status that was not confirmed.
    pub resend: Duration,
    /// Between two looks for works that the hub does not know.
    pub evict: Duration,
    /// How long such a work may stay.
    pub eviction_grace: SignedDuration,
    /// Jobs that run at once.
    pub jobs: usize,
}

impl Default for DriverTimes {
    fn default() -> Self {
        Self {
            sync: Duration::from_secs(60),
            resync: Duration::from_secs(600),
            report: Duration::from_millis(20),
            journal: Duration::from_millis(100),
            resend: Duration::from_secs(1),
            evict: Duration::from_secs(300),
            // OCM's.
            eviction_grace: SignedDuration::from_mins(60),
            jobs: 8,
        }
    }
}

/// What the driver is made of.
pub struct DriverParts {
    /// Clock and dice.
    pub environment: SharedEnvironment,
    /// The agent's run.
    pub session: Uuid,
    /// What is wanted, as far as it is known.
    pub state: DesiredState,
    /// What was reported.
    pub reported: Reported,
    /// Where both are kept.
    pub journal: Journal,
    /// Contents of works.
    pub contents: Contents,
    /// Does the work.
    pub reconciler: Arc<Reconciler>,
    /// Shows what the agent owns.
    pub watches: Watches,
    /// What they show.
    pub watched: mpsc::Receiver<WatchEvent>,
    /// What the cluster is like.
    pub inventory: mpsc::Receiver<Inventory>,
    /// From the hub.
    pub link: mpsc::Receiver<LinkEvent>,
    /// To the hub.
    pub outgoing: mpsc::Sender<Outgoing>,
    /// Where the agent stands.
    pub position: watch::Sender<Position>,
    /// Namespaces that the cluster's sets want.
    pub namespaces: watch::Sender<BTreeMap<String, SetName>>,
    /// How it goes.
    pub progress: watch::Sender<Progress>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Times and limits.
    pub times: DriverTimes,
}

/// What others may know of the loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages flow.
    pub connected: bool,
    /// The hub has confirmed that the agent has all that is wanted.
    pub current: bool,
}

/// The loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The state folder fails: an agent that forgets is worse than one that stops.
    #[error("the journal cannot be kept")]
    Journal(#[from] StateDirError),
}

/// The loop.
pub struct Driver {
    parts: DriverParts,
    works: BTreeMap<ObjectName, WorkRun>,
    /// When works are tried again.
    queue: Queue<ObjectName>,
    jobs: JoinSet<JobDone>,
    evictions: JoinSet<()>,
    /// When to look for works that the hub does not know; not before it has said what it knows.
    evict_at: Option<Instant>,
    /// Which manifests an object belongs to.
    index: BTreeMap<(Place, String), Vec<(ObjectName, usize)>>,
    /// Works whose status has to be looked at.
    unreported: BTreeSet<ObjectName>,
    report_at: Option<Instant>,
    journal_at: Option<Instant>,
    desired_changed: bool,
    reported_changed: bool,
    sync_at: Instant,
    syncing: bool,
    /// The revision that the last catch-up was asked after.
    asked: u64,
    /// Catch-ups in a row that brought nothing that could be taken in.
    barren: u32,
    /// The newest revision that came too early.
    early: u64,
    sending: Option<(u64, Batch)>,
    /// Most entries in the next message: fewer after one was refused for good, to find out which.
    most: usize,
    send_at: Option<Instant>,
    number: u64,
}

impl Driver {
    /// The loop, with everything that was wanted before the restart due at once.
    #[must_use]
    pub fn new(parts: DriverParts) -> Self {
        let mut driver = Self {
            works: BTreeMap::new(),
            queue: Queue::new(),
            jobs: JoinSet::new(),
            evictions: JoinSet::new(),
            evict_at: None,
            index: BTreeMap::new(),
            unreported: BTreeSet::new(),
            report_at: None,
            journal_at: None,
            desired_changed: false,
            reported_changed: false,
            sync_at: Instant::now(),
            syncing: false,
            asked: 0,
            barren: 0,
            early: 0,
            sending: None,
            most: BATCH,
            send_at: None,
            number: 0,
            parts,
        };
        for name in driver
            .parts
            .state
            .works()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
        {
            driver.wake(&name, None);
        }
        driver.publish_position();
        driver
    }

    /// Runs until the agent stops.
    ///
    /// # Errors
    /// When the state folder fails.
    pub async fn run(mut self) -> Result<(), DriverError> {
        loop {
            self.start_jobs();
            self.send_next();
            let next = [
                self.queue.next(),
                self.report_at,
                self.journal_at,
                self.send_at,
                self.evict_at,
            ]
            .into_iter()
            .flatten()
            .min();
            tokio::select! {
                // What ends work comes before what makes more of it.
                biased;
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => self.job_ended(done),
                event = self.parts.link.recv() => match event {
                    Some(event) => self.link_event(event),
                    None => return self.write_journal(),
                },
                () = until(next) => self.timers()?,
                () = tokio::time::sleep_until(self.sync_at) => self.sync(),
                Some(inventory) = self.parts.inventory.recv() => self.inventoried(inventory),
                Some(event) = self.parts.watched.recv() => self.watched(event),
            }
        }
    }

    fn timers(&mut self) -> Result<(), DriverError> {
        let now = Instant::now();
        if self.report_at.is_some_and(|at| at <= now) {
            self.report();
        }
        if self.journal_at.is_some_and(|at| at <= now) {
            self.write_journal()?;
        }
        if self.send_at.is_some_and(|at| at <= now) {
            self.send_at = None;
        }
        if self.evict_at.is_some_and(|at| at <= now) {
            self.evict();
        }
        Ok(())
    }

    /// A time from now on, with a jitter of a quarter.
    fn after(&self, period: Duration) -> Instant {
        Instant::now() + jittered(&*self.parts.environment, period, 0.25)
    }

    fn journal_soon(&mut self) {
        self.journal_at
            .get_or_insert(Instant::now() + self.parts.times.journal);
    }

    fn write_journal(&mut self) -> Result<(), DriverError> {
        self.journal_at = None;
        // In this order: what was reported counts only beside a desired state of the same hub, so
        // that a crash in between never leaves another hub's reports beside this one's state.
        if std::mem::take(&mut self.reported_changed) {
            self.parts.journal.write_reported(&self.parts.reported)?;
        }
        if std::mem::take(&mut self.desired_changed) {
            self.parts.journal.write_desired(&self.parts.state)?;
        }
        Ok(())
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
