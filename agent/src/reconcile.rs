//! Making the cluster be as one work says: the hands of `skein_agent_core::converge`.
//!
//! A job is one attempt at one work. It holds no state between attempts: what is owned stands in
//! the `AppliedManifestWork` on the cluster, what is wanted comes with the job.

mod apply;
mod evict;
mod inputs;
mod owner;
mod release;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_agent_core::applied_work::{AppliedResource, Owner};
use skein_agent_core::converge::{Convergence, Mapping};
use skein_agent_core::outcome::{self, ApplyError, ManifestOutcome, Retry};
use skein_agent_core::ownership::{self, Obsolete};
use skein_schema::desired::DesiredWork;
use skein_schema::kind::manifest_work::{ManifestWorkSpec, ManifestWorkStatus};
use skein_schema::name::ObjectName;

use crate::cause;
use crate::cluster::{ApiError, Cluster, ResolveError, ServiceAccount};
use crate::content::Contents;
use crate::keys::Keys;

pub use apply::Applied;
pub(crate) use apply::strip;
pub use owner::DefinedAt;
use owner::Record;
pub(crate) use owner::ensure_definition;

/// How long a job waits for what the next wave stands on: namespaces and definitions.
const GATE_PATIENCE: Duration = Duration::from_secs(20);
/// How often a changed object is read and written again within one attempt.
const RACES: usize = 3;
/// Requests of one job that are under way at once.
const CONCURRENCY: usize = 8;

/// What every job needs.
pub struct Reconciler {
    /// The cluster, with the agent's own rights.
    pub cluster: Cluster,
    /// Manifests by digest.
    pub contents: Contents,
    /// Opens sealed manifests.
    pub keys: Arc<Keys>,
    /// Names the hub on the cluster.
    pub hub_id: String,
    /// Names this agent in what it owns.
    pub agent_id: String,
    /// When the definition of `AppliedManifestWork` was last written because it was missing.
    pub defined: DefinedAt,
}

/// A job could not do its bookkeeping on the cluster; its manifests were not all tried.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The `AppliedManifestWork` cannot be read or written.
    #[error("the ownership of work {work} cannot be recorded")]
    Ownership {
        /// The work.
        work: ObjectName,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// The `AppliedManifestWork`s cannot be listed.
    #[error("the records of ownership cannot be listed")]
    Records(#[source] ApiError),
    /// The cluster has no `AppliedManifestWork` yet.
    #[error("the cluster does not serve AppliedManifestWork yet")]
    NoDefinition(#[source] ResolveError),
    /// What the API server answered is not an object with a uid.
    #[error("the API server's answer about the ownership of work {work} makes no sense")]
    Answer {
        /// The work.
        work: ObjectName,
    },
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Outcome {
    /// One per manifest.
    pub outcomes: Vec<ManifestOutcome>,
    /// What was sent and what came back, by the manifest's index.
    pub applied: BTreeMap<usize, Applied>,
    /// When to try again, if nothing happens before.
    pub retry: Retry,
    /// Objects that no longer belong to the work and are not gone yet.
    pub leaving: usize,
}

/// What an attempt at removing a work came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Everything is gone or given away, and so is the record of it.
    Done,
    /// Some objects are not gone yet.
    Waiting {
        /// How many.
        objects: usize,
    },
}

/// The outcomes of a work whose manifests could not even be tried.
#[must_use]
pub fn untried(work: &DesiredWork, error: &ReconcileError) -> Vec<ManifestOutcome> {
    let message = cause::chain(error);
    let manifests = work.spec.workload.manifests.iter();
    let inputs = manifests
        .map(|_| Err(ApplyError::Failed(message.clone())))
        .collect();
    let owner = Owner {
        name: String::new(),
        uid: String::new(),
    };
    Convergence::new(work, inputs, owner, None).outcomes()
}

/// Looks up what the cluster knows already, so that all of it is recorded with one write.
async fn look_up(cluster: &Cluster, convergence: &mut Convergence) {
    for lookup in convergence.lookups() {
        // What is not known may come with an earlier wave; it is asked for again in its turn.
        if let Ok(found) = cluster.resolve(&lookup.api_version(), &lookup.kind).await {
            let mapping = Mapping {
                resource: found.resource.plural.clone(),
                namespaced: found.namespaced,
            };
            convergence.resolved(lookup.index, Some(mapping));
        }
    }
}

impl Reconciler {
    /// Applies a work: its manifests in waves, then prunes what it no longer lists.
    ///
    /// # Errors
    /// When its ownership cannot be recorded: nothing is applied that could not be cleaned up.
    pub async fn apply(
        &self,
        work: &DesiredWork,
        previous: Option<&ManifestWorkStatus>,
    ) -> Result<Outcome, ReconcileError> {
        let Record {
            owner,
            owned: mut recorded,
            ..
        } = self.own(&work.name).await?;
        let inputs = self.inputs(&work.spec).await;
        let cluster = self.cluster_for(&work.spec);
        let mut convergence = Convergence::new(work, inputs, owner.clone(), previous);
        convergence.record_first(recorded.clone());
        look_up(&cluster, &mut convergence).await;
        let mut applied = BTreeMap::new();
        loop {
            applied.extend(apply::run(&cluster, &mut convergence).await);
            let Some(intended) = convergence.unrecorded() else {
                break;
            };
            // What is applied and not recorded is lost if this attempt does not come to its end.
            self.record(&work.name, &intended, None).await?;
            recorded.clone_from(&intended);
            convergence.record_first(intended);
        }

        let outcomes = convergence.outcomes();
        let ownership = ownership::record(&recorded, &outcomes);
        if ownership.tracked != recorded {
            self.record(&work.name, &ownership.tracked, None).await?;
        }
        let leaving = self
            .prune(
                &cluster,
                work,
                &owner,
                ownership.tracked,
                ownership.obsolete,
            )
            .await?;
        Ok(Outcome {
            retry: outcome::retry(&outcomes),
            outcomes,
            applied,
            leaving,
        })
    }

    async fn prune(
        &self,
        cluster: &Cluster,
        work: &DesiredWork,
        owner: &Owner,
        mut tracked: Vec<AppliedResource>,
        obsolete: Vec<Obsolete>,
    ) -> Result<usize, ReconcileError> {
        if obsolete.is_empty() {
            return Ok(0);
        }
        let left = release::release_all(cluster, owner, obsolete).await;
        let gone = |resource: &AppliedResource| left.gone.contains(resource);
        if !left.gone.is_empty() {
            tracked.retain(|resource| !gone(resource));
            self.record(&work.name, &tracked, None).await?;
        }
        Ok(left.waiting)
    }

    /// Removes a work and what it owns, as its delete option says.
    ///
    /// # Errors
    /// When its ownership cannot be read or written.
    pub async fn remove(
        &self,
        name: &ObjectName,
        spec: &ManifestWorkSpec,
    ) -> Result<Removal, ReconcileError> {
        let Some(record) = self.owned(name).await? else {
            return Ok(Removal::Done);
        };
        let cluster = self.cluster_for(spec);
        let left = release::release_all(
            &cluster,
            &record.owner,
            ownership::removal(spec.delete_option.as_ref(), &record.owned),
        )
        .await;
        if left.waiting > 0 {
            if !left.gone.is_empty() {
                let mut still = record.owned;
                still.retain(|resource| !left.gone.contains(resource));
                // An eviction that waits for finalizers goes on; its grace does not begin anew.
                self.record(name, &still, record.eviction_start).await?;
            }
            return Ok(Removal::Waiting {
                objects: left.waiting,
            });
        }
        self.disown(name, &record.owner).await?;
        Ok(Removal::Done)
    }

    /// The cluster with the rights that a work asks for: never more than its executor has.
    fn cluster_for(&self, spec: &ManifestWorkSpec) -> Cluster {
        let account = spec
            .executor
            .as_ref()
            .and_then(|executor| executor.subject.as_ref())
            .and_then(|subject| subject.service_account.as_ref());
        match account {
            Some(account) => self.cluster.acting_as(&ServiceAccount {
                namespace: account.namespace.clone(),
                name: account.name.clone(),
            }),
            None => self.cluster.clone(),
        }
    }
}
