//! How far a child work is, from the conditions that its agent reported.

use super::{ClusterState, RolloutStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::{
    CONDITION_APPLIED, CONDITION_AVAILABLE, CONDITION_DEGRADED, CONDITION_PROGRESSING,
    ManifestWorkSpec,
};

/// What tells when a work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A rule of the work makes the condition `Progressing`; it alone says so.
    ByRule,
    /// There is no such rule. Being applied, being there and being ready count.
    ByReadiness,
}

impl Progress {
    /// Which of the two a work has.
    #[must_use]
    pub fn of(spec: &ManifestWorkSpec) -> Self {
        let by_rule = spec
            .manifest_configs
            .iter()
            .flat_map(|config| &config.condition_rules)
            .any(|rule| rule.condition == CONDITION_PROGRESSING);
        if by_rule {
            Self::ByRule
        } else {
            Self::ByReadiness
        }
    }
}

/// A child work of a rollout that has the content being rolled out.
#[derive(Clone, Copy, Debug)]
pub struct ChildWork<'a> {
    /// Its present generation.
    pub generation: i64,
    /// What its agent reported.
    pub conditions: &'a [Condition],
    /// What tells when it is done.
    pub progress: Progress,
    /// When it got its present content, if that is known. Conditions keep their transition time
    /// when only the generation changes, so without this a deadline or soak time would count from
    /// long ago.
    pub sent: Option<Timestamp>,
}

/// How far a child work is.
///
/// Only conditions that were observed at its present generation count; an older one speaks of
/// another content.
///
/// [`Progress::ByRule`] is OCM's answer. It needs `Applied` `True`. `Progressing` then decides:
/// `False` is success, anything else progress, or failure if `Degraded` is `True` beside
/// `Progressing` `True`. Without `Progressing`, or while `Degraded` is there but older, nothing is
/// known yet.
///
/// [`Progress::ByReadiness`] is ours, so that a work without rules comes to an end at all.
/// `Degraded` `True` is failure. `Applied` and `Available` both `True` are success unless the agent
/// says by `Progressing` `True` that objects are not ready. Everything else is progress: an error
/// may pass, and if it does not, the deadline ends it. Before `Applied` nothing is known yet.
///
/// While nothing is known the cluster progresses since the work was sent, so that a silent cluster
/// takes up room and meets the deadline. If it is not known when that was, it counts as to be
/// applied, as in OCM.
///
/// The time is when the condition that decided last changed, for success by readiness the latest
/// change of those that had to agree; never before the work was sent.
#[must_use]
pub fn of_work(work: &ChildWork<'_>) -> ClusterState {
    let find = |kind: &str| condition::find(work.conditions, kind);
    let now = |kind: &str| {
        find(kind).filter(|condition| condition.observed_generation == Some(work.generation))
    };
    let degraded = now(CONDITION_DEGRADED);
    let reports = Reports {
        applied: now(CONDITION_APPLIED),
        available: now(CONDITION_AVAILABLE),
        progressing: now(CONDITION_PROGRESSING),
        old_degraded: degraded.is_none() && find(CONDITION_DEGRADED).is_some(),
        degraded,
    };
    let decided = match work.progress {
        Progress::ByRule => reports.by_rule(),
        Progress::ByReadiness => reports.by_readiness(),
    };
    match (decided, work.sent) {
        (Some((status, condition)), sent) => ClusterState {
            status,
            last_transition: Some(condition.last_transition_time.0).max(sent),
        },
        (None, Some(sent)) => ClusterState {
            status: RolloutStatus::Progressing,
            last_transition: Some(sent),
        },
        (None, None) => ClusterState {
            status: RolloutStatus::ToApply,
            last_transition: None,
        },
    }
}

/// The conditions of the present generation.
struct Reports<'a> {
    applied: Option<&'a Condition>,
    available: Option<&'a Condition>,
    progressing: Option<&'a Condition>,
    degraded: Option<&'a Condition>,
    /// There is a `Degraded` that speaks of another generation.
    old_degraded: bool,
}

impl<'a> Reports<'a> {
    fn by_rule(&self) -> Option<(RolloutStatus, &'a Condition)> {
        self.applied.filter(|condition| is_true(condition))?;
        let progressing = self.progressing?;
        if self.old_degraded {
            return None;
        }
        let degraded = self.degraded.filter(|condition| is_true(condition));
        Some(match (progressing.status.as_str(), degraded) {
            ("False", _) => (RolloutStatus::Succeeded, progressing),
            ("True", Some(degraded)) => (RolloutStatus::Failed, degraded),
            _ => (RolloutStatus::Progressing, progressing),
        })
    }

    fn by_readiness(&self) -> Option<(RolloutStatus, &'a Condition)> {
        let applied = self.applied?;
        if let Some(degraded) = self.degraded.filter(|condition| is_true(condition)) {
            return Some((RolloutStatus::Failed, degraded));
        }
        if !is_true(applied) {
            return Some((RolloutStatus::Progressing, applied));
        }
        let Some(available) = self.available else {
            return Some((RolloutStatus::Progressing, applied));
        };
        if !is_true(available) {
            return Some((RolloutStatus::Progressing, available));
        }
        if let Some(progressing) = self.progressing.filter(|condition| is_true(condition)) {
            return Some((RolloutStatus::Progressing, progressing));
        }
        let agreed = [Some(applied), Some(available), self.progressing];
        let last = agreed
            .into_iter()
            .flatten()
            .max_by_key(|condition| condition.last_transition_time.0);
        last.map(|condition| (RolloutStatus::Succeeded, condition))
    }
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}
