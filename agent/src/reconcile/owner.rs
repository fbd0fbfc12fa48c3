//! The `AppliedManifestWork` of a work: written before anything is applied, deleted last.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::core::ApiResource;
use serde_json::Value;
use skein_agent_core::applied_work::{self, AppliedResource, Owner};
use skein_schema::name::ObjectName;
use tokio::time::Instant;

use super::{ReconcileError, Reconciler};
use crate::cluster::{ApiError, Cluster, ResolveError};

/// Field manager of what the agent writes for itself.
pub(super) const MANAGER: &str = "skein-agent";
/// Between two attempts to install a definition that is missing.
const REDEFINE: Duration = Duration::from_secs(30);

/// When a definition that is missing was last written: many works miss it at once, and one of them
/// asks for it.
#[derive(Debug, Default)]
pub struct DefinedAt(Mutex<Option<Instant>>);

impl DefinedAt {
    /// Whether it is time to write it; then the time begins anew.
    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= REDEFINE);
        if due {
            *last = Some(now);
        }
        due
    }
}

/// What the record of a work says.
pub(super) struct Record {
    /// The record as the owner of objects.
    pub(super) owner: Owner,
    /// What the work owns.
    pub(super) owned: Vec<AppliedResource>,
    /// When the grace period of a work that the hub does not know began.
    pub(super) eviction_start: Option<Timestamp>,
}

impl Record {
    fn read(live: &Value) -> Option<Self> {
        let live = live.as_object()?;
        Some(Self {
            owner: Owner::of(live)?,
            owned: applied_work::owned(live),
            eviction_start: applied_work::eviction_start(live),
        })
    }
}

impl Reconciler {
    /// Makes sure of the work's record: the owner to put into objects, and what it owns so far.
    pub(super) async fn own(&self, work: &ObjectName) -> Result<Record, ReconcileError> {
        let resource = self.sure_definition().await?;
        let name = applied_work::name(&self.hub_id, work);
        let object = applied_work::object(&self.hub_id, &self.agent_id, work);
        let live = self
            .cluster
            .apply(&resource, None, &name, &object, MANAGER, true)
            .await
            .map_err(|source| self.failed(work, source))?;
        let record =
            Record::read(&live).ok_or_else(|| ReconcileError::Answer { work: work.clone() })?;
        if record.eviction_start.is_some() {
            // The hub knows the work again.
            self.record(work, &record.owned, None).await?;
        }
        Ok(record)
    }

    /// The work's record, if there is one.
    pub(super) async fn owned(&self, work: &ObjectName) -> Result<Option<Record>, ReconcileError> {
        let resource = match self.definition().await {
            Ok(resource) => resource,
            // Without the definition there can be no record.
            Err(ReconcileError::NoDefinition(ResolveError::UnknownKind { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        let name = applied_work::name(&self.hub_id, work);
        let live = self
            .cluster
            .get(&resource, None, &name)
            .await
            .map_err(|source| self.failed(work, source))?;
        let Some(live) = live else { return Ok(None) };
        let record =
            Record::read(&live).ok_or_else(|| ReconcileError::Answer { work: work.clone() })?;
        Ok(Some(record))
    }

    /// Writes what the work owns, and since when it is to be evicted, if it is.
    pub(super) async fn record(
        &self,
        work: &ObjectName,
        owned: &[AppliedResource],
        eviction_start: Option<Timestamp>,
    ) -> Result<(), ReconcileError> {
        let resource = self.definition().await?;
        let name = applied_work::name(&self.hub_id, work);
        let status = applied_work::status(&name, owned, eviction_start);
        self.cluster
            .apply_status(&resource, &name, &status, MANAGER)
            .await
            .map(drop)
            .map_err(|source| self.failed(work, source))
    }

    /// Deletes the record of a work that owns nothing any more.
    pub(super) async fn disown(
        &self,
        work: &ObjectName,
        owner: &Owner,
    ) -> Result<(), ReconcileError> {
        let resource = self.definition().await?;
        match self
            .cluster
            .delete(&resource, None, &owner.name, &owner.uid)
            .await
        {
            // Another record has the name by now: it is not ours to delete.
            Ok(()) | Err(ApiError::Changed { .. }) => Ok(()),
            Err(source) => Err(self.failed(work, source)),
        }
    }

    /// As [`Self::definition`], but a definition that is missing is installed again: somebody has
    /// deleted it, or the agent was not allowed to write it when it started.
    async fn sure_definition(&self) -> Result<ApiResource, ReconcileError> {
        match self.definition().await {
            Err(ReconcileError::NoDefinition(ResolveError::UnknownKind { .. }))
                if self.defined.is_due(Instant::now()) =>
            {
                tracing::warn!(
                    "the cluster does not serve AppliedManifestWork; its definition is written again"
                );
                if let Err(error) = ensure_definition(&self.cluster).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the definition of AppliedManifestWork cannot be written"
                    );
                }
                // Written is not served yet: the next attempt at the work finds it, at the latest.
                self.definition().await
            }
            other => other,
        }
    }

    pub(super) async fn definition(&self) -> Result<ApiResource, ReconcileError> {
        let found = self
            .cluster
            .resolve(applied_work::API_VERSION, applied_work::KIND)
            .await;
        found
            .map(|found| found.resource.clone())
            .map_err(ReconcileError::NoDefinition)
    }

    fn failed(&self, work: &ObjectName, source: ApiError) -> ReconcileError {
        if source.is_not_found() {
            // The definition itself may have gone.
            self.cluster
                .forget(applied_work::API_VERSION, applied_work::KIND);
        }
        ReconcileError::Ownership {
            work: work.clone(),
            source,
        }
    }
}

/// Installs the definition of `AppliedManifestWork`, or brings it up to date.
///
/// # Errors
/// When the API server refuses, e.g. because the agent may not write definitions.
pub(crate) async fn ensure_definition(cluster: &Cluster) -> Result<(), ApiError> {
    let crd = applied_work::custom_resource_definition();
    let name = crd.pointer("/metadata/name").and_then(Value::as_str);
    let name = name
        .expect("the definition in this build has a name")
        .to_owned();
    let resource = ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    };
    cluster
        .apply(&resource, None, &name, &crd, MANAGER, true)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_definition_is_written_now_and_then() {
        let (defined, start) = (DefinedAt::default(), Instant::now());
        let due = |seconds| defined.is_due(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 29, 30, 31, 60].map(due),
            [true, false, false, true, false, true]
        );
    }
}
