//! `RolloutStrategy` of `cluster.open-cluster-management.io/v1alpha1`: in which steps clusters get
//! something new.
//!
//! No kind of its own but a part of others. The hub's `rollout` module decides by it.

mod duration;
mod int_or_percent;

pub use duration::{MAX_ROLLOUT_SECONDS, ProgressDeadline, RolloutDuration, RolloutDurationError};
pub use int_or_percent::{IntOrPercent, IntOrPercentError};

pub(crate) use int_or_percent::{MAX_NUMBER, MAX_PERCENT};

use crate::decode::shape::{Field, Format, Shape};
use crate::decode::{FieldError, Problem, decode_part};
use crate::kind::admission::none_or;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// In which steps clusters get something new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStrategy {
    /// Which of the three fields below counts.
    #[serde(rename = "type", default)]
    pub kind: RolloutType,
    /// Knobs of [`RolloutType::All`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<RolloutAll>,
    /// Knobs of [`RolloutType::Progressive`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressive: Option<RolloutProgressive>,
    /// Knobs of [`RolloutType::ProgressivePerGroup`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressive_per_group: Option<RolloutProgressivePerGroup>,
}

/// How a rollout goes through the clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RolloutType {
    /// All clusters at once.
    #[default]
    All,
    /// Some clusters at a time, by name.
    Progressive,
    /// One decision group after another.
    ProgressivePerGroup,
}

/// Knobs of a rollout to all clusters at once. Only the deadline matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutAll {
    /// What all types have.
    #[serde(flatten)]
    pub config: RolloutConfig,
}

/// Knobs of a rollout to some clusters at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutProgressive {
    /// What all types have.
    #[serde(flatten)]
    pub config: RolloutConfig,
    /// Groups that come first, one after another, whole, and tolerate no failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mandatory_decision_groups: Vec<MandatoryDecisionGroup>,
    /// Clusters at a time, a share being one of the clusters outside the mandatory groups; all if
    /// absent. Decoding refuses zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<IntOrPercent>,
}

/// Knobs of a rollout to one decision group after another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutProgressivePerGroup {
    /// What all types have.
    #[serde(flatten)]
    pub config: RolloutConfig,
    /// Groups that come first, one after another, and tolerate no failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mandatory_decision_groups: Vec<MandatoryDecisionGroup>,
}

/// Knobs that all types of rollouts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutConfig {
    /// How long a cluster must have been successful until it makes room for the next; no matter
    /// for [`RolloutType::All`].
    #[serde(default)]
    pub min_success_time: RolloutDuration,
    /// How long a cluster may progress or fail until it has timed out.
    #[serde(default)]
    pub progress_deadline: ProgressDeadline,
    /// Failed and timed-out clusters that are tolerated, of all clusters or, per group, of the
    /// group; no matter for [`RolloutType::All`] and in mandatory groups.
    #[serde(default)]
    pub max_failures: IntOrPercent,
}

/// Names decision groups of the placement.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MandatoryDecisionGroup {
    /// All groups of this name; if empty, the index counts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group_name: String,
    /// The group with this index, never negative; absent is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_index: Option<i32>,
}

impl RolloutStrategy {
    /// Decodes a strategy on its own; `path` is where it stands, for the errors.
    ///
    /// # Errors
    /// Every problem found, in document order; never an empty list.
    pub fn decode(path: &str, value: Value) -> Result<Self, Vec<FieldError>> {
        let strategy: Self = decode_part(path, value, ROLLOUT_STRATEGY)?;
        none_or(strategy.check(path))?;
        Ok(strategy)
    }

    /// What a decoded strategy must not say; `path` is where it stands.
    ///
    /// Knobs of another progressive type than the chosen one would have no effect. The likely
    /// mistake behind it, a forgotten `type`, would roll out to all clusters at once. `all` is let
    /// pass: OCM's defaults leave it behind when the type changes.
    #[must_use]
    pub fn check(&self, path: &str) -> Vec<FieldError> {
        let blocks = [
            (
                "progressive",
                self.progressive.is_some(),
                RolloutType::Progressive,
            ),
            (
                "progressivePerGroup",
                self.progressive_per_group.is_some(),
                RolloutType::ProgressivePerGroup,
            ),
        ];
        let idle = blocks
            .into_iter()
            .filter(|(_, present, kind)| *present && *kind != self.kind);
        idle.map(|(field, _, kind)| {
            let rule = format!("it has no effect with type {:?}", self.kind);
            let hint = format!("write type: {kind:?}, or remove the field");
            FieldError::new(format!("{path}.{field}"), Problem::Forbidden { rule }).with_hint(&hint)
        })
        .collect()
    }

    /// The common knobs of the chosen type, OCM's defaults if its field is absent.
    #[must_use]
    pub fn config(&self) -> RolloutConfig {
        let config = match self.kind {
            RolloutType::All => self.all.as_ref().map(|all| &all.config),
            RolloutType::Progressive => self.progressive.as_ref().map(|knobs| &knobs.config),
            RolloutType::ProgressivePerGroup => self
                .progressive_per_group
                .as_ref()
                .map(|knobs| &knobs.config),
        };
        config.cloned().unwrap_or_default()
    }

    /// The mandatory groups of the chosen type, in the order in which they are written.
    #[must_use]
    pub fn mandatory_decision_groups(&self) -> &[MandatoryDecisionGroup] {
        match self.kind {
            RolloutType::All => &[],
            RolloutType::Progressive => self
                .progressive
                .as_ref()
                .map_or(&[], |knobs| &knobs.mandatory_decision_groups),
            RolloutType::ProgressivePerGroup => self
                .progressive_per_group
                .as_ref()
                .map_or(&[], |knobs| &knobs.mandatory_decision_groups),
        }
    }
}

/// Fields of a strategy, with OCM's defaults and tighter limits.
pub(crate) const ROLLOUT_STRATEGY: &[Field] = &[
    Field::new(
        "type",
        Shape::one_of(&["All", "Progressive", "ProgressivePerGroup"]),
    )
    .default_text("All"),
    Field::new(
        "all",
        Shape::Object(&[MIN_SUCCESS_TIME, PROGRESS_DEADLINE, MAX_FAILURES]),
    ),
    Field::new(
        "progressive",
        Shape::Object(&[
            MIN_SUCCESS_TIME,
            PROGRESS_DEADLINE,
            MAX_FAILURES,
            MANDATORY_DECISION_GROUPS,
            Field::new("maxConcurrency", Shape::IntOrPercent { min: 1 }),
        ]),
    ),
    Field::new(
        "progressivePerGroup",
        Shape::Object(&[
            MIN_SUCCESS_TIME,
            PROGRESS_DEADLINE,
            MAX_FAILURES,
            MANDATORY_DECISION_GROUPS,
        ]),
    ),
];

const MIN_SUCCESS_TIME: Field = Field::new(
    "minSuccessTime",
    Shape::text(0, usize::MAX, Format::RolloutDuration),
)
.default_text("0");

const PROGRESS_DEADLINE: Field = Field::new(
    "progressDeadline",
    Shape::text(0, usize::MAX, Format::ProgressDeadline),
)
.default_text("None");

const MAX_FAILURES: Field =
    Field::new("maxFailures", Shape::IntOrPercent { min: 0 }).default_integer(0);

const MANDATORY_DECISION_GROUPS: Field = Field::new(
    "mandatoryDecisionGroups",
    Shape::list(&Shape::Object(&[
        Field::new("groupName", Shape::ANY_TEXT),
        Field::new(
            "groupIndex",
            Shape::Integer {
                min: 0,
                max: i32::MAX as i64,
            },
        ),
    ])),
);

#[cfg(test)]
mod tests;
