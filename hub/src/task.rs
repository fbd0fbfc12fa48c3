//! Named, supervised tasks. This is the only file of the crate that spawns.
//!
//! A *task* is part of the hub: if it ends before the hub is told to stop, the hub ends with its
//! error, because a hub without one of its parts would look alive and not be. A *job* serves one
//! request: its end, or its panic, concerns that request alone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long tasks may take to end after the hub was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Tells tasks to end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the hub is told to stop.
    pub async fn wait(&self) {
        let mut stop = self.0.clone();
        // An error means that the supervisor is gone, which is a stop too.
        let _ = stop.wait_for(|stopped| *stopped).await;
    }

    /// Whether the hub was told to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }
}

/// Why the hub ended.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task failed.
    #[error("the {name} task failed")]
    Failed {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: anyhow::Error,
    },
    /// A task ended though nobody had told it to.
    #[error("the {name} task ended by itself")]
    Ended {
        /// Its name.
        name: &'static str,
    },
    /// A task panicked; the panic's message is in the log.
    #[error("a task panicked")]
    Panicked(#[source] tokio::task::JoinError),
    /// Tasks did not end in time after the stop.
    #[error("{left} tasks did not end within {GRACE:?}")]
    Hangs {
        /// How many.
        left: usize,
    },
}

/// The tasks of a hub.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: watch::Sender<bool>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            set: JoinSet::new(),
            stop: watch::channel(false).0,
        }
    }
}

impl Tasks {
    /// What tasks listen to.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Starts a task. It is to end when [`Stop`] says so, and not before.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.set.spawn(async move { (name, task.await) });
    }

    /// Runs until `until` is over or a task ends, then stops all tasks and waits for them.
    ///
    /// # Errors
    /// The first task's failure.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Result<(), TaskError> {
        let first = tokio::select! {
            () = until => None,
            end = self.set.join_next() => end,
        };
        let mut outcome = match first {
            None => Ok(()),
            Some(Ok((name, Ok(())))) => Err(TaskError::Ended { name }),
            Some(end) => failure(end),
        };
        self.stop.send_replace(true);
        let rest = async {
            while let Some(end) = self.set.join_next().await {
                let failed = failure(end);
                if outcome.is_ok() {
                    outcome = failed;
                }
            }
        };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            return outcome.and(Err(TaskError::Hangs {
                left: self.set.len(),
            }));
        }
        outcome
    }
}

fn failure(
    end: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>,
) -> Result<(), TaskError> {
    match end {
        Ok((_, Ok(()))) => Ok(()),
        Ok((name, Err(source))) => Err(TaskError::Failed { name, source }),
        Err(panic) => Err(TaskError::Panicked(panic)),
    }
}

/// Starts jobs, at most so many at a time.
#[derive(Debug, Clone)]
pub struct Jobs {
    room: Arc<Semaphore>,
    stop: Stop,
}

/// There is no room for another job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many jobs as allowed are running")]
pub struct Full;

impl Jobs {
    /// Room for `limit` jobs that end with `stop`.
    #[must_use]
    pub fn new(limit: usize, stop: Stop) -> Self {
        Self {
            room: Arc::new(Semaphore::new(limit)),
            stop,
        }
    }

    /// Starts a job.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) -> Result<(), Full> {
        let room = Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| Full)?;
        let stop = self.stop.clone();
        let bounded = async move {
            let _room = room;
            tokio::select! {
                () = stop.wait() => {}
                () = job => {}
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is task.rs; a job concerns its request alone"
        )]
        drop(tokio::spawn(bounded));
        Ok(())
    }
}

/// Runs `work` where it may take long without holding up anybody else.
///
/// # Errors
/// When it panicked, or the runtime is shutting down.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_task_ends_the_hub_and_stops_the_others() {
        let mut tasks = Tasks::default();
        let stop = tasks.stop();
        tasks.spawn("patient", async move {
            stop.wait().await;
            Ok(())
        });
        tasks.spawn("broken", async { anyhow::bail!("no disk") });
        let error = tasks.run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "the broken task failed");
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_missed() {
        let mut tasks = Tasks::default();
        tasks.spawn("short", async { Ok(()) });
        assert!(matches!(
            tasks.run(std::future::pending()).await,
            Err(TaskError::Ended { name: "short" })
        ));
    }

    #[tokio::test]
    async fn a_stop_ends_all_without_error() {
        let mut tasks = Tasks::default();
        let stop = tasks.stop();
        tasks.spawn("patient", async move {
            stop.wait().await;
            Ok(())
        });
        assert!(tasks.run(async {}).await.is_ok());
    }

    #[tokio::test]
    async fn jobs_beyond_the_limit_are_refused_and_room_comes_back() {
        let tasks = Tasks::default();
        let jobs = Jobs::new(1, tasks.stop());
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel::<()>();
        jobs.spawn(async move {
            let _ = ended.await;
            drop(done);
        })
        .unwrap();
        assert_eq!(jobs.spawn(async {}), Err(Full));
        drop(end);
        let _ = is_done.await;
        let free = async {
            while jobs.spawn(async {}).is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), free)
            .await
            .expect("the room comes back");
    }
}
