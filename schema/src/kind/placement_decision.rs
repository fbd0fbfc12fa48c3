//! `PlacementDecision` of `cluster.open-cluster-management.io/v1beta1`: clusters that a placement
//! has chosen.
//!
//! The hub makes them out of its decisions; nobody else writes them.

use crate::decode::shape::{Field, Format, Shape};
use crate::decode::{FieldError, Problem};
use crate::kind::admission::Admitted;
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::KindName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// Up to 100 decisions of one group of a placement. All PlacementDecisions of a placement change
/// in one step of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlacementDecision {
    /// Standard metadata; the labels name placement and group.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PlacementDecisionStatus>,
}

/// Decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementDecisionStatus {
    /// In the order that the placement asks for.
    #[serde(default)]
    pub decisions: Vec<ClusterDecision>,
}

/// One chosen cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDecision {
    /// Which.
    pub cluster_name: String,
    /// Empty, as in OCM; `skein explain placement` tells why.
    #[serde(default)]
    pub reason: String,
    /// The sum of its weighted scores when it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
}

impl_kind!(
    PlacementDecision,
    KindInfo {
        name: KindName::PlacementDecision,
        group: "cluster.open-cluster-management.io",
        version: "v1beta1",
        retired: &[],
        kind: "PlacementDecision",
        plural: "placementdecisions",
        singular: "placementdecision",
        short_names: &[],
        scope: Scope::Namespaced,
        name_rule: NameRule::Subdomain { max: 253 },
        fields: &[Field::new(
            "status",
            Shape::Object(&[Field::new(
                "decisions",
                Shape::list(&Shape::Object(&[
                    Field::new("clusterName", Shape::text(1, 63, Format::Label)).required(),
                    Field::new("reason", Shape::ANY_TEXT).required(),
                    Field::new(
                        "score",
                        Shape::Integer {
                            min: i64::MIN,
                            max: i64::MAX
                        }
                    ),
                ]))
            )
            .required()])
        )],
    }
);

/// Refuses every such object: they are made, not written.
pub(crate) fn admit() -> Result<Admitted, Vec<FieldError>> {
    let rule = "the hub makes PlacementDecisions out of its decisions".to_owned();
    let error = FieldError::new("kind", Problem::Forbidden { rule });
    Err(vec![error.with_hint("apply a Placement instead")])
}
