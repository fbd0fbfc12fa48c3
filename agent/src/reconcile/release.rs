//! Letting go of objects: deleting those that nobody else owns, giving up the others.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use kube::core::ApiResource;
use serde_json::{Map, Value};
use skein_agent_core::applied_work::{AppliedResource, Owner};
use skein_agent_core::ownership::{self, Obsolete, Release};

use super::{CONCURRENCY, RACES};
use crate::cluster::{ApiError, Cluster};

/// What became of the objects.
pub(super) struct Released {
    /// Those that are gone or no longer ours.
    pub(super) gone: BTreeSet<AppliedResource>,
    /// How many are not.
    pub(super) waiting: usize,
}

/// Lets go of each object.
pub(super) async fn release_all(
    cluster: &Cluster,
    owner: &Owner,
    obsolete: Vec<Obsolete>,
) -> Released {
    let all = obsolete.len();
    let gone: BTreeSet<_> = futures::stream::iter(obsolete)
        .map(|obsolete| async move {
            let gone = release(cluster, owner, &obsolete).await;
            gone.then_some(obsolete.resource)
        })
        .buffer_unordered(CONCURRENCY)
        .filter_map(std::future::ready)
        .collect()
        .await;
    Released {
        waiting: all - gone.len(),
        gone,
    }
}

/// Whether the object is gone or no longer ours. A failure is logged and tried again with the next
/// attempt at the work.
async fn release(cluster: &Cluster, owner: &Owner, obsolete: &Obsolete) -> bool {
    match try_release(cluster, owner, obsolete).await {
        Ok(gone) => gone,
        Err(error) => {
            let resource = &obsolete.resource;
            tracing::warn!(
                owner = %owner.name, resource = %resource.resource, namespace = %resource.namespace,
                name = %resource.name, error = &error as &dyn std::error::Error,
                "an object cannot be let go yet"
            );
            false
        }
    }
}

async fn try_release(
    cluster: &Cluster,
    owner: &Owner,
    obsolete: &Obsolete,
) -> Result<bool, ApiError> {
    let resource = &obsolete.resource;
    let api = api_resource(resource);
    let namespace = Some(resource.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let (mut deleted, mut races) = (false, 0);
    loop {
        let live = match cluster.get(&api, namespace, &resource.name).await {
            // It was recorded before it was tried, and whoever acts for the work may not even look
            // at it: as far as anybody knows it was never made, and the work must be able to go.
            Err(ApiError::Forbidden { .. }) if resource.uid.is_empty() => return Ok(true),
            other => other?.and_then(into_map),
        };
        match ownership::release(obsolete, live.as_ref(), owner) {
            Release::Forget => return Ok(true),
            Release::Pending => return Ok(false),
            // Deleted in this attempt and still there without a deletion mark: look again later.
            Release::Delete { .. } if deleted => return Ok(false),
            Release::Delete { uid } => {
                match cluster.delete(&api, namespace, &resource.name, &uid).await {
                    // Another object has the name by now: look at that one.
                    Ok(()) | Err(ApiError::Changed { .. }) => deleted = true,
                    Err(error) => return Err(error),
                }
            }
            Release::Disown { patch } => {
                match cluster
                    .merge(
                        &api,
                        namespace,
                        &resource.name,
                        &patch,
                        super::apply::MANAGER,
                    )
                    .await
                {
                    // Somebody wrote in between: look again, but not for ever.
                    Err(ApiError::Changed { .. }) if races < RACES => races += 1,
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => return Ok(true),
                }
            }
        }
    }
}

/// The record has the plural and not the kind; for a path the plural is what counts.
fn api_resource(resource: &AppliedResource) -> ApiResource {
    let api_version = if resource.group.is_empty() {
        resource.version.clone()
    } else {
        format!("{}/{}", resource.group, resource.version)
    };
    ApiResource {
        group: resource.group.clone(),
        version: resource.version.clone(),
        api_version,
        kind: String::new(),
        plural: resource.resource.clone(),
    }
}

fn into_map(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}
