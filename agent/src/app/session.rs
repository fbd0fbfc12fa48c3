//! One membership's life: the loop, the connection, the survey and the probe, started together and
//! ended together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_agent_core::applied_work;
use skein_schema::name::SetName;
use tokio::sync::{mpsc, watch};

use super::{AgentError, AgentState, Running, wait_for_stop};
use crate::content::Contents;
use crate::credential::Membership;
use crate::driver::{DEFAULT_LEASE_SECONDS, Driver, DriverError, DriverParts, Progress};
use crate::environment::{Backoff, new_id};
use crate::inventory::{self, Inventory, KubeHealth, Surveyor};
use crate::journal::Journal;
use crate::reconcile::{self, DefinedAt, Reconciler};
use crate::task::{TaskEnd, Tasks};
use crate::uplink::{LinkHandle, Position, Uplink, UplinkEnd};
use crate::watch::Watches;

/// How long the start waits for the definition of `AppliedManifestWork`, at most. After that works
/// wait for it.
const DEFINITION_PATIENCE: Duration = Duration::from_secs(10);
/// How long the loop has to write its journal at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a membership's life ended.
pub(super) enum SessionEnd {
    /// The agent is to stop.
    Stopped,
    /// The hub has ended the membership.
    Revoked,
    /// The cluster has become the member of another hub.
    OtherHub,
}

enum Ended {
    Driver(Result<(), DriverError>),
    Uplink(UplinkEnd),
    Side,
}

/// Runs until the agent is stopped, the membership ends, or something fails for good.
pub(super) async fn run(
    running: &Running,
    membership: &Membership,
    stopped: &mut watch::Receiver<bool>,
) -> Result<SessionEnd, AgentError> {
    running.show(AgentState::Running {
        connected: false,
        current: false,
    });
    let expires = membership.credential.expires_at.as_second();
    running.metrics.credential_expires.set(expires);
    tokio::select! {
        () = define(running) => {}
        () = wait_for_stop(stopped.clone()) => return Ok(SessionEnd::Stopped),
    }

    let journal = Journal::new(running.dir.clone(), membership.credential.hub_id.clone());
    let (mut tasks, mut progress) = start(running, membership, &journal)?;
    let end = loop {
        tokio::select! {
            end = tasks.ended() => break end,
            Ok(()) = progress.changed() => {
                let Progress { connected, current } = *progress.borrow_and_update();
                running.show(AgentState::Running { connected, current });
                if let Some(membership) = running.registration.store.current() {
                    running.metrics.credential_expires.set(membership.credential.expires_at.as_second());
                }
            }
            () = wait_for_stop(stopped.clone()) => {
                farewell(tasks).await?;
                return Ok(SessionEnd::Stopped);
            }
        }
    };
    match end {
        TaskEnd::Returned(_, Ended::Uplink(UplinkEnd::Revoked)) => {
            forget(tasks, &journal).await?;
            Ok(SessionEnd::Revoked)
        }
        TaskEnd::Returned(_, Ended::Uplink(UplinkEnd::OtherHub)) => {
            forget(tasks, &journal).await?;
            Ok(SessionEnd::OtherHub)
        }
        TaskEnd::Returned(_, Ended::Uplink(UplinkEnd::Failed(error))) => Err(error.into()),
        TaskEnd::Returned(_, Ended::Driver(Err(error))) => Err(error.into()),
        // These end only after their counterparts.
        TaskEnd::Returned(task, Ended::Driver(Ok(())) | Ended::Side) | TaskEnd::Panicked(task) => {
            Err(AgentError::Panicked { task })
        }
    }
}

/// The driver apart from the others: it is the last to end.
struct SessionTasks {
    driver: Tasks<Ended>,
    all: Tasks<Ended>,
}

impl SessionTasks {
    async fn ended(&mut self) -> TaskEnd<Ended> {
        tokio::select! {
            // The loop ends by itself only because the uplink has ended: that one says why.
            biased;
            end = self.all.ended() => end,
            end = self.driver.ended() => match end {
                TaskEnd::Returned(_, Ended::Driver(Ok(()))) => self.all.ended().await,
                end => end,
            },
        }
    }
}

/// Ends what brings news, then lets the loop write its journal.
async fn farewell(mut tasks: SessionTasks) -> Result<(), AgentError> {
    tasks.all.shutdown().await;
    match tokio::time::timeout(FAREWELL, tasks.driver.ended()).await {
        Ok(TaskEnd::Returned(_, Ended::Driver(result))) => Ok(result?),
        Ok(_) => Ok(()),
        Err(_) => {
            tracing::warn!("the loop did not end in time; what it did last is not in the journal");
            Ok(())
        }
    }
}

/// Ends everything and clears the journal: it is about a hub that is no longer this cluster's.
async fn forget(mut tasks: SessionTasks, journal: &Journal) -> Result<(), AgentError> {
    tasks.all.shutdown().await;
    // Left to itself, the loop would write its journal once more when nothing comes any more.
    tasks.driver.shutdown().await;
    Ok(journal.clear()?)
}

fn start(
    running: &Running,
    membership: &Membership,
    journal: &Journal,
) -> Result<(SessionTasks, watch::Receiver<Progress>), AgentError> {
    let (environment, metrics) = (&running.options.environment, &running.metrics);
    let (times, credential) = (running.options.times, &membership.credential);
    let (token, session) = (running.options.token.clone(), new_id(&**environment));
    let (state, reported) = journal.load(credential)?;

    let (position, at) = watch::channel(Position {
        rev: state.rev(),
        set: credential.clusterset.clone(),
        lease_duration_seconds: DEFAULT_LEASE_SECONDS,
    });
    let (health, kube_health) = watch::channel(KubeHealth::Healthy);
    let (namespaces, wanted_namespaces) = watch::channel(BTreeMap::new());
    let (progress, shown) = watch::channel(Progress::default());
    let (link_events, link) = mpsc::channel(256);
    let (outgoing, wanted) = mpsc::channel(16);
    let (watch_events, watched) = mpsc::channel(256);
    let (found, inventory) = mpsc::channel(1);
    let (handle, link_place) = LinkHandle::new(at.clone());
    let contents = Contents::open(&running.dir, handle)?;

    let driver = Driver::new(DriverParts {
        environment: Arc::clone(environment),
        session,
        state,
        reported,
        journal: journal.clone(),
        contents: contents.clone(),
        reconciler: reconciler(running, membership, contents),
        watches: Watches::new(running.kube.clone(), watch_events, Arc::clone(metrics)),
        watched,
        inventory,
        link,
        outgoing,
        position,
        namespaces,
        progress,
        metrics: Arc::clone(metrics),
        times: times.driver,
    });
    let uplink = Uplink {
        bus: Arc::clone(&running.registration.bus),
        environment: Arc::clone(environment),
        registration: running.registration.clone(),
        store: Arc::clone(&running.registration.store),
        rejoin: token.map(|token| (token, running.plain_introduction())),
        hub_id: credential.hub_id.clone(),
        handle: link_place,
        position: at,
        health: kube_health,
        events: link_events,
        outgoing: wanted,
        session,
        times: times.uplink,
        metrics: Arc::clone(metrics),
    };
    let mut tasks = SessionTasks {
        driver: Tasks::new(),
        all: Tasks::new(),
    };
    tasks.driver.spawn("driver", async {
        Ended::Driver(Box::pin(driver.run()).await)
    });
    tasks.all.spawn("uplink", async {
        Ended::Uplink(Box::pin(uplink.run()).await)
    });
    look(
        running,
        credential.hub_id.clone(),
        wanted_namespaces,
        found,
        health,
        &mut tasks.all,
    );
    Ok((tasks, shown))
}

fn reconciler(running: &Running, membership: &Membership, contents: Contents) -> Arc<Reconciler> {
    let credential = &membership.credential;
    Arc::new(Reconciler {
        cluster: running.kube.clone(),
        contents,
        keys: Arc::clone(&running.registration.keys),
        hub_id: credential.hub_id.clone(),
        agent_id: credential.cluster.to_string(),
        defined: DefinedAt::default(),
    })
}

/// Starts what looks at the cluster.
fn look(
    running: &Running,
    hub_id: String,
    namespaces: watch::Receiver<BTreeMap<String, SetName>>,
    found: mpsc::Sender<Inventory>,
    health: watch::Sender<KubeHealth>,
    tasks: &mut Tasks<Ended>,
) {
    let (environment, times) = (
        &running.options.environment,
        running.options.times.inventory,
    );
    let surveyor = Surveyor {
        cluster: running.kube.clone(),
        hub_id,
        environment: Arc::clone(environment),
        namespaces,
        found,
        times,
    };
    let metrics = Arc::clone(&running.metrics);
    let probe = inventory::probe(
        running.kube.clone(),
        Arc::clone(environment),
        health,
        times,
        metrics,
    );
    tasks.spawn("survey", async {
        surveyor.run().await;
        Ended::Side
    });
    tasks.spawn("probe", async {
        probe.await;
        Ended::Side
    });
}

/// Makes sure that the cluster serves `AppliedManifestWork`. An agent that may not write
/// definitions can do with one that is there; a cluster that is out of reach is not waited for long.
async fn define(running: &Running) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    let environment = &*running.options.environment;
    let defined = async {
        loop {
            if let Err(error) = reconcile::ensure_definition(&running.kube).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the definition of AppliedManifestWork cannot be written"
                );
            }
            // Written is not served yet.
            if running
                .kube
                .resolve(applied_work::API_VERSION, applied_work::KIND)
                .await
                .is_ok()
            {
                return;
            }
            backoff.wait(environment).await;
        }
    };
    if tokio::time::timeout(DEFINITION_PATIENCE, defined)
        .await
        .is_err()
    {
        tracing::error!("the cluster does not serve AppliedManifestWork; works wait for it");
    }
}
