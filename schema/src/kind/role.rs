//! `Role` of `rbac.authorization.k8s.io/v1`: rights in one namespace.

use crate::decode::FieldError;
use crate::decode::shape::Field;
use crate::kind::admission::{Admitted, none_or};
use crate::kind::rbac::{RBAC_GROUP, RULES, check_rules};
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::{KindName, Resource};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// Rights in its namespace, for those whom a RoleBinding there gives them to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What may be done; they add up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<PolicyRule>,
}

impl_kind!(
    Role,
    KindInfo {
        name: KindName::Role,
        group: RBAC_GROUP,
        version: "v1",
        retired: &[],
        kind: "Role",
        plural: "roles",
        singular: "role",
        short_names: &[],
        scope: Scope::Namespaced,
        name_rule: NameRule::Parts,
        fields: &[Field::new("rules", RULES)],
    }
);

/// Checks a new or changed role. Whether its author may give such rights is up to the access rules.
pub(crate) fn admit(role: Role) -> Result<Admitted, Vec<FieldError>> {
    none_or(check_rules(&role.rules, true))?;
    Ok(Admitted::without_reviews(Resource::from(role)))
}
