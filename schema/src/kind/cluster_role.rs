//! `ClusterRole` of `rbac.authorization.k8s.io/v1`: rights to be given in a namespace or everywhere.

use crate::decode::shape::{Field, Shape};
use crate::decode::{FieldError, Problem};
use crate::kind::admission::{Admitted, none_or};
use crate::kind::label_selector::Selector;
use crate::kind::object_meta::LABEL_SELECTOR;
use crate::kind::rbac::{RBAC_GROUP, RULES, check_rules};
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::{KindName, Resource};
use k8s_openapi::api::rbac::v1::{AggregationRule, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// Rights, for those whom a RoleBinding gives them to in its namespace or a ClusterRoleBinding
/// everywhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRole {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What may be done; they add up. With an aggregation rule they count for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<PolicyRule>,
    /// The role has the rules of all ClusterRoles whose labels match one of these selectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_rule: Option<AggregationRule>,
}

impl_kind!(
    ClusterRole,
    KindInfo {
        name: KindName::ClusterRole,
        group: RBAC_GROUP,
        version: "v1",
        retired: &[],
        kind: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        short_names: &[],
        scope: Scope::Cluster,
        name_rule: NameRule::Parts,
        fields: &[
            Field::new("rules", RULES),
            Field::new(
                "aggregationRule",
                Shape::Object(&[Field::new(
                    "clusterRoleSelectors",
                    Shape::list(&LABEL_SELECTOR)
                )]),
            ),
        ],
    }
);

/// Checks a new or changed role. Whether its author may give such rights is up to the access rules.
pub(crate) fn admit(role: ClusterRole) -> Result<Admitted, Vec<FieldError>> {
    let mut errors = check_rules(&role.rules, false);
    if let Some(rule) = &role.aggregation_rule {
        let path = "aggregationRule.clusterRoleSelectors";
        let selectors = rule.cluster_role_selectors.as_deref().unwrap_or_default();
        if selectors.is_empty() {
            let error = FieldError::new(path, Problem::Required);
            errors.push(error.with_hint("without a selector the role would never have a rule"));
        }
        for (index, selector) in selectors.iter().enumerate() {
            let here = format!("{path}[{index}]");
            errors.extend(Selector::new(&here, selector).err().unwrap_or_default());
        }
    }
    none_or(errors)?;
    Ok(Admitted::without_reviews(Resource::from(role)))
}
