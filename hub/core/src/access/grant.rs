//! Nobody gives rights that they do not have.
//!
//! As in Kubernetes: who makes or changes a role must have its rules, or the verb `escalate` on the
//! role; who makes or changes a binding must have the rules of its role where the binding gives
//! them, or the verb `bind` on the role. An aggregation rule can gather anything, so it takes every
//! right there is.

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use skein_schema::code::{Code, Refusal};
use skein_schema::kind::admission::Review;
use skein_schema::kind::cluster_role::ClusterRole;
use skein_schema::kind::rbac::{ALL, RBAC_GROUP, VERB_BIND, VERB_ESCALATE};
use skein_schema::resource::Resource;

use super::cover::{covers, describe};
use super::objects::Objects;
use super::rules::{Identity, Rules, members_of};

/// Rights that are named in a refusal, at most.
const NAMED: usize = 10;

/// Checks that a user may give what a role or binding gives. Other kinds give nothing.
///
/// # Errors
/// [`Code::Forbidden`] with the rights that are missing; [`Code::NotFound`] if the role does not
/// exist, so that nobody can tell what the binding will give.
pub fn check(
    objects: &Objects<'_>,
    rules: &Rules,
    identity: &Identity,
    new: &Resource,
    old: Option<&Resource>,
) -> Result<(), Refusal> {
    if identity.is_master() {
        return Ok(());
    }
    let giving = Giving {
        objects,
        rules,
        identity,
    };
    let namespace = new.namespace();
    match new {
        Resource::Role(role) => giving.role("roles", namespace, new.name(), &role.rules, false),
        Resource::ClusterRole(role) => {
            let gathered = |role: &ClusterRole| role.aggregation_rule.is_some();
            let before = matches!(old, Some(Resource::ClusterRole(old)) if gathered(old));
            let everything = before || gathered(role);
            giving.role("clusterroles", None, new.name(), &role.rules, everything)
        }
        Resource::RoleBinding(binding) => giving.binding(&binding.role_ref, namespace),
        Resource::ClusterRoleBinding(binding) => giving.binding(&binding.role_ref, None),
        _ => Ok(()),
    }
}

struct Giving<'a, 'o> {
    objects: &'a Objects<'o>,
    rules: &'a Rules,
    identity: &'a Identity,
}

impl Giving<'_, '_> {
    fn role(
        &self,
        plural: &str,
        namespace: Option<&str>,
        name: &str,
        wanted: &[PolicyRule],
        everything: bool,
    ) -> Result<(), Refusal> {
        if self.may(VERB_ESCALATE, plural, namespace, name) {
            return Ok(());
        }
        let hint = format!("ask for them first, or for the verb {VERB_ESCALATE} on {plural}");
        if everything {
            let all = every_right();
            self.covers(namespace, &all, "aggregationRule", &hint)?;
        }
        self.covers(namespace, wanted, "rules", &hint)
    }

    fn binding(&self, role: &RoleRef, namespace: Option<&str>) -> Result<(), Refusal> {
        let plural = if role.kind == "ClusterRole" {
            "clusterroles"
        } else {
            "roles"
        };
        if self.may(VERB_BIND, plural, namespace, &role.name) {
            return Ok(());
        }
        let Some(wanted) = self.objects.rules_of(role, namespace) else {
            let message = format!("the binding's role {plural}/{} does not exist", role.name);
            return Err(Refusal::new(Code::NotFound, message)
                .with_cause("roleRef", "must be there before it is bound")
                .with_hint(format!("skein get {plural} lists those that do")));
        };
        let hint = format!("ask for them first, or for the verb {VERB_BIND} on {plural}");
        self.covers(namespace, &wanted, "roleRef", &hint)?;
        let None = namespace else {
            return Ok(());
        };
        // Bound everywhere, the role of a set comes with a role in its clusters' namespaces.
        let Some((members, plain)) = members_of(self.objects, &role.name) else {
            return Ok(());
        };
        let wanted = self
            .objects
            .rules_of_cluster_role(plain)
            .unwrap_or_default();
        if covers(&self.rules.of(self.identity, ""), &wanted).is_ok() {
            return Ok(());
        }
        let mut members = members.iter();
        members.try_for_each(|member| self.covers(Some(member), &wanted, "roleRef", &hint))
    }

    fn may(&self, verb: &str, plural: &str, namespace: Option<&str>, name: &str) -> bool {
        let review = Review {
            group: RBAC_GROUP.to_owned(),
            resource: plural.to_owned(),
            subresource: String::new(),
            verb: verb.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: name.to_owned(),
        };
        self.rules.allows(self.identity, &review).is_allowed()
    }

    fn covers(
        &self,
        namespace: Option<&str>,
        wanted: &[PolicyRule],
        path: &str,
        hint: &str,
    ) -> Result<(), Refusal> {
        let owned = self.rules.of(self.identity, namespace.unwrap_or_default());
        let Err(missing) = covers(&owned, wanted) else {
            return Ok(());
        };
        let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name:?}"));
        let user = &self.identity.user;
        let message = format!("user:{user} may not give rights{place} that they do not have");
        let mut refusal = Refusal::new(Code::Forbidden, message).with_hint(hint);
        for rule in missing.iter().take(NAMED) {
            refusal = refusal.with_cause(path, format!("lacks {}", describe(rule)));
        }
        if missing.len() > NAMED {
            let more = missing.len() - NAMED;
            refusal = refusal.with_cause(path, format!("and {more} more"));
        }
        Err(refusal)
    }
}

/// Every verb on every resource and every URL.
fn every_right() -> Vec<PolicyRule> {
    let all = || vec![ALL.to_owned()];
    vec![
        PolicyRule {
            api_groups: Some(all()),
            resources: Some(all()),
            verbs: all(),
            ..PolicyRule::default()
        },
        PolicyRule {
            non_resource_urls: Some(all()),
            verbs: all(),
            ..PolicyRule::default()
        },
    ]
}
