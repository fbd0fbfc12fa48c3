//! Deny: a cluster is refused, or shut out.

use skein_schema::code::Refusal;
use skein_schema::command::Change;
use skein_schema::event::{ClusterDenied, CredentialRevoked, Event};
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::{Decision, Gate, Subject, not_found};
use crate::access;
use crate::world::World;

pub(super) fn decide(
    world: &World,
    cluster: &ClusterName,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    gate.ask(access::on_accept(cluster.as_str()))?;
    let key = ObjectKey::cluster(cluster);
    let Some(Resource::ManagedCluster(found)) = world.get(&key).map(|found| &**found) else {
        return Err(not_found(&key));
    };
    let opinion = world.cluster(cluster).and_then(|record| record.opinion);
    if !found.spec.hub_accepts_client && opinion.is_some_and(|opinion| !opinion.accepted) {
        return Ok(Decision {
            object: Some(Resource::ManagedCluster(found.clone())),
            ..Decision::unchanged(Subject::Object(key))
        });
    }
    let mut after = found.clone();
    if after.spec.hub_accepts_client {
        after.spec.hub_accepts_client = false;
        after.metadata.generation = Some(after.metadata.generation.unwrap_or_default() + 1);
    }
    let mut events = vec![Event::ClusterDenied(ClusterDenied {
        cluster: cluster.clone(),
    })];
    events.extend(revocations(world, cluster));
    let works = world
        .iter_in(KindName::ManifestWork, &cluster.into())
        .count();
    let warnings = (works > 0).then(|| {
        format!("{works} works stay on the cluster as they are; delete the cluster with --force to forget them")
    });
    Ok(Decision {
        object: Some(Resource::ManagedCluster(after)),
        warnings: warnings.into_iter().collect(),
        ..Decision::new(Subject::Object(key), Change::Denied, events)
    })
}

/// The end of every credential that a cluster's agent may hold.
pub(super) fn revocations(world: &World, cluster: &ClusterName) -> Vec<Event> {
    let Some(record) = world.cluster(cluster) else {
        return Vec::new();
    };
    let current = record
        .credential
        .as_ref()
        .map(|credential| &credential.nkey);
    let mut nkeys: Vec<_> = current.into_iter().chain(&record.rolled_from).collect();
    nkeys.dedup();
    nkeys
        .into_iter()
        .map(|nkey| {
            Event::CredentialRevoked(CredentialRevoked {
                cluster: cluster.clone(),
                nkey: nkey.clone(),
            })
        })
        .collect()
}
