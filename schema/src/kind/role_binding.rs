//! `RoleBinding` of `rbac.authorization.k8s.io/v1`: gives the rights of a role in one namespace.

use crate::decode::FieldError;
use crate::decode::shape::Field;
use crate::kind::admission::{Admitted, none_or};
use crate::kind::rbac::{RBAC_GROUP, ROLE_REF, SUBJECTS, check_role_ref, check_subjects};
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::{KindName, Resource};
use k8s_openapi::api::rbac::v1::{RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// Gives users and groups the rights of a Role of its namespace, or of a ClusterRole within its
/// namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleBinding {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// To whom; kinds `User` and `Group`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
    /// Which role; never changes. A role that does not exist gives nothing until it does.
    #[serde(default)]
    pub role_ref: RoleRef,
}

impl_kind!(
    RoleBinding,
    KindInfo {
        name: KindName::RoleBinding,
        group: RBAC_GROUP,
        version: "v1",
        retired: &[],
        kind: "RoleBinding",
        plural: "rolebindings",
        singular: "rolebinding",
        short_names: &[],
        scope: Scope::Namespaced,
        name_rule: NameRule::Parts,
        fields: &[
            Field::new("subjects", SUBJECTS),
            Field::new("roleRef", ROLE_REF).required(),
        ],
    }
);

/// Checks a new or changed binding. Whether its author may give the role is up to the access rules.
pub(crate) fn admit(
    binding: RoleBinding,
    old: Option<&RoleBinding>,
) -> Result<Admitted, Vec<FieldError>> {
    let mut errors = check_role_ref(
        &binding.role_ref,
        old.map(|old| &old.role_ref),
        &["Role", "ClusterRole"],
    );
    errors.extend(check_subjects(&binding.subjects));
    none_or(errors)?;
    Ok(Admitted::without_reviews(Resource::from(binding)))
}
