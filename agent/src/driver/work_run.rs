//! What is known of one work beside what is wanted of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use skein_agent_core::outcome::{ApplyError, ManifestOutcome, ManifestResult};
use tokio::time::Instant;
use uuid::Uuid;

use crate::reconcile::Applied;
use crate::watch::version_of;

/// The runs at a work, and what they and the watches have shown.
#[derive(Debug, Default)]
pub(super) struct WorkRun {
    /// A job is at it.
    pub(super) running: bool,
    /// Attempts since the last success.
    pub(super) attempts: u32,
    /// Drifts healed one soon after the other.
    pub(super) drifts: u32,
    pub(super) last_drift: Option<Instant>,
    /// Trace context of the command that last touched it.
    pub(super) traceparent: Option<String>,
    /// The uid and generation that the job under way is about; nothing if the work was touched
    /// since it began.
    pub(super) about: Option<(Uuid, i64)>,
    /// The uid and generation that the outcomes are about.
    pub(super) tried: Option<(Uuid, i64)>,
    /// What the last attempt came to, in the order of the manifests.
    pub(super) outcomes: Vec<ManifestOutcome>,
    /// The work of this uid, and what it owned, are gone.
    pub(super) removed: Option<Uuid>,
    /// An executor acts for the work.
    executor: bool,
    /// The manifests whose objects the API server has granted to the executor in the generation
    /// that the outcomes are about.
    granted: BTreeSet<usize>,
    applied: BTreeMap<usize, Applied>,
    seen: BTreeMap<usize, Seen>,
    /// The resourceVersion of each thing seen.
    versions: BTreeMap<usize, u64>,
    /// Those versions when the last attempt ended.
    versions_then: BTreeMap<usize, u64>,
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The uid and generation that it was about.
    pub(super) about: (Uuid, i64),
    /// It was made in an executor's name.
    pub(super) executor: bool,
    /// One per manifest.
    pub(super) outcomes: Vec<ManifestOutcome>,
    /// What was sent and what came back, by the manifest's index.
    pub(super) applied: BTreeMap<usize, Applied>,
}

/// An object as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Present(Map<String, Value>),
    Missing,
}

impl WorkRun {
    /// Takes in what an attempt came to, where a watch has not shown something newer.
    pub(super) fn take_in(&mut self, attempt: Attempt) {
        let Attempt {
            about,
            executor,
            outcomes,
            applied,
        } = attempt;
        if self.tried != Some(about) {
            self.granted.clear();
        }
        self.tried = Some(about);
        self.executor = executor;
        for (index, outcome) in outcomes.iter().enumerate() {
            match &outcome.result {
                // The API server looks at rights first: a conflict is an answer to somebody who
                // may write.
                ManifestResult::Applied { .. }
                | ManifestResult::ReadOnly
                | ManifestResult::Failed(ApplyError::Conflict(_)) => {
                    self.granted.insert(index);
                }
                ManifestResult::Failed(ApplyError::Denied(_)) => {
                    self.granted.remove(&index);
                }
                // Decided without the API server, or not known: no grant.
                ManifestResult::Complete | ManifestResult::Failed(_) => {}
            }
        }
        for index in 0..self.outcomes.len() {
            let before = &self.outcomes[index].resource;
            let same = outcomes
                .get(index)
                .is_some_and(|outcome| outcome.resource == *before);
            if !same || !self.shows(index) {
                self.seen.remove(&index);
                self.versions.remove(&index);
            }
        }
        for (index, applied) in &applied {
            let version = version_of(&applied.live);
            if version.is_none() || version >= self.versions.get(index).copied() {
                self.seen
                    .insert(*index, Seen::Present(applied.live.clone()));
                self.versions
                    .extend(version.map(|version| (*index, version)));
            }
        }
        self.outcomes = outcomes;
        self.applied = applied;
        self.versions_then = self.versions.clone();
    }

    /// Takes in what a watch shows of a manifest's object. Watches may lag behind what an attempt
    /// was answered: says whether it was news.
    pub(super) fn observe(
        &mut self,
        index: usize,
        object: Option<Map<String, Value>>,
        version: Option<u64>,
    ) -> bool {
        if version.is_some() && version <= self.versions.get(&index).copied() {
            return false;
        }
        self.versions
            .extend(version.map(|version| (index, version)));
        self.seen
            .insert(index, object.map_or(Seen::Missing, Seen::Present));
        true
    }

    /// Whether the work may know what the agent sees of a manifest's object with its own rights.
    /// With an executor that is only what the API server has granted to it: naming an object in a
    /// manifest is no right to read it.
    pub(super) fn shows(&self, index: usize) -> bool {
        !self.executor || self.granted.contains(&index)
    }

    /// What was seen, by the manifest's index.
    pub(super) fn seen(&self) -> impl Iterator<Item = (usize, &Seen)> {
        self.seen.iter().map(|(index, seen)| (*index, seen))
    }

    /// Whether an object is not as it was applied, so that an attempt is due.
    pub(super) fn drifted(&self, index: usize) -> bool {
        let live = match self.seen.get(&index) {
            Some(Seen::Present(live)) => Some(live),
            Some(Seen::Missing) => None,
            None => return false,
        };
        match self.applied.get(&index) {
            Some(applied) => match (&applied.fingerprint, &applied.body) {
                (Some(fingerprint), Some(body)) => fingerprint.differs(body, live).is_some(),
                // Only read, or made once: whether it is there is what matters.
                _ => live.is_none(),
            },
            // Not applied: another attempt makes sense if the object has changed since the last.
            None => live.is_some() && self.versions.get(&index) != self.versions_then.get(&index),
        }
    }

    /// Whether any object is not as it was applied.
    pub(super) fn has_drifted(&self) -> bool {
        self.seen.keys().any(|index| self.drifted(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skein_agent_core::drift::Fingerprint;
    use skein_schema::kind::manifest_work::ManifestResourceMeta;
    use std::sync::Arc;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn live(version: u64, key: &str) -> Map<String, Value> {
        map(
            &json!({"metadata": {"uid": "u", "resourceVersion": version.to_string()}, "data": {"key": key}}),
        )
    }

    fn resource(name: &str) -> ManifestResourceMeta {
        ManifestResourceMeta {
            resource: "configmaps".into(),
            name: name.into(),
            ..Default::default()
        }
    }

    fn outcome(name: &str, error: Option<ApplyError>) -> ManifestOutcome {
        let applied = ManifestResult::Applied {
            uid: "u".into(),
            owned: true,
        };
        let result = error.map_or(applied, ManifestResult::Failed);
        ManifestOutcome {
            resource: resource(name),
            result,
        }
    }

    fn applied(name: &str, version: u64) -> BTreeMap<usize, Applied> {
        let (body, live) = (map(&json!({"data": {"key": "v"}})), live(version, "v"));
        let fingerprint = Some(Fingerprint::of(&body, &live));
        BTreeMap::from([(
            0,
            Applied {
                resource: resource(name),
                body: Some(Arc::new(body)),
                fingerprint,
                live,
            },
        )])
    }

    fn attempt(outcomes: Vec<ManifestOutcome>, applied: BTreeMap<usize, Applied>) -> Attempt {
        Attempt {
            about: (Uuid::nil(), 1),
            executor: false,
            outcomes,
            applied,
        }
    }

    /// An attempt of a generation in an executor's name.
    fn acted(generation: i64, result: ManifestResult) -> Attempt {
        let outcomes = vec![ManifestOutcome {
            resource: resource("a"),
            result,
        }];
        Attempt {
            about: (Uuid::nil(), generation),
            executor: true,
            ..attempt(outcomes, BTreeMap::new())
        }
    }

    fn run() -> WorkRun {
        let mut run = WorkRun::default();
        run.take_in(attempt(vec![outcome("a", None)], applied("a", 5)));
        run
    }

    #[test]
    fn news_count_and_what_lags_behind_does_not() {
        let mut run = run();
        assert!(!run.observe(0, Some(live(4, "old")), Some(4)));
        assert!(!run.drifted(0));
        assert!(run.observe(0, Some(live(6, "drift")), Some(6)));
        assert!(run.drifted(0) && run.has_drifted());
        // The attempt that healed it was answered with version 7.
        run.take_in(attempt(vec![outcome("a", None)], applied("a", 7)));
        assert!(!run.drifted(0));
        assert!(run.observe(0, None, None));
        assert!(run.drifted(0), "it is gone");
    }

    #[test]
    fn what_could_not_be_applied_is_tried_again_once_per_change() {
        let conflict = || {
            let outcome = outcome("a", Some(ApplyError::Conflict("theirs".into())));
            attempt(vec![outcome], BTreeMap::new())
        };
        let mut run = WorkRun::default();
        run.take_in(conflict());
        assert!(run.observe(0, Some(live(5, "x")), Some(5)));
        assert!(run.drifted(0), "the object was not known before");
        run.take_in(conflict());
        assert!(!run.drifted(0), "nothing has changed since");
        run.observe(0, Some(live(6, "x")), Some(6));
        assert!(run.drifted(0));
    }

    #[test]
    fn another_object_in_the_same_place_starts_anew() {
        let mut run = run();
        run.take_in(attempt(
            vec![outcome("b", Some(ApplyError::Failed("no".into())))],
            BTreeMap::new(),
        ));
        assert_eq!(run.seen().count(), 0);
        assert!(!run.has_drifted());
    }

    #[test]
    fn only_what_was_granted_to_the_executor_is_shown() {
        let failed = |error: ApplyError| ManifestResult::Failed(error);
        let granted = || ManifestResult::Applied {
            uid: "u".into(),
            owned: true,
        };
        let shown = |results: Vec<(i64, ManifestResult)>| {
            let mut run = WorkRun::default();
            for (generation, result) in results {
                run.take_in(acted(generation, result));
                // What a watch of before still brings.
                run.observe(0, Some(live(5, "x")), None);
            }
            // The next attempt at the same throws out what must not be known.
            let last = run.outcomes[0].result.clone();
            run.take_in(acted(run.tried.unwrap().1, last));
            (run.shows(0), run.seen().count())
        };
        let conflict = || failed(ApplyError::Conflict("theirs".into()));
        for result in [granted(), ManifestResult::ReadOnly, conflict()] {
            assert_eq!(shown(vec![(1, result)]), (true, 1));
        }
        let timed_out = || failed(ApplyError::Failed("no answer".into()));
        let denied = || failed(ApplyError::Denied("no".into()));
        let unsupported = failed(ApplyError::Unsupported("no".into()));
        for result in [timed_out(), denied(), unsupported, ManifestResult::Complete] {
            assert_eq!(shown(vec![(1, result)]), (false, 0));
        }
        // A passing trouble takes nothing away, a refusal does, and so does another generation.
        assert_eq!(shown(vec![(1, granted()), (1, timed_out())]), (true, 1));
        assert_eq!(shown(vec![(1, granted()), (1, denied())]), (false, 0));
        let refused = vec![(1, granted()), (1, denied()), (1, timed_out())];
        assert_eq!(shown(refused), (false, 0));
        assert_eq!(shown(vec![(1, granted()), (2, timed_out())]), (false, 0));
    }

    #[test]
    fn without_an_executor_everything_is_shown() {
        let mut run = WorkRun::default();
        let failed = outcome("a", Some(ApplyError::Failed("a webhook says no".into())));
        run.take_in(attempt(vec![failed], BTreeMap::new()));
        assert!(run.shows(0));
    }
}
