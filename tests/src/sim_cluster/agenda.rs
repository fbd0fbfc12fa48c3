//! What the controllers have to do, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::store::ObjectKey;

/// One piece of a controller's work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Garbage collector: the owner with this uid is gone, look after its dependents.
    OwnerGone(Box<str>),
    /// Garbage collector: does this object still have an owner?
    CheckOwners(ObjectKey),
    /// Garbage collector: this object waits for its dependents, to delete or to orphan them.
    WaitForDependents(ObjectKey),
    /// Namespace controller: empty this namespace.
    EmptyNamespace(Box<str>),
    /// CRD controller: serve the kind, or finish its deletion.
    Serve(ObjectKey),
    /// Workload controllers and kubelet: bring this object closer to what it says.
    Advance(ObjectKey),
    /// Kubelet: the time that this object's pods need has passed.
    Ripen(ObjectKey),
}

/// Tasks by time. A task is planned once: the earlier time counts.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    due: BTreeSet<(Timestamp, u64, Task)>,
    planned: BTreeMap<Task, (Timestamp, u64)>,
    counter: u64,
}

impl Agenda {
    /// Plans a task.
    pub(crate) fn plan(&mut self, task: Task, at: Timestamp) {
        if let Some((time, order)) = self.planned.get(&task).copied() {
            if time <= at {
                return;
            }
            self.due.remove(&(time, order, task.clone()));
        }
        self.counter += 1;
        self.planned.insert(task.clone(), (at, self.counter));
        self.due.insert((at, self.counter, task));
    }

    /// When the first task is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Takes the first task that is due.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Task)> {
        if self.next()? > now {
            return None;
        }
        let (at, _, task) = self.due.pop_first()?;
        self.planned.remove(&task);
        Some((at, task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_planned_once_at_its_earliest_time() {
        let second = |n| Timestamp::from_second(n).expect("in range");
        let mut agenda = Agenda::default();
        agenda.plan(Task::OwnerGone("a".into()), second(5));
        agenda.plan(Task::OwnerGone("b".into()), second(4));
        agenda.plan(Task::OwnerGone("a".into()), second(3));
        agenda.plan(Task::OwnerGone("a".into()), second(9));
        assert_eq!(agenda.next(), Some(second(3)));
        assert_eq!(agenda.take_due(second(2)), None);
        assert_eq!(
            agenda.take_due(second(9)),
            Some((second(3), Task::OwnerGone("a".into())))
        );
        assert_eq!(
            agenda.take_due(second(9)),
            Some((second(4), Task::OwnerGone("b".into())))
        );
        assert_eq!(agenda.take_due(second(9)), None);
    }
}
