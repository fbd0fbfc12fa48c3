//! What the hub knows, as its parts share it: the two folds, committed records only.
//!
//! One writer, the driver; many readers, none of which holds the lock across an await.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use skein_hub_core::{Observed, World};
use skein_schema::object::ObjectKey;
use tokio::sync::{broadcast, watch};

/// How many announcements a reader may fall behind before it has to look at everything anew.
const ANNOUNCEMENTS: usize = 4096;

/// The two folds.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// What was meant: the fold of LEDGER.
    pub world: World,
    /// What is: the fold of STATUS.
    pub observed: Observed,
    /// The last STATUS sequence folded.
    pub status_sequence: u64,
}

/// What changed at a moment: watchers look at these objects anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The ledger sequence that the view now stands for.
    pub sequence: u64,
    /// Objects whose intended or observed state may have changed.
    pub touched: Vec<ObjectKey>,
}

/// Whether this hub decides, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is reading the ledger up to its end.
    CatchingUp,
    /// Another hub leads; this one follows and answers questions.
    Following,
    /// It decides.
    Leading,
    /// It has stopped deciding until an operator looks at the ledger.
    Fenced(String),
}

/// The hub's state as its parts share it.
#[derive(Debug)]
pub struct State {
    view: RwLock<View>,
    announcements: broadcast::Sender<Arc<Announcement>>,
    standing: watch::Sender<Standing>,
    sequence: watch::Sender<u64>,
}

impl State {
    /// A state that begins with `view`.
    #[must_use]
    pub fn new(view: View) -> Self {
        let sequence = view.world.sequence();
        Self {
            view: RwLock::new(view),
            announcements: broadcast::channel(ANNOUNCEMENTS).0,
            standing: watch::channel(Standing::CatchingUp).0,
            sequence: watch::channel(sequence).0,
        }
    }

    /// The folds, to read. Not to be held across an await.
    ///
    /// # Panics
    /// When the driver panicked while it wrote; the hub is ending then.
    pub fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().expect("a fold does not panic")
    }

    /// The folds, to write. For the driver alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().expect("a fold does not panic")
    }

    /// Tells readers what changed.
    pub(crate) fn announce(&self, announcement: Announcement) {
        self.sequence.send_replace(announcement.sequence);
        // Nobody has to listen.
        let _ = self.announcements.send(Arc::new(announcement));
    }

    /// Changes from now on. Subscribe before reading the folds, so that nothing falls between.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<Announcement>> {
        self.announcements.subscribe()
    }

    pub(crate) fn stand(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    /// Whether this hub decides, now and from now on.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Waits until the view includes `sequence`.
    pub async fn reached(&self, sequence: u64) {
        let mut at = self.sequence.subscribe();
        // The sender lives as long as this state, so the wait ends by reaching it.
        let _ = at.wait_for(|at| *at >= sequence).await;
    }
}
