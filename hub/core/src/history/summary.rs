//! An event in one line.

use skein_schema::event::{Applied, Availability, Event, PlacementDecided};
use skein_schema::kind::managed_cluster::Taint;
use skein_schema::resource::Resource;

/// One line for people. It holds no secret, as no event does.
pub(super) fn of(event: &Event) -> String {
    match event {
        Event::Applied(applied) => applied_text(applied),
        Event::DeletionRequested(_) => "deletion requested; its agent cleans up first".to_owned(),
        Event::Deleted(deleted) if deleted.forced => {
            "deleted by force, without waiting for its agent".to_owned()
        }
        Event::Deleted(_) => "deleted".to_owned(),
        Event::TokenCreated(grant) => format!(
            "join token created: {} uses until {}{}",
            grant.uses,
            grant.expires_at,
            if grant.auto_accept {
                ", lets clusters in by itself"
            } else {
                ""
            }
        ),
        Event::TokenRevoked(_) => "join token revoked".to_owned(),
        Event::ClusterJoinRequested(join) => format!(
            "asked to join with token {} into set {}, agent {}",
            join.token, join.clusterset, join.agent_version
        ),
        Event::ClusterAccepted(accepted) if accepted.automatically => {
            "accepted, as its token says".to_owned()
        }
        Event::ClusterAccepted(_) => "accepted".to_owned(),
        Event::ClusterDenied(_) => "denied".to_owned(),
        Event::CredentialIssued(issued) => {
            let rolled = if issued.keys.is_some() {
                " for new keys"
            } else {
                ""
            };
            format!("credential issued{rolled} until {}", issued.expires_at)
        }
        Event::CredentialRevoked(_) => "credential revoked".to_owned(),
        Event::AvailabilityChanged(changed) => {
            let state = match changed.availability {
                Availability::Available => "available",
                Availability::Unavailable => "not available",
                Availability::Unknown => "lost",
            };
            format!("{state} ({})", changed.reason)
        }
        Event::ClockChanged(changed) if changed.synced => "clock agrees with the hub's".to_owned(),
        Event::ClockChanged(changed) => {
            let way = if changed.ahead_seconds < 0 {
                "behind"
            } else {
                "ahead of"
            };
            format!(
                "clock is {} s {way} the hub's",
                changed.ahead_seconds.unsigned_abs()
            )
        }
        Event::TaintsChanged(changed) => taints_text(&changed.taints),
        Event::PlacementDecided(decided) => decided_text(decided),
        Event::CommandRefused(refused) => format!(
            "{} refused: {} {}",
            refused.verb, refused.refusal.code, refused.refusal.message
        ),
    }
}

fn decided_text(decided: &PlacementDecided) -> String {
    let clusters: usize = decided
        .groups
        .iter()
        .map(|group| group.clusters.len())
        .sum();
    let left_out: usize = decided
        .left_out
        .iter()
        .map(|against| against.clusters.len())
        .sum();
    let noun = if clusters == 1 { "cluster" } else { "clusters" };
    let kept = match &decided.kept_because {
        Some(why) => format!(", kept: {why}"),
        None => String::new(),
    };
    format!(
        "chose {clusters} {noun}, left {left_out} out ({}){kept}",
        decided.satisfied.reason
    )
}

fn applied_text(applied: &Applied) -> String {
    let metadata = applied.resource.metadata();
    let generation = metadata.generation.unwrap_or_default();
    let what = match &applied.resource {
        Resource::ManifestWork(work) => match work.spec.workload.manifests.len() {
            1 => ", 1 manifest".to_owned(),
            count => format!(", {count} manifests"),
        },
        _ => String::new(),
    };
    format!(
        "applied by {}: generation {generation}{what}",
        applied.manager
    )
}

fn taints_text(taints: &[Taint]) -> String {
    if taints.is_empty() {
        return "no taints any more".to_owned();
    }
    let taints = taints.iter().map(|taint| {
        let value = if taint.value.is_empty() {
            String::new()
        } else {
            format!("={}", taint.value)
        };
        format!("{}{value}:{:?}", taint.key, taint.effect)
    });
    format!("taints are {}", taints.collect::<Vec<_>>().join(", "))
}
