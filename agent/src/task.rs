//! The agent's long tasks: each has a name, and none dies unseen.

use std::future::Future;

use tokio::task::{Id, JoinHandle, JoinSet};

/// Starts the one task that owns all others of an agent; its handle is what the agent's owner holds.
#[expect(
    clippy::disallowed_methods,
    reason = "the root of the agent's tasks; its end is what the handle waits for"
)]
pub(crate) fn root<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// A task that ended although the agent has not stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum TaskEnd<T> {
    /// It returned.
    Returned(&'static str, T),
    /// It panicked: a defect.
    Panicked(&'static str),
}

/// Named tasks that end with it.
#[derive(Debug)]
pub struct Tasks<T> {
    set: JoinSet<T>,
    names: Vec<(Id, &'static str)>,
}

impl<T: Send + 'static> Tasks<T> {
    /// No tasks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            set: JoinSet::new(),
            names: Vec::new(),
        }
    }

    /// Starts one.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = T> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.push((id, name));
    }

    /// The next one that ends; waits for ever when there is none.
    pub async fn ended(&mut self) -> TaskEnd<T> {
        match self.set.join_next_with_id().await {
            Some(Ok((id, value))) => TaskEnd::Returned(self.forget(id), value),
            Some(Err(error)) => TaskEnd::Panicked(self.forget(error.id())),
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, id: Id) -> &'static str {
        let place = self.names.iter().position(|(known, _)| *known == id);
        place.map_or("unnamed", |place| self.names.swap_remove(place).1)
    }

    /// Ends all and waits for them.
    pub async fn shutdown(&mut self) {
        self.set.shutdown().await;
        self.names.clear();
    }
}

impl<T: Send + 'static> Default for Tasks<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ends_and_panics_are_told_with_the_name() {
        let mut tasks = Tasks::new();
        tasks.spawn("one", async { 1 });
        assert_eq!(tasks.ended().await, TaskEnd::Returned("one", 1));
        tasks.spawn("two", async { panic!("on purpose") });
        assert_eq!(tasks.ended().await, TaskEnd::Panicked("two"));
    }
}
