//! The status of a work as it is told to the hub: only when there is something new to say.

use crate::aggregate::{self, Observation, ObserveOptions};
use crate::outcome::ManifestOutcome;
use jiff::Timestamp;
use skein_schema::desired::DesiredWork;
use skein_schema::kind::manifest_work::ManifestWorkStatus;
use skein_schema::status::WorkReport;
use std::collections::BTreeMap;

/// The facts that a work's status is made of.
#[derive(Debug, Clone)]
pub struct Reporting<'a> {
    /// The work.
    pub work: &'a DesiredWork,
    /// What became of its manifests when they were last applied.
    pub outcomes: &'a [ManifestOutcome],
    /// Its objects as they were last seen, by ordinal.
    pub seen: &'a BTreeMap<i32, Observation<'a>>,
    /// The status before.
    pub previous: Option<&'a ManifestWorkStatus>,
    /// How the objects are judged.
    pub options: ObserveOptions,
    /// The moment; it becomes the transition time of what changes.
    pub now: Timestamp,
}

/// The status of a work.
#[must_use]
pub fn status(facts: &Reporting<'_>) -> ManifestWorkStatus {
    let Reporting {
        work,
        outcomes,
        seen,
        previous,
        options,
        now,
    } = *facts;
    let previous = previous.cloned().unwrap_or_default();
    let applied = aggregate::after_apply(&previous, work.generation, outcomes, now);
    aggregate::after_observe(
        &applied,
        work.generation,
        &work.spec.manifest_configs,
        seen,
        options,
        now,
    )
}

/// What to send: nothing if the hub has been told the same already.
#[must_use]
pub fn report(
    work: &DesiredWork,
    status: ManifestWorkStatus,
    told: Option<&WorkReport>,
) -> Option<WorkReport> {
    let report = WorkReport {
        name: work.name.clone(),
        uid: work.uid,
        generation: work.generation,
        status,
    };
    (told != Some(&report)).then_some(report)
}

#[cfg(test)]
mod tests;
