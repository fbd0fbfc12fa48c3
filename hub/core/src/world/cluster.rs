//! What the hub knows of a cluster beside its object.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_schema::digest::Digest;
use skein_schema::event::{AgentKeys, Availability};
use skein_schema::kind::managed_cluster::ManagedClusterClaim;
use skein_schema::name::TokenName;
use uuid::Uuid;

/// What the hub knows of a cluster beside its object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRecord {
    /// The keys of the agent that was let in; none before the first acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<AgentKeyRecord>,
    /// A wish to join that waits for somebody to accept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Box<PendingJoin>>,
    /// What somebody last said about letting it in; none while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinion: Option<Opinion>,
    /// The last credential issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialRecord>,
    /// The nkey before the last roll-over, until the new one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_from: Option<String>,
    /// Whether it can be worked with; none before that was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<AvailabilityRecord>,
    /// When its agent was first heard of as available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_available: Option<Timestamp>,
    /// Whether its clock agrees with the hub's; none before that was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockRecord>,
    /// Claims it joined with; what it reports later takes their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ManagedClusterClaim>,
}

/// The public halves of an agent's keys, as the hub compares them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentKeyRecord {
    /// NATS user nkey.
    pub nkey: String,
    /// X25519 key that secrets for this cluster are sealed to, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing_key: Option<String>,
    /// Digest of the certificate request: whoever repeats a join must repeat it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_request: Option<Digest>,
}

impl From<&AgentKeys> for AgentKeyRecord {
    fn from(keys: &AgentKeys) -> Self {
        Self {
            nkey: keys.nkey.clone(),
            sealing_key: keys.sealing_key.clone(),
            certificate_request: keys
                .certificate_request
                .as_ref()
                .map(|pem| Digest::of(pem.as_bytes())),
        }
    }
}

/// A wish to join that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingJoin {
    /// The wish's id.
    pub request: Uuid,
    /// The token it came with.
    pub token: TokenName,
    /// The keys it asks for.
    pub keys: AgentKeyRecord,
    /// Version of the agent.
    pub agent_version: String,
    /// When it was recorded.
    pub since: Timestamp,
}

/// What somebody said about letting a cluster in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opinion {
    /// Let in, or not.
    pub accepted: bool,
    /// Since when.
    pub since: Timestamp,
}

/// A credential that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRecord {
    /// The nkey it is for.
    pub nkey: String,
    /// The wish it answers; the same wish gets the same answer.
    pub request: Uuid,
    /// When it was recorded.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whether a cluster can be worked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailabilityRecord {
    /// The state.
    pub availability: Availability,
    /// OCM's reason.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// Since when it has this state.
    pub since: Timestamp,
}

/// Whether a cluster's clock agrees with the hub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockRecord {
    /// Whether it does.
    pub synced: bool,
    /// Since when.
    pub since: Timestamp,
}
