//! The status of a placement.

use skein_schema::kind::placement::{
    CONDITION_MISCONFIGURED, CONDITION_SATISFIED, DecisionGroupStatus, PlacementStatus,
};
use skein_schema::object::ObjectKey;

use super::condition;
use crate::stamp::kubernetes_time;
use crate::world::decision::{key, slices_of};
use crate::world::{DecisionRecord, World};

/// What a placement has decided; nothing while it has not.
pub(super) fn status(world: &World, placement: &ObjectKey) -> Option<PlacementStatus> {
    let record = world.decision(placement)?;
    let DecisionRecord { decided, .. } = record;
    let satisfied = &decided.satisfied;
    let kept = decided.kept_because.as_deref();
    let conditions = vec![
        condition(
            CONDITION_SATISFIED,
            truth(satisfied.status),
            &satisfied.reason,
            satisfied.message.clone(),
            record.satisfied_since,
        ),
        condition(
            CONDITION_MISCONFIGURED,
            truth(kept.is_some()),
            if kept.is_some() {
                "Misconfigured"
            } else {
                "Succeedconfigured"
            },
            kept.map_or_else(
                || "The placement can be carried out as it is written.".to_owned(),
                |why| format!("The decision before is kept: {why}."),
            ),
            record.kept_since,
        ),
    ];
    let mut slices = slices_of(decided).into_iter().zip(1..).peekable();
    let groups = decided.groups.iter().enumerate().map(|(index, group)| {
        let own = std::iter::from_fn(|| slices.next_if(|(slice, _)| slice.group == index));
        let names = own.filter_map(|(_, number)| key(placement, number));
        DecisionGroupStatus {
            decision_group_index: count(index),
            decision_group_name: group.name.clone(),
            decisions: names.map(|key| key.name.to_string()).collect(),
            cluster_count: count(group.clusters.len()),
        }
    });
    Some(PlacementStatus {
        number_of_selected_clusters: count(record.clusters().count()),
        decision_groups: groups.collect(),
        conditions,
        last_score_update_time: Some(kubernetes_time(record.time)),
    })
}

fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
