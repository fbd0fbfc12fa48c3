//! Conditions: how they are shaped on the wire, and how they are read and set.

use crate::decode::shape::{Field, Format, Shape};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// A list of conditions with one entry per type.
pub const CONDITIONS: Shape = Shape::set(&Shape::Object(CONDITION), &["type"]);

const CONDITION: &[Field] = &[
    Field::new("lastTransitionTime", Shape::Time).required(),
    Field::new("message", Shape::text(0, 32_768, Format::Any)).required(),
    Field::new(
        "observedGeneration",
        Shape::Integer {
            min: 0,
            max: i64::MAX,
        },
    ),
    Field::new("reason", Shape::text(1, 1024, Format::ConditionReason)).required(),
    Field::new("status", Shape::one_of(&["True", "False", "Unknown"])).required(),
    Field::new("type", Shape::text(0, 316, Format::QualifiedName)).required(),
];

/// The condition of a type, if there is one.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Status text (`True`, `False`, `Unknown`) of the condition of a type, if there is one.
#[must_use]
pub fn status<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a str> {
    find(conditions, kind).map(|condition| condition.status.as_str())
}

/// Sets a condition by type, as Kubernetes does: `lastTransitionTime` moves only when the status
/// changes. Returns whether anything changed.
pub fn set(conditions: &mut Vec<Condition>, mut wanted: Condition) -> bool {
    let Some(found) = conditions
        .iter_mut()
        .find(|condition| condition.type_ == wanted.type_)
    else {
        conditions.push(wanted);
        return true;
    };
    if found.status == wanted.status {
        wanted.last_transition_time = found.last_transition_time.clone();
    }
    let changed = *found != wanted;
    *found = wanted;
    changed
}
