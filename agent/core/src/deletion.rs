//! Which objects go when their work goes.

use skein_schema::kind::manifest_work::{DeleteOption, PropagationPolicy};

/// Names an object the way an orphaning rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// API group, empty for the core group.
    pub group: &'a str,
    /// Resource (plural) name.
    pub resource: &'a str,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

/// True if the work owns the object: it then carries the work's owner reference and is deleted
/// with it. False means that the object is left behind.
///
/// Orphaning rules match exactly; `*` is a character like any other (OCM).
#[must_use]
pub fn owned_by_work(option: Option<&DeleteOption>, target: Target<'_>) -> bool {
    let Some(option) = option else { return true };
    match option.propagation_policy {
        PropagationPolicy::Foreground => true,
        PropagationPolicy::Orphan => false,
        PropagationPolicy::SelectivelyOrphan => {
            let rules = option
                .selectively_orphans
                .as_ref()
                .map(|s| s.orphaning_rules.as_slice());
            !rules.unwrap_or_default().iter().any(|rule| {
                rule.group == target.group
                    && rule.resource == target.resource
                    && rule.namespace == target.namespace
                    && rule.name == target.name
            })
        }
    }
}
