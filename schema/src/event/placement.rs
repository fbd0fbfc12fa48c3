//! What a placement has decided: whom it chose, whom not, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::kind::managed_cluster::TaintEffect;
use crate::name::{ClusterName, ObjectName};
use crate::object::ObjectKey;

/// Data of [`super::Event::PlacementDecided`]: the whole decision, so that one step of the ledger
/// leads from one decision to the next, never over a moment without clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementDecided {
    /// Which placement.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Uuid,
    /// The generation of its spec that was decided upon.
    pub generation: i64,
    /// The sets it chose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<ObjectName>,
    /// The chosen clusters, in their groups.
    pub groups: Vec<DecidedGroup>,
    /// The other clusters of the sets, by the reason why they are not chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<DecidedAgainst>,
    /// How the clusters that could have been chosen were scored. Left out where a record would be
    /// too large for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<DecidedScores>,
    /// Scores of add-ons that were too old to count, and whose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<ExpiredScore>,
    /// Whether it has what it asks for.
    pub satisfied: Satisfied,
    /// Why the decision before it was kept instead of making one, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_because: Option<String>,
    /// When it may decide otherwise although nothing has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck_at: Option<Timestamp>,
}

/// One group of chosen clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedGroup {
    /// Its name, empty for the clusters of no named group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its clusters, in the order of their decisions, each with the sum of its weighted scores.
    pub clusters: Vec<(ClusterName, i64)>,
}

/// Clusters that were not chosen for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedAgainst {
    /// The reason.
    pub reason: Reason,
    /// The clusters, in the order of their names.
    pub clusters: Vec<ClusterName>,
}

/// Why a cluster is not chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Reason {
    /// It meets none of the predicates.
    Predicate,
    /// It has a taint that is not tolerated.
    Taint {
        /// The taint's key.
        key: String,
        /// The taint's effect.
        effect: TaintEffect,
    },
    /// One more of its topology would break a spread constraint.
    Spread {
        /// The constraint's key.
        topology_key: String,
    },
    /// There are enough better ones.
    Rank,
}

/// The scores of one prioritizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedScores {
    /// Its name: `Balance`, `AddOn/<resource>/<score>`.
    pub prioritizer: String,
    /// What its scores are multiplied with.
    pub weight: i64,
    /// One score for each cluster that is chosen or was left out for its rank or the spread, in the
    /// order of their names. `null` is no score, and counts as 0.
    pub scores: Vec<Option<i64>>,
}

/// A score that was too old to count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiredScore {
    /// Of which cluster.
    pub cluster: ClusterName,
    /// Which prioritizer.
    pub prioritizer: String,
}

/// OCM's condition `PlacementSatisfied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Satisfied {
    /// Whether it is.
    pub status: bool,
    /// The condition's reason.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}
