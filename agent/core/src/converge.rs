//! Applying one work: a state machine that the shell drives.
//!
//! It says what is to be done next; the shell does it and tells what came of it. Manifests go out
//! in waves by kind (see [`crate::order`]). Unlike OCM, which writes all of them in one go and
//! lets what came too early fail, a wave that opens a namespace or an API is waited for, and the
//! kinds of a wave are looked up only when its turn has come.

mod step;

pub use step::{ApplyStep, Strategy, default_field_manager};

use crate::applied_work::{AppliedResource, Owner};
use crate::deletion::{self, Target};
use crate::outcome::{ApplyError, ManifestOutcome, ManifestResult};
use crate::{manifest_config, order, ownership};
use serde_json::{Map, Value};
use skein_schema::desired::DesiredWork;
use skein_schema::kind::condition;
use skein_schema::kind::manifest_work::{
    CONDITION_COMPLETE, ManifestCondition, ManifestResourceMeta, ManifestWorkStatus,
};
use std::collections::BTreeSet;

/// A manifest as it can be had: with its content fetched and its payload opened, or why not.
pub type ManifestInput = Result<Map<String, Value>, ApplyError>;

/// What the shell is to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Ask the API server's discovery for these kinds, then call [`Convergence::resolved`] for each.
    Resolve(Vec<Lookup>),
    /// Carry these out, in any order or at once, then call [`Convergence::applied`] for each.
    Apply(Vec<ApplyStep>),
    /// Watch these objects until [`crate::readiness::gate_open`] holds, then call
    /// [`Convergence::opened`] for each; after a deadline [`Convergence::give_up`].
    Await(Vec<Gate>),
    /// Every manifest has its outcome; or, if objects are recorded before they are applied,
    /// [`Convergence::unrecorded`] says what has to be recorded before this goes on.
    Done,
}

/// A kind to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Index of the manifest.
    pub index: usize,
    /// API group, empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl Lookup {
    /// Group and version as discovery wants them.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// What discovery knows of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Resource (plural) name.
    pub resource: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// An object that the next wave waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Index of the manifest.
    pub index: usize,
    /// The object.
    pub resource: ManifestResourceMeta,
}

/// The state of applying one work.
#[derive(Debug, Clone)]
pub struct Convergence {
    work: DesiredWork,
    owner: Owner,
    complete: Vec<ManifestResourceMeta>,
    items: Vec<Item>,
    waves: Vec<Vec<usize>>,
    wave: usize,
    opened: BTreeSet<usize>,
    impatient: bool,
    /// What the work's record says, if nothing may be applied that it does not know.
    recorded: Option<Vec<AppliedResource>>,
}

#[derive(Debug, Clone)]
struct Item {
    object: Map<String, Value>,
    resource: ManifestResourceMeta,
    owned: bool,
    resolved: bool,
    result: Option<ManifestResult>,
}

/// True if the work has run to its end: it is then left alone, also when it is edited (OCM).
#[must_use]
pub fn frozen(status: Option<&ManifestWorkStatus>) -> bool {
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    condition::status(conditions, CONDITION_COMPLETE) == Some("True")
}

impl Convergence {
    /// Begins. `manifests` are the work's, in their order; a missing one counts as not decodable.
    /// `reported` is the status that was last reported: a manifest that is complete there is not
    /// written again.
    #[must_use]
    pub fn new(
        work: &DesiredWork,
        manifests: Vec<ManifestInput>,
        owner: Owner,
        reported: Option<&ManifestWorkStatus>,
    ) -> Self {
        let mut inputs = manifests.into_iter();
        let declared = &work.spec.workload.manifests;
        let items: Vec<Item> = declared
            .iter()
            .enumerate()
            .map(|(index, manifest)| {
                let absent = || {
                    Err(ApplyError::Undecodable(
                        "the manifest is missing".to_owned(),
                    ))
                };
                let input = inputs.next().unwrap_or_else(absent);
                Item::new(index, manifest.identity(), input)
            })
            .collect();
        let kinds: Vec<&str> = items
            .iter()
            .map(|item| item.resource.kind.as_str())
            .collect();
        let waves = order::waves(&kinds);
        let entries = reported.map_or(&[][..], |status| &status.resource_status.manifests);
        let is_complete = |entry: &&ManifestCondition| {
            condition::status(&entry.conditions, CONDITION_COMPLETE) == Some("True")
        };
        let complete = entries
            .iter()
            .filter(is_complete)
            .map(|e| e.resource_meta.clone())
            .collect();
        Self {
            work: work.clone(),
            owner,
            complete,
            items,
            waves,
            wave: 0,
            opened: BTreeSet::new(),
            impatient: false,
            recorded: None,
        }
    }

    /// From now on applies no object that the work's record does not know and that the work is to
    /// own. `recorded` is what the record says; call it again when more was recorded.
    pub fn record_first(&mut self, recorded: Vec<AppliedResource>) {
        self.recorded = Some(recorded);
    }

    /// What is to be recorded before this can go on: what is recorded, and all objects to come
    /// whose kinds are known by now.
    #[must_use]
    pub fn unrecorded(&self) -> Option<Vec<AppliedResource>> {
        let recorded = self.recorded.as_ref()?;
        let next = self.items.iter().filter(|item| self.is_to_be_owned(item));
        ownership::intend(recorded, next.map(|item| &item.resource))
    }

    /// The kinds of all manifests that are not looked up yet. To look them up before their turn is
    /// to know more of what is to be recorded; a kind that is not known yet is asked for again when
    /// its turn has come.
    #[must_use]
    pub fn lookups(&self) -> Vec<Lookup> {
        let open = |(_, item): &(usize, &Item)| item.result.is_none() && !item.resolved;
        self.items
            .iter()
            .enumerate()
            .filter(open)
            .map(|(index, item)| item.lookup(index))
            .collect()
    }

    /// What is to be done now. Asking twice gives the same answer.
    #[expect(
        clippy::should_implement_trait,
        reason = "a state machine is no iterator"
    )]
    pub fn next(&mut self) -> Next {
        while let Some(wave) = self.waves.get(self.wave) {
            let open = || {
                wave.iter()
                    .copied()
                    .filter(|index| self.items[*index].result.is_none())
            };
            let lookups: Vec<Lookup> = open()
                .filter(|index| !self.items[*index].resolved)
                .map(|index| self.items[index].lookup(index))
                .collect();
            if !lookups.is_empty() {
                return Next::Resolve(lookups);
            }
            if self.must_record(wave) {
                return Next::Done;
            }
            let steps: Vec<ApplyStep> = open().map(|index| self.step(index)).collect();
            if !steps.is_empty() {
                return Next::Apply(steps);
            }
            let gates = self.gates(wave);
            if !gates.is_empty() {
                return Next::Await(gates);
            }
            self.wave += 1;
            self.impatient = false;
        }
        Next::Done
    }

    /// Discovery knows the kind of a manifest, or knows for sure that there is none.
    pub fn resolved(&mut self, index: usize, mapping: Option<Mapping>) {
        let Some(item) = self
            .items
            .get_mut(index)
            .filter(|item| item.result.is_none())
        else {
            return;
        };
        item.resolved = true;
        let Some(Mapping {
            resource,
            namespaced,
        }) = mapping
        else {
            let kind = item.resource.kind.clone();
            item.result = Some(ManifestResult::Failed(ApplyError::UnknownKind(kind)));
            return;
        };
        item.resource.resource = resource;
        if !namespaced {
            item.resource.namespace.clear();
        } else if item.resource.namespace.is_empty() {
            let text = "metadata.namespace is missing, and the kind is namespaced".to_owned();
            item.result = Some(ManifestResult::Failed(ApplyError::Undecodable(text)));
            return;
        }
        let target = Target {
            group: &item.resource.group,
            resource: &item.resource.resource,
            namespace: &item.resource.namespace,
            name: &item.resource.name,
        };
        item.owned = deletion::owned_by_work(self.work.spec.delete_option.as_ref(), target);
        if self
            .complete
            .iter()
            .any(|complete| same_object(complete, &item.resource))
        {
            item.result = Some(ManifestResult::Complete);
        }
    }

    /// A manifest was applied and this is the object now, or it was not and this is why.
    pub fn applied(&mut self, index: usize, result: Result<&Map<String, Value>, ApplyError>) {
        let read_only = self.step_strategy(index) == Some(Strategy::ReadOnly);
        let Some(item) = self
            .items
            .get_mut(index)
            .filter(|item| item.result.is_none())
        else {
            return;
        };
        item.result = Some(match result {
            Err(error) => ManifestResult::Failed(error),
            Ok(_) if read_only => ManifestResult::ReadOnly,
            Ok(live) => {
                let metadata = live.get("metadata");
                let uid = metadata.and_then(|m| m.get("uid")).and_then(Value::as_str);
                ManifestResult::Applied {
                    uid: uid.unwrap_or_default().to_owned(),
                    owned: item.owned,
                }
            }
        });
    }

    /// The gate that this manifest is has opened.
    pub fn opened(&mut self, index: usize) {
        self.opened.insert(index);
    }

    /// The gates of this wave took too long: go on, and let what needs them fail and be retried.
    pub fn give_up(&mut self) {
        self.impatient = true;
    }

    /// What became of each manifest, in the work's order. A manifest without an answer yet has none.
    #[must_use]
    pub fn outcomes(&self) -> Vec<ManifestOutcome> {
        let outcome = |item: &Item| {
            let result = item.result.clone()?;
            Some(ManifestOutcome {
                resource: item.resource.clone(),
                result,
            })
        };
        self.items.iter().filter_map(outcome).collect()
    }

    fn must_record(&self, wave: &[usize]) -> bool {
        let Some(recorded) = &self.recorded else {
            return false;
        };
        let next = wave.iter().map(|index| &self.items[*index]);
        let next = next.filter(|item| self.is_to_be_owned(item));
        ownership::intend(recorded, next.map(|item| &item.resource)).is_some()
    }

    /// Whether the manifest is still to be written, and the work then owns the object.
    fn is_to_be_owned(&self, item: &Item) -> bool {
        item.resolved && item.owned && item.result.is_none() && {
            let config = manifest_config::find(&item.resource, &self.work.spec.manifest_configs);
            let strategy = config.and_then(|config| config.update_strategy);
            step::writes(&self.work.name, strategy.as_ref())
        }
    }

    fn gates(&self, wave: &[usize]) -> Vec<Gate> {
        let last = self.wave + 1 == self.waves.len();
        if last || self.impatient {
            return Vec::new();
        }
        let is_gate = |index: &&usize| {
            let item = &self.items[**index];
            matches!(item.result, Some(ManifestResult::Applied { .. }))
                && order::gates_later_waves(&item.resource.group, &item.resource.kind)
                && !self.opened.contains(index)
        };
        let gate = |index: &usize| Gate {
            index: *index,
            resource: self.items[*index].resource.clone(),
        };
        wave.iter().filter(is_gate).map(gate).collect()
    }

    fn step(&self, index: usize) -> ApplyStep {
        let item = &self.items[index];
        let config = manifest_config::find(&item.resource, &self.work.spec.manifest_configs);
        let strategy = config.and_then(|config| config.update_strategy);
        step::build(
            index,
            &self.work.name,
            &item.resource,
            &item.object,
            strategy.as_ref(),
            item.owned,
            &self.owner,
        )
    }

    fn step_strategy(&self, index: usize) -> Option<Strategy> {
        self.items
            .get(index)
            .filter(|item| item.resolved)
            .map(|_| self.step(index).strategy)
    }
}

impl Item {
    fn new(
        index: usize,
        identity: skein_schema::kind::manifest::ManifestIdentity,
        input: ManifestInput,
    ) -> Self {
        let resource = ManifestResourceMeta {
            ordinal: i32::try_from(index).unwrap_or(i32::MAX),
            group: identity.group().to_owned(),
            version: identity.version().to_owned(),
            kind: identity.kind,
            resource: String::new(),
            name: identity.name,
            namespace: identity.namespace,
        };
        let undecodable = |text: &str| Err(ApplyError::Undecodable(text.to_owned()));
        let input = match input {
            Ok(_) if resource.kind.is_empty() => undecodable("Object 'Kind' is missing"),
            Ok(_) if resource.name.is_empty() => undecodable("metadata.name is missing"),
            other => other,
        };
        let (object, result) = match input {
            Ok(object) => (object, None),
            Err(error) => (Map::new(), Some(ManifestResult::Failed(error))),
        };
        Self {
            object,
            resource,
            owned: false,
            resolved: false,
            result,
        }
    }

    fn lookup(&self, index: usize) -> Lookup {
        let ManifestResourceMeta {
            group,
            version,
            kind,
            ..
        } = self.resource.clone();
        Lookup {
            index,
            group,
            version,
            kind,
        }
    }
}

/// Whether two entries are about one object, wherever they stand in the work.
fn same_object(a: &ManifestResourceMeta, b: &ManifestResourceMeta) -> bool {
    let key = |r: &ManifestResourceMeta| {
        (
            r.group.clone(),
            r.version.clone(),
            r.resource.clone(),
            r.namespace.clone(),
            r.name.clone(),
        )
    };
    key(a) == key(b)
}

#[cfg(test)]
mod tests;
