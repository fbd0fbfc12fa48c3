//! Simulated clusters: a Kubernetes API server in memory, small enough for thousands in one process.
//!
//! A [`SimCluster`] answers the Kubernetes API as far as an agent and a curious `kubectl` need it: discovery,
//! create, read, update, delete, the four patch formats, server-side apply with managed fields and conflicts, lists
//! with selectors and pages, watches with resource versions, bookmarks and 410, finalizers, propagation, garbage
//! collection by owner references, namespaces and their end, CRDs with schemas, the status and scale subresources,
//! and workloads that become ready after a while. One conformance suite holds it and the real kube-apiserver to the
//! same answers (`tests/tests/conformance.rs`).
//!
//! Left out on purpose: authentication and authorization (everybody may do everything), admission plugins, CEL
//! rules, conversion webhooks, protobuf, `exec`, `logs` and `port-forward`.
//!
//! The state machine inside (`server`) is pure: requests and time go in, answers come out. This file is the shell
//! around it, which owns the lock, the clock and the timers.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

mod agenda;
mod controllers;
mod defaults;
mod discovery;
mod error;
mod faults;
mod field_set;
mod http;
mod kinds;
mod managed_fields;
mod object;
mod options;
mod patch;
pub mod program;
pub(crate) mod random;
mod registry;
mod request;
mod schema;
mod seed;
mod selector;
mod serve;
mod server;
mod service;
mod shape;
mod store;
mod strategy;
mod table;
mod typed;
mod validation;
#[path = "sim_cluster/watch.rs"]
mod watches;

pub use faults::Faults;
pub use options::{SimClock, SimNode, SimOptions};
pub use serve::{SimServer, kubeconfig};
pub use service::{SimService, Unreachable};

use faults::FaultState;
use server::ApiServer;

/// A simulated cluster. Clones are handles of the same cluster.
#[derive(Debug, Clone)]
pub struct SimCluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Arc<SimOptions>,
    server: Mutex<ApiServer>,
    faults: FaultState,
    clock: Clock,
    /// Told after everything that a watch may want to look at.
    changed: watch::Sender<()>,
    /// Counts how often the watches were dropped on purpose.
    watch_epoch: AtomicU64,
    /// The deadline of the earliest timer that is running.
    timer: Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
enum Clock {
    Running {
        start: Timestamp,
        since: tokio::time::Instant,
    },
    Manual(Mutex<Timestamp>),
}

impl Clock {
    fn now(&self) -> Timestamp {
        match self {
            Clock::Running { start, since } => start.checked_add(since.elapsed()).unwrap_or(*start),
            Clock::Manual(time) => *lock(time),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimCluster {
    /// Makes a cluster with its system namespaces and nodes.
    pub fn new(options: SimOptions) -> SimCluster {
        let options = Arc::new(options);
        let (clock, start) = match options.clock {
            SimClock::Running(start) => (
                Clock::Running {
                    start,
                    since: tokio::time::Instant::now(),
                },
                start,
            ),
            SimClock::Manual(start) => (Clock::Manual(Mutex::new(start)), start),
        };
        let inner = Inner {
            server: Mutex::new(ApiServer::new(options.clone(), start)),
            faults: FaultState::new(options.seed),
            clock,
            changed: watch::Sender::new(()),
            watch_epoch: AtomicU64::new(0),
            timer: Mutex::new(None),
            options,
        };
        SimCluster(Arc::new(inner))
    }

    /// How the cluster was made.
    pub fn options(&self) -> &SimOptions {
        &self.0.options
    }

    /// A client that talks to the cluster without a network. Its default namespace is `default`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn client(&self) -> kube::Client {
        self.schedule();
        kube::Client::new(self.service(), "default")
    }

    /// The cluster as a tower service of HTTP requests.
    pub fn service(&self) -> SimService {
        SimService::new(self.clone())
    }

    /// Serves the cluster over HTTP; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn serve_http(&self, address: SocketAddr) -> io::Result<SimServer> {
        self.schedule();
        SimServer::start(self.clone(), address).await
    }

    /// The cluster's time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Lets time pass on a cluster with a [`SimClock::Manual`] clock: controllers do what falls due on the way, each
    /// at its time. A running clock is not moved.
    pub fn advance(&self, by: Duration) {
        let Clock::Manual(time) = &self.0.clock else {
            return;
        };
        let target = self.now().checked_add(by).unwrap_or(Timestamp::MAX);
        loop {
            let mut server = lock(&self.0.server);
            match server.next_deadline() {
                Some(next) if next <= target => {
                    let now = next.max(*lock(time));
                    *lock(time) = now;
                    server.run_due(now);
                }
                _ => break,
            }
        }
        *lock(time) = target;
        self.0.changed.send_replace(());
    }

    /// The present faults.
    pub fn faults(&self) -> Faults {
        self.0.faults.get()
    }

    /// Changes the faults. A cluster that becomes unreachable loses its watches.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.0.faults.change(change);
        if self.0.faults.get().unreachable {
            self.drop_watches();
        }
    }

    /// Breaks the connection of every open watch.
    pub fn drop_watches(&self) {
        self.0.watch_epoch.fetch_add(1, Ordering::SeqCst);
        self.0.changed.send_replace(());
    }

    /// Forgets all watch history, as an etcd compaction does: whoever watches from an older version gets 410.
    pub fn expire_history(&self) {
        self.with_server(|server, _| server.store.compact());
    }

    /// From now on, containers whose image contains `part` do not become ready.
    pub fn break_images(&self, part: impl Into<String>) {
        let part = part.into();
        self.with_server(|server, _| server.broken_images.push(part));
    }

    /// Images that were broken can be had again; pods that are made from now on become ready.
    pub fn mend_images(&self) {
        self.with_server(|server, _| server.broken_images.clear());
    }

    /// Runs a step of the state machine and sees to what follows from it.
    pub(crate) fn with_server<T>(&self, step: impl FnOnce(&mut ApiServer, Timestamp) -> T) -> T {
        let now = self.now();
        let (result, changed) = {
            let mut server = lock(&self.0.server);
            let before = server.store.version();
            server.run_due(now);
            let result = step(&mut server, now);
            (result, server.store.version() != before)
        };
        if changed {
            self.0.changed.send_replace(());
        }
        self.schedule();
        result
    }

    /// Sets a timer for the next thing that controllers have to do, on a running clock.
    fn schedule(&self) {
        if matches!(self.0.clock, Clock::Manual(_)) {
            return;
        }
        let Some(next) = lock(&self.0.server).next_deadline() else {
            return;
        };
        let mut timer = lock(&self.0.timer);
        if timer.is_some_and(|set| set <= next) {
            return;
        }
        // Outside of a runtime the next request takes care of it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        *timer = Some(next);
        let wait = until(self.now(), next);
        let cluster = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            #[expect(clippy::disallowed_methods, reason = "the timer of the controllers")]
            tokio::time::sleep(wait).await;
            let Some(inner) = cluster.upgrade() else {
                return;
            };
            let cluster = SimCluster(inner);
            {
                let mut timer = lock(&cluster.0.timer);
                if *timer == Some(next) {
                    *timer = None;
                }
            }
            cluster.with_server(|_, _| ());
        });
    }

    pub(crate) fn fault_state(&self) -> &FaultState {
        &self.0.faults
    }

    pub(crate) fn watch_epoch(&self) -> u64 {
        self.0.watch_epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Waits for a change, or until a watch has something to do by itself.
    pub(crate) async fn wait(
        &self,
        changed: &mut watch::Receiver<()>,
        deadline: Option<Timestamp>,
    ) {
        let running = matches!(self.0.clock, Clock::Running { .. });
        match deadline.filter(|_| running) {
            // The sender lives as long as this handle, so waiting only ends with a change or the deadline.
            Some(deadline) => {
                drop(tokio::time::timeout(until(self.now(), deadline), changed.changed()).await);
            }
            None => drop(changed.changed().await),
        }
    }
}

/// How long it is from `now` to `then`, to the next millisecond, so that a timer never fires too early.
fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
}

#[cfg(test)]
mod tests;
