//! Accept: a cluster is let in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use skein_schema::code::Refusal;
use skein_schema::command::Change;
use skein_schema::event::{Applied, ClusterAccepted, CredentialRevoked, Event};
use skein_schema::kind::namespace::Namespace;
use skein_schema::name::{ClusterName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::Resource;

use super::{Context, Decision, Gate, Subject, being_deleted, not_found, store};
use crate::access;
use crate::world::World;

/// The field manager of what the hub makes of its own accord.
pub(crate) const HUB_MANAGER: &str = "skein-hub";
/// Label of a cluster's namespace that names the cluster (OCM's).
const CLUSTER_NAME_LABEL: &str = "open-cluster-management.io/cluster-name";

pub(super) fn decide(
    world: &World,
    cluster: &ClusterName,
    context: &Context<'_>,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    gate.ask(access::on_accept(cluster.as_str()))?;
    let key = ObjectKey::cluster(cluster);
    let found = world.get(&key).ok_or_else(|| not_found(&key))?;
    if found.metadata().deletion_timestamp.is_some() {
        return Err(being_deleted(&key));
    }
    let Resource::ManagedCluster(found) = &**found else {
        return Err(not_found(&key));
    };
    let waits = world
        .cluster(cluster)
        .is_some_and(|record| record.pending.is_some());
    if found.spec.hub_accepts_client && !waits {
        return Ok(Decision {
            object: Some(Resource::ManagedCluster(found.clone())),
            ..Decision::unchanged(Subject::Object(key))
        });
    }
    let mut after = found.clone();
    if !after.spec.hub_accepts_client {
        after.spec.hub_accepts_client = true;
        after.metadata.generation = Some(after.metadata.generation.unwrap_or_default() + 1);
    }
    Ok(Decision {
        object: Some(Resource::ManagedCluster(after)),
        ..Decision::new(
            Subject::Object(key),
            Change::Accepted,
            acceptance(world, cluster, false, context),
        )
    })
}

/// What happens when a cluster is let in: its namespace is made, and if another agent had the
/// name, that one's credential ends.
pub(crate) fn acceptance(
    world: &World,
    cluster: &ClusterName,
    automatically: bool,
    context: &Context<'_>,
) -> Vec<Event> {
    let mut events = vec![Event::ClusterAccepted(ClusterAccepted {
        cluster: cluster.clone(),
        automatically,
    })];
    if let Some(record) = world.cluster(cluster)
        && let (Some(keys), Some(pending)) = (&record.keys, &record.pending)
        && keys.nkey != pending.keys.nkey
    {
        let old = [Some(&keys.nkey), record.rolled_from.as_ref()];
        events.extend(old.into_iter().flatten().map(|nkey| {
            Event::CredentialRevoked(CredentialRevoked {
                cluster: cluster.clone(),
                nkey: nkey.clone(),
            })
        }));
    }
    let workspace = Workspace::from(cluster);
    let key = ObjectKey::workspace(&workspace);
    if world.get(&key).is_none() {
        let labels = [(CLUSTER_NAME_LABEL.to_owned(), cluster.to_string())];
        let mut namespace = Resource::from(Namespace {
            metadata: ObjectMeta {
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            },
            spec: None,
            status: None,
        });
        store::complete(&mut namespace, None, &key, context);
        events.push(Event::Applied(Box::new(Applied {
            resource: namespace,
            manager: HUB_MANAGER.to_owned(),
        })));
    }
    events
}
