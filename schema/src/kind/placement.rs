//! `Placement` of `cluster.open-cluster-management.io/v1beta1`: chooses clusters for a workspace.
//!
//! The types only, and what may be written. What a field means for the choice stands where the
//! choice is made, in the hub's core.

mod shape;

use crate::kind::managed_cluster::TaintEffect;
use crate::kind::rollout_strategy::IntOrPercent;
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::KindName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    Condition, LabelSelector, LabelSelectorRequirement, ObjectMeta, Time,
};
use serde::{Deserialize, Serialize};

/// Annotation that keeps a placement's decisions as they are while it is `true` (OCM's).
pub const SCHEDULING_DISABLE_ANNOTATION: &str =
    "cluster.open-cluster-management.io/experimental-scheduling-disable";
/// Label of a PlacementDecision: its placement.
pub const PLACEMENT_LABEL: &str = "cluster.open-cluster-management.io/placement";
/// Label of a PlacementDecision: the name of its decision group, empty for the group of the rest.
pub const DECISION_GROUP_NAME_LABEL: &str =
    "cluster.open-cluster-management.io/decision-group-name";
/// Label of a PlacementDecision: the index of its decision group, from 0.
pub const DECISION_GROUP_INDEX_LABEL: &str =
    "cluster.open-cluster-management.io/decision-group-index";
/// Condition: as many clusters are chosen as were asked for.
pub const CONDITION_SATISFIED: &str = "PlacementSatisfied";
/// Condition: the placement cannot be carried out as it is written.
pub const CONDITION_MISCONFIGURED: &str = "PlacementMisconfigured";

/// Chooses clusters out of the sets that are bound to its namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// How to choose.
    #[serde(default)]
    pub spec: PlacementSpec,
    /// What was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PlacementStatus>,
}

impl_kind!(
    Placement,
    KindInfo {
        name: KindName::Placement,
        group: "cluster.open-cluster-management.io",
        version: "v1beta1",
        retired: &[],
        kind: "Placement",
        plural: "placements",
        singular: "placement",
        short_names: &[],
        scope: Scope::Namespaced,
        name_rule: NameRule::Label,
        fields: shape::FIELDS,
    }
);

/// How to choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    /// Only from these of the bound sets; from all of them if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_sets: Vec<String>,
    /// How many clusters at most; all that may be chosen if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_clusters: Option<i32>,
    /// A cluster must meet one of these; any cluster does if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicates: Vec<ClusterPredicate>,
    /// Which clusters are better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prioritizer_policy: Option<PrioritizerPolicy>,
    /// How the chosen clusters are spread over topologies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_policy: Option<SpreadPolicy>,
    /// Which taints do not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// How the chosen clusters are put into groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_strategy: Option<DecisionStrategy>,
    /// How decisions are ordered within their group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<SortBy>,
    /// How often scores are recorded anew while the choice stays, such as `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_rate_limit: Option<String>,
}

/// One way for a cluster to be eligible.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPredicate {
    /// All parts that are there must match.
    #[serde(default)]
    pub required_cluster_selector: ClusterSelector,
}

/// Selects clusters by what is known of them; without any part, every cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSelector {
    /// By labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// By claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_selector: Option<ClusterClaimSelector>,
    /// By expressions over the whole object. Not in the selectors of decision groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel_selector: Option<ClusterCelSelector>,
}

/// Selects clusters by their claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterClaimSelector {
    /// All must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// Selects clusters by CEL expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCelSelector {
    /// All must be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cel_expressions: Vec<String>,
}

/// Which clusters are better.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrioritizerPolicy {
    /// Whether the defaults count beside what is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<PrioritizerMode>,
    /// What counts, and how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<PrioritizerConfig>,
}

/// Whether the default prioritizers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrioritizerMode {
    /// Balance and Steady count once each; what is listed adds to them or replaces their weight.
    #[default]
    Additive,
    /// Only what is listed counts.
    Exact,
}

/// One thing that makes clusters better or worse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrioritizerConfig {
    /// Which score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_coordinate: Option<ScoreCoordinate>,
    /// Its weight, from -10 to 10; 1 if absent, and 0 to leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
}

/// Names a score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoreCoordinate {
    /// Where the score comes from.
    #[serde(default, rename = "type")]
    pub kind: ScoreSource,
    /// Name of a score that Skein computes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub built_in: String,
    /// Name of a score that an AddOnPlacementScore holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_on: Option<AddOnScore>,
}

/// Where a score comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScoreSource {
    /// The hub computes it.
    #[default]
    BuiltIn,
    /// An AddOnPlacementScore holds it.
    AddOn,
}

/// Names a score of AddOnPlacementScores.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOnScore {
    /// Name of the AddOnPlacementScore in the cluster's namespace.
    pub resource_name: String,
    /// Name of the score in it.
    pub score_name: String,
}

/// How the chosen clusters are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpreadPolicy {
    /// The first counts most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread_constraints: Vec<SpreadConstraint>,
}

/// One rule of an even spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpreadConstraint {
    /// Label key or claim name; its values are the topologies.
    pub topology_key: String,
    /// What `topology_key` names.
    pub topology_key_type: TopologyKeyType,
    /// How many clusters more than in the topology with the fewest a topology may have; 1 if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_skew: Option<i32>,
    /// What to do when that cannot be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unsatisfiable: Option<WhenUnsatisfiable>,
}

/// What a topology key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopologyKeyType {
    /// A label of the cluster.
    Label,
    /// A claim of the cluster.
    Claim,
}

/// What to do when a spread cannot be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenUnsatisfiable {
    /// Choose all the same, those first that spread best.
    #[default]
    ScheduleAnyway,
    /// Choose fewer clusters.
    DoNotSchedule,
}

/// Says which taints do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; any if empty, which needs operator `Exists`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// How the value is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint, with `Equal`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Effect of the taint; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// How long the taint does not matter, in seconds from when it was added; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares a taint's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TolerationOperator {
    /// The values are equal.
    #[default]
    Equal,
    /// Any value will do.
    Exists,
}

/// How the chosen clusters are put into groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionStrategy {
    /// By selectors and size.
    #[serde(default)]
    pub group_strategy: GroupStrategy,
}

/// Groups by selectors and size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStrategy {
    /// A cluster goes to the first group that selects it; what is left forms a group without a
    /// name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decision_groups: Vec<DecisionGroup>,
    /// Largest group, as a number or as a share of all chosen clusters; everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters_per_decision_group: Option<IntOrPercent>,
}

/// A named group of decisions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionGroup {
    /// Its name.
    #[serde(default)]
    pub group_name: String,
    /// Which of the chosen clusters it takes.
    #[serde(default)]
    pub group_cluster_selector: GroupClusterSelector,
}

/// Selects clusters for a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupClusterSelector {
    /// By labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// By claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_selector: Option<ClusterClaimSelector>,
}

/// How decisions are ordered within their group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortBy {
    /// By the name of the cluster.
    #[default]
    ClusterName,
    /// The best score first, then by name.
    Score,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// How many clusters are chosen.
    #[serde(default)]
    pub number_of_selected_clusters: i32,
    /// The groups, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decision_groups: Vec<DecisionGroupStatus>,
    /// [`CONDITION_SATISFIED`] and [`CONDITION_MISCONFIGURED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When scores were last recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_score_update_time: Option<Time>,
}

/// What one group of decisions holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionGroupStatus {
    /// Its index, from 0.
    #[serde(default)]
    pub decision_group_index: i32,
    /// Its name, empty for the group of the rest.
    #[serde(default)]
    pub decision_group_name: String,
    /// Names of its PlacementDecisions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<String>,
    /// How many clusters it has.
    #[serde(default)]
    pub cluster_count: i32,
}
