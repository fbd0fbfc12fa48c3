//! The status of a cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use skein_schema::event::Availability;
use skein_schema::kind::condition as conditions;
use skein_schema::kind::managed_cluster::{
    CONDITION_AVAILABLE, CONDITION_CLOCK_SYNCED, CONDITION_HUB_ACCEPTED, CONDITION_JOINED,
    ManagedCluster, ManagedClusterStatus, ManagedClusterVersion,
};
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::{condition, created};
use crate::lease;
use crate::observed::{ClusterObservation, Observed};
use crate::world::{ClusterRecord, World};

/// Condition: how far a cluster that is being deleted is (OCM's).
const CONDITION_DELETING: &str = "Deleting";

/// A cluster with the conditions that the hub sets: what its rules look at.
pub(crate) fn with_hub_conditions(world: &World, cluster: &ClusterName) -> Option<ManagedCluster> {
    let Resource::ManagedCluster(found) = &**world.get(&ObjectKey::cluster(cluster))? else {
        return None;
    };
    let mut found = (**found).clone();
    let conditions = hub_conditions(&found, world.cluster(cluster)?);
    found.status = Some(ManagedClusterStatus {
        conditions,
        ..ManagedClusterStatus::default()
    });
    Some(found)
}

/// What is known of a cluster: by the hub's conditions, then by its agent's report.
pub(super) fn status(
    world: &World,
    observed: &Observed,
    object: &ManagedCluster,
) -> ManagedClusterStatus {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let Ok(name) = ClusterName::new(name) else {
        return ManagedClusterStatus::default();
    };
    let record = world.cluster(&name);
    let mut status = ManagedClusterStatus::default();
    if let Some(record) = record {
        status.conditions = hub_conditions(object, record);
        status.cluster_claims.clone_from(&record.claims);
    }
    if object.metadata.deletion_timestamp.is_some() {
        status.conditions.push(deleting(world, &name, object));
    }
    let Some(report) = observed.cluster(&name).and_then(ClusterObservation::report) else {
        return status;
    };
    // What the hub has seen for itself stands; of the rest the agent knows more.
    let own = [
        CONDITION_HUB_ACCEPTED,
        CONDITION_AVAILABLE,
        CONDITION_CLOCK_SYNCED,
    ];
    for reported in &report.conditions {
        if !own.contains(&reported.type_.as_str()) {
            conditions::set(&mut status.conditions, reported.clone());
        }
    }
    ManagedClusterStatus {
        conditions: status.conditions,
        capacity: report.capacity,
        allocatable: report.allocatable,
        version: ManagedClusterVersion {
            kubernetes: report.kubernetes_version.unwrap_or_default(),
        },
        cluster_claims: report.claims,
        managed_namespaces: report.managed_namespaces,
    }
}

fn hub_conditions(object: &ManagedCluster, record: &ClusterRecord) -> Vec<Condition> {
    let accepted = hub_accepted(object, record);
    let joined = record.first_available.map(|since| {
        condition(
            CONDITION_JOINED,
            "True",
            "ManagedClusterJoined",
            "The agent has taken up its credential.".to_owned(),
            since,
        )
    });
    let available = record.availability.as_ref().map(|seen| {
        let status = match seen.availability {
            Availability::Available => "True",
            Availability::Unavailable => "False",
            Availability::Unknown => "Unknown",
        };
        condition(
            CONDITION_AVAILABLE,
            status,
            &seen.reason,
            seen.message.clone(),
            seen.since,
        )
    });
    let clock = record.clock.map(|seen| {
        let (status, reason, message) = if seen.synced {
            (
                "True",
                lease::REASON_CLOCK_SYNCED,
                "The cluster's clock agrees with the hub's.",
            )
        } else {
            (
                "False",
                lease::REASON_CLOCK_OUT_OF_SYNC,
                "The cluster's clock is too far from the hub's.",
            )
        };
        condition(
            CONDITION_CLOCK_SYNCED,
            status,
            reason,
            message.to_owned(),
            seen.since,
        )
    });
    [accepted, joined, available, clock]
        .into_iter()
        .flatten()
        .collect()
}

fn hub_accepted(object: &ManagedCluster, record: &ClusterRecord) -> Option<Condition> {
    const LET_IN: &str = "The hub has let the cluster in.";
    let accepted = |since| {
        condition(
            CONDITION_HUB_ACCEPTED,
            "True",
            "HubClusterAdminAccepted",
            LET_IN.to_owned(),
            since,
        )
    };
    match record.opinion {
        Some(opinion) if opinion.accepted => Some(accepted(opinion.since)),
        Some(opinion) => Some(condition(
            CONDITION_HUB_ACCEPTED,
            "False",
            "HubClusterAdminDenied",
            "The hub has denied the cluster.".to_owned(),
            opinion.since,
        )),
        // A cluster that was made accepted has been let in by whoever made it.
        None => object
            .spec
            .hub_accepts_client
            .then(|| accepted(created(&object.metadata))),
    }
}

fn deleting(world: &World, cluster: &ClusterName, object: &ManagedCluster) -> Condition {
    let works = world
        .iter_in(KindName::ManifestWork, &cluster.into())
        .count();
    let since = object
        .metadata
        .deletion_timestamp
        .as_ref()
        .map_or(jiff::Timestamp::UNIX_EPOCH, |time| time.0);
    let (status, reason, message) = match works {
        0 => ("True", "NoResource", "No work is left.".to_owned()),
        1 => ("False", "ResourceRemaining", "1 work is left.".to_owned()),
        works => (
            "False",
            "ResourceRemaining",
            format!("{works} works are left."),
        ),
    };
    condition(CONDITION_DELETING, status, reason, message, since)
}
