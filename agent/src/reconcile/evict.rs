//! Records of works that the hub does not know: they are left by a work that was deleted by force
//! while the agent was away. They get a grace period, in case the hub is restored, and then go with
//! what they own (OCM's eviction).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use skein_agent_core::applied_work::{self, Eviction};
use skein_schema::kind::manifest_work::ManifestWorkSpec;
use skein_schema::name::ObjectName;

use super::{ReconcileError, Reconciler, Removal};
use crate::cluster::ResolveError;

impl Reconciler {
    /// Looks at all records of this hub and agent and evicts those whose grace period is over.
    /// `known` are the works that the hub knows. Returns how many were evicted.
    ///
    /// # Errors
    /// When the records cannot be listed or written.
    pub async fn evict(
        &self,
        known: &BTreeSet<ObjectName>,
        grace: SignedDuration,
        now: Timestamp,
    ) -> Result<usize, ReconcileError> {
        let resource = match self.definition().await {
            Ok(resource) => resource,
            Err(ReconcileError::NoDefinition(ResolveError::UnknownKind { .. })) => return Ok(0),
            Err(error) => return Err(error),
        };
        let records: Vec<Map<String, Value>> = self
            .cluster
            .list(&resource, None, None)
            .await
            .map_err(ReconcileError::Records)?;
        let mut evicted = 0;
        for record in records {
            let Some(work) = self.work_of(&record).filter(|work| !known.contains(work)) else {
                continue;
            };
            match applied_work::eviction(applied_work::eviction_start(&record), grace, now) {
                Eviction::Wait(_) => {}
                Eviction::Begin => {
                    tracing::warn!(%work, "the hub does not know a work that is on this cluster; it goes after a grace period");
                    let owned = applied_work::owned(&record);
                    self.record(&work, &owned, Some(now)).await?;
                }
                Eviction::Evict => {
                    let removal = self.remove(&work, &ManifestWorkSpec::default()).await?;
                    tracing::warn!(%work, ?removal, "a work that the hub does not know is evicted");
                    evicted += usize::from(removal == Removal::Done);
                }
            }
        }
        Ok(evicted)
    }

    /// The work that a record is about, if it is this hub's and this agent's.
    fn work_of(&self, record: &Map<String, Value>) -> Option<ObjectName> {
        let spec = record.get("spec")?;
        let is = |key: &str, value: &str| spec.get(key).and_then(Value::as_str) == Some(value);
        let name = record.get("metadata")?.get("name")?.as_str()?;
        let ours = is("hubHash", &self.hub_id) && is("agentID", &self.agent_id);
        let work = ours.then(|| applied_work::work_of(&self.hub_id, name))??;
        ObjectName::new(work).ok()
    }
}
