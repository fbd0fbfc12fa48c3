//! The status of a placement.

use skein_schema::kind::placement::{
    CONDITION_MISCONFIGURED, CONDITION_SATISFIED, DecisionGroupStatus, PlacementStatus,
};
use skein_schema::object::ObjectKey;

use super::condition;
use crate::placement::group::DECISIONS_MAX;
use crate::stamp::kubernetes_time;
use crate::world::decision::key;
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
    let mut number = 0;
    let groups = decided.groups.iter().zip(0..).map(|(group, index)| {
        let slices = group.clusters.len().div_ceil(DECISIONS_MAX).max(1);
        let names = (number + 1..=number + slices).filter_map(|number| key(placement, number));
        number += slices;
        DecisionGroupStatus {
            decision_group_index: index,
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
