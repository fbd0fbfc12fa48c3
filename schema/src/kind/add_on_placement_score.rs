//! `AddOnPlacementScore` of `cluster.open-cluster-management.io/v1alpha1`: scores of one cluster
//! that somebody else than the hub computes.

use crate::decode::shape::{Field, Format, Shape};
use crate::decode::{FieldError, Problem};
use crate::kind::admission::Admitted;
use crate::kind::condition::CONDITIONS;
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::{KindName, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use serde::{Deserialize, Serialize};

/// Scores of the cluster whose namespace it is in. It has no spec: the scores are its status, and
/// whoever computes them writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AddOnPlacementScore {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AddOnPlacementScoreStatus>,
}

/// Scores, and until when they are good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOnPlacementScoreStatus {
    /// What whoever computes the scores says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The scores, one per name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<AddOnPlacementScoreItem>,
    /// Until when all of them are good, that moment included; for ever if absent. After that they
    /// count as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Time>,
}

/// One score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddOnPlacementScoreItem {
    /// Its name.
    pub name: String,
    /// From -100 to 100; more is better.
    pub value: i32,
}

/// Most scores of one object: the hub looks through them for every placement that counts one.
pub const SCORES_MAX: usize = 100;

/// Checks a new or changed object.
pub(crate) fn admit(score: AddOnPlacementScore) -> Result<Admitted, Vec<FieldError>> {
    let scores = score
        .status
        .as_ref()
        .map_or(0, |status| status.scores.len());
    if scores > SCORES_MAX {
        let rule = format!("an AddOnPlacementScore has at most {SCORES_MAX} scores");
        let problem = Problem::Forbidden { rule };
        return Err(vec![FieldError::new("status.scores", problem)]);
    }
    Ok(Admitted::without_reviews(Resource::from(score)))
}

impl_kind!(
    AddOnPlacementScore,
    KindInfo {
        name: KindName::AddOnPlacementScore,
        group: "cluster.open-cluster-management.io",
        version: "v1alpha1",
        retired: &[],
        kind: "AddOnPlacementScore",
        plural: "addonplacementscores",
        singular: "addonplacementscore",
        short_names: &[],
        scope: Scope::Namespaced,
        name_rule: NameRule::Subdomain { max: 253 },
        fields: &[Field::new(
            "status",
            Shape::Object(&[
                Field::new("conditions", CONDITIONS),
                Field::new(
                    "scores",
                    Shape::set(
                        &Shape::Object(&[
                            Field::new("name", Shape::text(1, 253, Format::Any)).required(),
                            Field::new(
                                "value",
                                Shape::Integer {
                                    min: -100,
                                    max: 100
                                }
                            )
                            .required(),
                        ]),
                        &["name"]
                    )
                ),
                Field::new("validUntil", Shape::Time),
            ])
        )],
    }
);
