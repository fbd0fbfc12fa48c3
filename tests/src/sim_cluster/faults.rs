//! Trouble on purpose: latency, errors, refused writes, cut connections.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use super::error::ApiError;
use super::random::Random;

/// What is wrong with a simulated cluster at the moment. The default is: nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Every answer takes at least this long.
    pub latency: Duration,
    /// And up to this much longer, drawn from the cluster's seed.
    pub jitter: Duration,
    /// The share of requests (0 to 1) that fail with 500.
    pub error_rate: f64,
    /// Writes are answered with 503.
    pub refuse_writes: bool,
    /// `/livez`, `/readyz` and `/healthz` say that the server is not well; requests are still served.
    pub unhealthy: bool,
    /// Every connection breaks, and open watches with them.
    pub unreachable: bool,
}

/// What happens to one request.
#[derive(Debug)]
pub(crate) struct Fate {
    /// How long the answer takes.
    pub(crate) delay: Duration,
    /// What goes wrong.
    pub(crate) trouble: Trouble,
}

/// What goes wrong with a request.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// The server answers with an error.
    Error(ApiError),
    /// There is no answer.
    Unreachable,
}

/// The faults of one cluster and the dice for them.
#[derive(Debug)]
pub(crate) struct FaultState(Mutex<(Faults, Random)>);

impl FaultState {
    /// No faults; the dice start from the seed.
    pub(crate) fn new(seed: u64) -> FaultState {
        FaultState(Mutex::new((
            Faults::default(),
            Random::new(seed ^ 0x5eed_fa17),
        )))
    }

    /// The present faults.
    pub(crate) fn get(&self) -> Faults {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// Changes the faults.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    /// Throws the dice for a request.
    pub(crate) fn fate(&self, method: &Method, path: &str) -> Fate {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (faults, random) = &mut *guard;
        let delay = match u64::try_from(faults.jitter.as_micros()) {
            Ok(0) | Err(_) => faults.latency,
            Ok(most) => faults.latency + Duration::from_micros(random.next() % most),
        };
        let health = ["/livez", "/readyz", "/healthz"]
            .iter()
            .any(|probe| path.starts_with(probe));
        let trouble = if faults.unreachable {
            Trouble::Unreachable
        } else if health && faults.unhealthy {
            Trouble::Error(ApiError::internal("the simulated server is unhealthy"))
        } else if !health && faults.refuse_writes && method != Method::GET {
            Trouble::Error(ApiError::unavailable("the simulated server refuses writes"))
        } else if !health && faults.error_rate > 0.0 && random.chance(faults.error_rate) {
            Trouble::Error(ApiError::internal("injected by the simulation"))
        } else {
            Trouble::None
        };
        Fate { delay, trouble }
    }
}
