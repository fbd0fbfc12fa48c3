//! The parts of a hub, and how they are connected.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use skein_nats::Connection;
use skein_nats::content::ContentStore;
use skein_nats::desired::DesiredStream;
use skein_nats::lease::Lease;
use skein_nats::ledger::{JetStreamLedger, Ledger as _, Witness, WitnessError};
use skein_nats::operator::OperatorKeys;
use skein_nats::resolver::AccountResolver;
use skein_nats::snapshots::SnapshotStore;
use skein_nats::status::StatusStream;
use skein_schema::name::HubName;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::{new_id, now};
use crate::answers::Answers;
use crate::authority::Authority;
use crate::dispatch::compose::Composer;
use crate::dispatch::lines::Lines;
use crate::dispatch::{Dispatch, Dispatcher};
use crate::driver::input::Input;
use crate::driver::machine::Machine;
use crate::driver::perform::{Outlets, Performer};
use crate::driver::{self, Inbox};
use crate::hydrate::Hydrator;
use crate::intake::{CommandRequest, Undone};
use crate::join::{self, Mint};
use crate::metrics::Metrics;
use crate::queries::{self, Queries};
use crate::signing::SigningKey;
use crate::snapshots::{self, Snapshots};
use crate::state::State;
use crate::task::{Stop, Tasks};
use crate::{beats, config, http, intake, lead, revoke, status, sync};

/// What may wait for a task.
const WAITING: usize = 1_024;

/// A bus that the hub can enter.
pub(super) struct Bus {
    pub(super) hub: Connection,
    pub(super) system: Connection,
    pub(super) operator: OperatorKeys,
    pub(super) replicas: usize,
}

/// Where a hub keeps its things, and what it is called.
pub(super) struct Place {
    pub(super) name: HubName,
    pub(super) keys: PathBuf,
    pub(super) data: PathBuf,
    pub(super) http: SocketAddr,
    pub(super) lead: config::Lead,
    pub(super) snapshots: config::Snapshots,
    /// There is no other replica.
    pub(super) alone: bool,
}

/// What several tasks share.
pub(super) struct Parts {
    bus: Bus,
    place: Place,
    stop: Stop,
    pub(super) state: Arc<State>,
    metrics: Arc<Metrics>,
    lines: Arc<Lines>,
    key: Arc<SigningKey>,
    ledger: JetStreamLedger,
    contents: ContentStore,
    snapshots: SnapshotStore,
    statuses: StatusStream,
    desired: DesiredStream,
    resolver: AccountResolver,
    undone: Undone,
    /// Why nothing may be decided, if so.
    fence: Option<String>,
    witness: Witness,
}

impl Parts {
    /// Opens what is on disk and on the bus, and takes up the newest snapshot.
    pub(super) async fn open(bus: Bus, place: Place, stop: Stop) -> anyhow::Result<Self> {
        let ledger = JetStreamLedger::new(&bus.hub);
        let snapshots = SnapshotStore::new(&bus.hub);
        let witness = Witness::open(&place.data.join("witness.json"))?;
        let fence = match witness.check(&ledger).await {
            Ok(()) => None,
            Err(WitnessError::Fenced(fenced)) => Some(fenced.to_string()),
            Err(error) => return Err(error.into()),
        };
        let last = ledger.tip().await?.sequence;
        let view = snapshots::newest(&snapshots, last)
            .await?
            .map(|loaded| loaded.view)
            .unwrap_or_default();
        tracing::info!(snapshot = view.world.sequence(), last, "folding the ledger");
        Ok(Self {
            stop,
            state: Arc::new(State::new(view)),
            metrics: Arc::default(),
            lines: Arc::default(),
            key: Arc::new(SigningKey::open_or_create(&place.keys)?),
            ledger,
            contents: ContentStore::new(&bus.hub),
            snapshots,
            statuses: StatusStream::new(&bus.hub),
            desired: DesiredStream::new(&bus.hub),
            resolver: AccountResolver::new(bus.system.clone(), bus.operator.clone()),
            undone: Undone::default(),
            fence,
            witness,
            bus,
            place,
        })
    }

    /// Starts every task. What is returned tells when users and agents can enter.
    pub(super) async fn start(
        self,
        tasks: &mut Tasks,
        listener: TcpListener,
    ) -> anyhow::Result<watch::Receiver<bool>> {
        let (inputs, facts) = mpsc::channel(WAITING);
        let (command_inputs, commands) = mpsc::channel(WAITING);
        let (dispatch, asked) = mpsc::channel(WAITING);
        self.services(tasks, &dispatch);
        self.listeners(tasks, &inputs, command_inputs);
        let pages = http::Pages {
            state: Arc::clone(&self.state),
            connection: self.bus.hub.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let stop = self.stop.clone();
        tasks.spawn(
            "http",
            http::serve(listener, pages, async move { stop.wait().await }),
        );
        let dispatcher = Dispatcher::new(
            self.bus.hub.clone(),
            self.desired.clone(),
            Arc::clone(&self.state),
            Arc::clone(&self.key),
            Arc::clone(&self.lines),
            Arc::clone(&self.metrics),
        );
        tasks.spawn("dispatcher", dispatcher.run(asked, self.stop.clone()));
        self.core(tasks, Inbox { commands, facts }, inputs, dispatch)
    }

    /// The loop, and those who do what it says.
    fn core(
        self,
        tasks: &mut Tasks,
        inbox: Inbox,
        inputs: mpsc::Sender<Input>,
        dispatch: mpsc::Sender<Dispatch>,
    ) -> anyhow::Result<watch::Receiver<bool>> {
        let (replies, to_answer) = mpsc::channel(WAITING);
        let (revocations, to_revoke) = watch::channel(None);
        let (resign, resigned) = mpsc::channel(1);
        let (pushed_sender, pushed) = watch::channel(false);
        let authority = Authority::open_or_create(&self.place.keys, now())?;
        let answers = Answers {
            connection: self.bus.hub.clone(),
            undone: self.undone,
            mint: Mint::new(self.bus.operator.clone(), authority, self.key),
            hydrator: Hydrator::new(self.contents.clone()),
            metrics: Arc::clone(&self.metrics),
            now,
        };
        tasks.spawn("answers", answers.run(to_answer));
        let stop = self.stop;
        tasks.spawn(
            "revocations",
            revoke::run(self.resolver, to_revoke, pushed_sender, now, stop.clone()),
        );
        let lease = self.place.lead.lease();
        let claim = Lease::new(&self.bus.hub, "lead", self.place.name.as_str(), lease);
        tasks.spawn(
            "lease",
            lead::run(claim, lease / 3, inputs, resigned, stop.clone()),
        );
        let machine = Machine::new(self.place.name, Arc::clone(&self.state), now(), new_id);
        let performer = Performer::new(Outlets {
            ledger: self.ledger,
            contents: self.contents,
            replies,
            dispatch,
            revocations,
            resign,
            witness: self.witness,
            state: self.state,
            metrics: self.metrics,
        });
        tasks.spawn(
            "driver",
            driver::run(machine, performer, inbox, self.fence, now, stop),
        );
        Ok(pushed)
    }

    /// Those who tell the loop what happens.
    fn listeners(
        &self,
        tasks: &mut Tasks,
        inputs: &mpsc::Sender<Input>,
        commands: mpsc::Sender<CommandRequest>,
    ) {
        let (hub, state, metrics) = (
            || self.bus.hub.clone(),
            || Arc::clone(&self.state),
            || Arc::clone(&self.metrics),
        );
        let (inputs, stop) = (|| inputs.clone(), || self.stop.clone());
        let reported = self.state.read().status_sequence;
        tasks.spawn(
            "commands",
            intake::run(
                hub(),
                state(),
                self.undone.clone(),
                commands,
                metrics(),
                self.place.alone,
                stop(),
            ),
        );
        tasks.spawn(
            "joins",
            join::run(hub(), state(), inputs(), metrics(), now, stop()),
        );
        tasks.spawn(
            "status",
            status::run(
                self.statuses.clone(),
                reported + 1,
                inputs(),
                metrics(),
                stop(),
            ),
        );
        tasks.spawn(
            "heartbeats",
            beats::listen(hub(), inputs(), metrics(), stop()),
        );
        tasks.spawn(
            "advisories",
            beats::advisories(self.resolver.clone(), state(), inputs(), stop()),
        );
    }

    /// Those who answer from what is known.
    fn services(&self, tasks: &mut Tasks, dispatch: &mpsc::Sender<Dispatch>) {
        let catch_up = sync::Sync::new(sync::Parts {
            connection: self.bus.hub.clone(),
            desired: self.desired.clone(),
            contents: self.contents.clone(),
            state: Arc::clone(&self.state),
            lines: Arc::clone(&self.lines),
            composer: Composer::new(Arc::clone(&self.key)),
            dispatch: dispatch.clone(),
            metrics: Arc::clone(&self.metrics),
        });
        tasks.spawn("sync", catch_up.run(self.stop.clone()));
        let questions = Queries::new(queries::Parts {
            name: self.place.name.clone(),
            connection: self.bus.hub.clone(),
            ledger: self.ledger.clone(),
            statuses: self.statuses.clone(),
            snapshots: self.snapshots.clone(),
            contents: self.contents.clone(),
            replicas: self.bus.replicas,
            state: Arc::clone(&self.state),
            metrics: Arc::clone(&self.metrics),
            now,
        });
        tasks.spawn("queries", questions.run(self.stop.clone()));
        let snapshots = Snapshots {
            store: self.snapshots.clone(),
            state: Arc::clone(&self.state),
            dispatch: dispatch.clone(),
            config: self.place.snapshots,
            metrics: Arc::clone(&self.metrics),
            now,
        };
        tasks.spawn("snapshots", snapshots.run(self.stop.clone()));
    }
}
