//! Admission of works: the manifests, their total size, and whose permissions they use.

mod configs;
mod manifests;

pub use manifests::total_size;

use super::{ManifestWork, ManifestWorkExecutor};
use crate::decode::{FieldError, Problem};
use crate::kind::admission::{AdmissionRules, Admitted, Review, none_or};
use crate::resource::Resource;

/// Identity of the agent itself, reviewed for works without an executor where that is asked for.
const AGENT_SERVICE_ACCOUNT: &str = "system:serviceaccount::klusterlet-work-sa";

/// Checks a new or changed work.
pub(crate) fn admit(
    new: ManifestWork,
    old: Option<&ManifestWork>,
    rules: &AdmissionRules,
) -> Result<Admitted, Vec<FieldError>> {
    let mut errors = manifests::check(&new, old, rules.manifest_limit);
    errors.extend(check_delete_option(&new));
    errors.extend(check_executor(new.spec.executor.as_ref()));
    errors.extend(configs::check(&new.spec.manifest_configs));
    none_or(errors)?;
    let reviews = executor_review(&new, old, rules).into_iter().collect();
    Ok(Admitted {
        resource: Resource::from(new),
        live_namespace: None,
        reviews,
    })
}

fn check_delete_option(work: &ManifestWork) -> Option<FieldError> {
    let ttl = work
        .spec
        .delete_option
        .as_ref()?
        .ttl_seconds_after_finished?;
    let problem = Problem::OutOfRange {
        min: 0,
        max: i64::MAX,
        found: ttl.to_string(),
    };
    (ttl < 0).then(|| FieldError::new("spec.deleteOption.ttlSecondsAfterFinished", problem))
}

fn check_executor(executor: Option<&ManifestWorkExecutor>) -> Option<FieldError> {
    let executor = executor?;
    let missing = match &executor.subject {
        None => "spec.executor.subject",
        Some(subject) if subject.service_account.is_none() => {
            "spec.executor.subject.serviceAccount"
        }
        Some(_) => return None,
    };
    Some(FieldError::new(missing, Problem::Required))
}

/// The permission to act as the executor.
///
/// Asked when the executor or what runs under it changed: OCM asks only for the former, so that
/// whoever may edit a work could run anything under somebody else's executor.
fn executor_review(
    new: &ManifestWork,
    old: Option<&ManifestWork>,
    rules: &AdmissionRules,
) -> Option<Review> {
    let unchanged = |old: &ManifestWork| {
        old.spec.executor == new.spec.executor
            && (new.spec.executor.is_none() || old.spec.workload == new.spec.workload)
    };
    if old.is_some_and(unchanged) {
        return None;
    }
    let name = match new
        .spec
        .executor
        .as_ref()
        .and_then(|executor| executor.subject.as_ref())
    {
        Some(subject) => {
            let account = subject.service_account.as_ref()?;
            format!(
                "system:serviceaccount:{}:{}",
                account.namespace, account.name
            )
        }
        None if rules.nil_executor_validating => AGENT_SERVICE_ACCOUNT.to_owned(),
        None => return None,
    };
    Some(Review {
        group: "work.open-cluster-management.io".to_owned(),
        resource: "manifestworks".to_owned(),
        subresource: String::new(),
        verb: "execute-as".to_owned(),
        namespace: new.metadata.namespace.clone().unwrap_or_default(),
        name,
    })
}

#[cfg(test)]
mod tests;
