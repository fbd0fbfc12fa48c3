//! Heartbeats: when a cluster counts as lost, and whether its clock agrees with the hub's.
//!
//! Pure functions of the stored cluster, the last heartbeat and the hub's clock. They return the
//! condition to write, if it is a transition, and when to look again.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use skein_schema::kind::condition;
use skein_schema::kind::managed_cluster::{
    CONDITION_AVAILABLE, CONDITION_CLOCK_SYNCED, CONDITION_HUB_ACCEPTED,
    DEFAULT_LEASE_DURATION_SECONDS, MAX_LEASE_DURATION_SECONDS, ManagedCluster,
};

/// Annotation that switches the comparison of clocks off.
pub const SKIP_CLOCK_SYNC_CHECK: &str =
    "registration.open-cluster-management.io/skip-clock-sync-check";

/// Lease durations without a heartbeat after which a cluster counts as lost: OCM's rule.
pub const GRACE_LEASES: u8 = 5;

/// Reason: the cluster has not been heard of for the grace.
pub const REASON_LEASE_UPDATE_STOPPED: &str = "ManagedClusterLeaseUpdateStopped";
/// Reason: the agent says that its API server answers.
pub const REASON_AVAILABLE: &str = "ManagedClusterAvailable";
/// Reason: the agent says that its API server does not answer.
pub const REASON_API_SERVER_UNAVAILABLE: &str = "ManagedClusterKubeAPIServerUnavailable";
/// Reason: the clocks agree.
pub const REASON_CLOCK_SYNCED: &str = "ManagedClusterClockSynced";
/// Reason: the clocks are further apart than the grace.
pub const REASON_CLOCK_OUT_OF_SYNC: &str = "ManagedClusterClockOutOfSync";

/// What is to be done about a cluster's heartbeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaseVerdict {
    /// `ManagedClusterConditionAvailable` with status `Unknown`, if the cluster was just lost.
    pub lost: Option<Condition>,
    /// The cluster has never been heard of: count from now on, as if it had beaten now.
    pub start: bool,
    /// When to look again; none if only a heartbeat or a change of the cluster matters.
    pub look_again: Option<Timestamp>,
}

/// How long a cluster may be silent: its lease duration times `leases`.
///
/// A duration outside of what admission accepts cannot make the arithmetic overflow: a negative
/// one counts as the default, one of more than a day as a day.
#[must_use]
pub fn grace(cluster: &ManagedCluster, leases: u8) -> SignedDuration {
    let seconds = match cluster.spec.effective_lease_duration_seconds() {
        ..1 => DEFAULT_LEASE_DURATION_SECONDS,
        seconds => seconds.min(MAX_LEASE_DURATION_SECONDS),
    };
    SignedDuration::from_secs(i64::from(seconds) * i64::from(leases))
}

/// Judges a cluster by its last heartbeat, `None` if there never was one.
///
/// Nothing is done before the hub has accepted or denied the cluster. A heartbeat from the future
/// counts as fresh. `leases` is the grace in lease durations, normally [`GRACE_LEASES`].
#[must_use]
pub fn judge_lease(
    cluster: &ManagedCluster,
    last_beat: Option<Timestamp>,
    now: Timestamp,
    leases: u8,
) -> LeaseVerdict {
    if status(cluster, CONDITION_HUB_ACCEPTED).is_none() {
        return LeaseVerdict::default();
    }
    let grace = grace(cluster, leases);
    let Some(last_beat) = last_beat else {
        return if cluster.metadata.deletion_timestamp.is_some() {
            LeaseVerdict {
                lost: lost(cluster, now),
                ..LeaseVerdict::default()
            }
        } else {
            LeaseVerdict {
                start: true,
                ..LeaseVerdict::default()
            }
        };
    };
    let deadline = last_beat.saturating_add(grace).unwrap_or(Timestamp::MAX);
    if now < deadline {
        return LeaseVerdict {
            look_again: Some(deadline),
            ..LeaseVerdict::default()
        };
    }
    let look_again = now.saturating_add(grace).unwrap_or(Timestamp::MAX);
    LeaseVerdict {
        lost: lost(cluster, now),
        start: false,
        look_again: Some(look_again),
    }
}

/// The condition that a cluster is lost, unless it already is.
fn lost(cluster: &ManagedCluster, now: Timestamp) -> Option<Condition> {
    transition(
        cluster,
        CONDITION_AVAILABLE,
        "Unknown",
        REASON_LEASE_UPDATE_STOPPED,
        "The agent has stopped beating.",
        now,
    )
}

/// The condition that a heartbeat brings, if it is a transition. `api_server_answers` is what the
/// agent says of the cluster's own API server.
#[must_use]
pub fn heard(
    cluster: &ManagedCluster,
    api_server_answers: bool,
    now: Timestamp,
) -> Option<Condition> {
    let (status, reason, message) = if api_server_answers {
        (
            "True",
            REASON_AVAILABLE,
            "The agent beats and the API server answers.",
        )
    } else {
        (
            "False",
            REASON_API_SERVER_UNAVAILABLE,
            "The agent beats, the API server does not answer.",
        )
    };
    transition(cluster, CONDITION_AVAILABLE, status, reason, message, now)
}

/// Compares the time that the agent wrote into a heartbeat with the hub's at its arrival; returns
/// the condition if it is a transition. The clocks agree while they are less than the grace apart.
#[must_use]
pub fn judge_clock(
    cluster: &ManagedCluster,
    beat_time: Timestamp,
    now: Timestamp,
    leases: u8,
) -> Option<Condition> {
    let skip = cluster
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(SKIP_CLOCK_SYNC_CHECK));
    let agree = skip.is_some_and(|skip| skip == "true")
        || now.duration_since(beat_time).abs() < grace(cluster, leases);
    let (status, reason, message) = if agree {
        (
            "True",
            REASON_CLOCK_SYNCED,
            "The cluster's clock agrees with the hub's.",
        )
    } else {
        (
            "False",
            REASON_CLOCK_OUT_OF_SYNC,
            "The cluster's clock is further from the hub's than the grace; it may count as lost or stay unnoticed when it is.",
        )
    };
    transition(
        cluster,
        CONDITION_CLOCK_SYNCED,
        status,
        reason,
        message,
        now,
    )
}

fn status<'a>(cluster: &'a ManagedCluster, kind: &str) -> Option<&'a str> {
    condition::status(&cluster.status.as_ref()?.conditions, kind)
}

/// A condition, unless the cluster has it with this status already: only transitions are written.
fn transition(
    cluster: &ManagedCluster,
    kind: &str,
    status_now: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Option<Condition> {
    (status(cluster, kind) != Some(status_now)).then(|| Condition {
        type_: kind.to_owned(),
        status: status_now.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Time(now),
        observed_generation: None,
    })
}
