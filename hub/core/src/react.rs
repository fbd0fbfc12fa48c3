//! What follows from what has happened, without anybody asking for it.

use jiff::Timestamp;
use skein_schema::event::Event;
use skein_schema::name::ClusterName;
use skein_schema::resource::KindName;

use crate::decide::Decision;
use crate::ledger::Stored;
use crate::observed::{Observed, ObservedChange};
use crate::world::World;

mod bootstrap;
mod deletion;

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub enum Trigger<'a> {
    /// This hub begins to lead: whatever a hub before it left undone is due.
    Started,
    /// A record was folded into the world.
    Recorded(&'a Stored),
    /// An agent reported, and that was folded into what is observed.
    Reported(&'a ClusterName, &'a [ObservedChange]),
}

/// What is to be recorded because of `trigger`, which both folds include. Recording it and asking
/// again with that record finds no decision twice.
#[must_use]
pub fn after(
    world: &World,
    observed: &Observed,
    trigger: &Trigger<'_>,
    now: Timestamp,
) -> Vec<Decision> {
    match trigger {
        Trigger::Started => {
            let mut decisions = bootstrap::missing(world, now);
            decisions.extend(deletion::all_due(world, observed));
            decisions
        }
        Trigger::Recorded(stored) => stored
            .record
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Deleted(deleted) if deleted.key.kind == KindName::ManifestWork => {
                    ClusterName::new(deleted.key.workspace.as_ref()?).ok()
                }
                _ => None,
            })
            .collect::<std::collections::BTreeSet<_>>()
            .iter()
            .filter_map(|cluster| deletion::of_empty_cluster(world, cluster))
            .collect(),
        Trigger::Reported(cluster, changes) => changes
            .iter()
            .filter_map(|change| match change {
                ObservedChange::WorkRemoved { name, uid } => {
                    deletion::of_removed_work(world, cluster, name, *uid)
                }
                ObservedChange::Cluster | ObservedChange::Work { .. } => None,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
