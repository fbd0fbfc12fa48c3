//! What has happened. Past tense, typed, one golden file per variant.
//!
//! A released shape is frozen: a change is a new version in the type text plus an upcaster in
//! [`upcast`], which turns the stored JSON of an older version into the newest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::code::Refusal;
use crate::command::TokenGrant;
use crate::digest::Digest;
use crate::kind::managed_cluster::{ClientConfig, ManagedClusterClaim, Taint};
use crate::name::{ClusterName, SetName, TokenName};
use crate::object::ObjectKey;
use crate::resource::Resource;

pub mod placement;
pub mod upcast;

pub use placement::PlacementDecided;

/// Something that happened. `type` on the wire names the variant and its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// An object has a new intended state.
    #[serde(rename = "skein.resource.applied.v1")]
    Applied(Box<Applied>),
    /// An object is to go; its agent cleans up first.
    #[serde(rename = "skein.resource.deletionrequested.v1")]
    DeletionRequested(DeletionRequested),
    /// An object is gone.
    #[serde(rename = "skein.resource.deleted.v1")]
    Deleted(Deleted),
    /// A join token was minted.
    #[serde(rename = "skein.token.created.v1")]
    TokenCreated(TokenGrant),
    /// A join token was made useless.
    #[serde(rename = "skein.token.revoked.v1")]
    TokenRevoked(TokenRevoked),
    /// A cluster asked to be let in.
    #[serde(rename = "skein.cluster.joinrequested.v2")]
    ClusterJoinRequested(Box<ClusterJoinRequested>),
    /// A cluster was let in.
    #[serde(rename = "skein.cluster.accepted.v1")]
    ClusterAccepted(ClusterAccepted),
    /// A cluster was refused or shut out.
    #[serde(rename = "skein.cluster.denied.v1")]
    ClusterDenied(ClusterDenied),
    /// A cluster's credential was issued or renewed.
    #[serde(rename = "skein.credential.issued.v1")]
    CredentialIssued(CredentialIssued),
    /// A cluster's credentials were revoked.
    #[serde(rename = "skein.credential.revoked.v1")]
    CredentialRevoked(CredentialRevoked),
    /// A cluster's availability changed.
    #[serde(rename = "skein.cluster.availabilitychanged.v1")]
    AvailabilityChanged(AvailabilityChanged),
    /// A cluster's clock began or ceased to agree with the hub's.
    #[serde(rename = "skein.cluster.clockchanged.v1")]
    ClockChanged(ClockChanged),
    /// The hub changed a cluster's taints.
    #[serde(rename = "skein.cluster.taintschanged.v1")]
    TaintsChanged(TaintsChanged),
    /// A placement decided which clusters it has.
    #[serde(rename = "skein.placement.decided.v1")]
    PlacementDecided(Box<PlacementDecided>),
    /// A command was refused.
    #[serde(rename = "skein.command.refused.v1")]
    CommandRefused(CommandRefused),
}

/// Data of [`Event::Applied`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The whole object: metadata without resourceVersion (that is the record's sequence), spec, no
    /// status.
    pub resource: Resource,
    /// Who owns the fields that changed.
    pub manager: String,
}

/// Data of [`Event::DeletionRequested`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionRequested {
    /// Which object.
    pub key: ObjectKey,
    /// Its uid, so that a later namesake is not meant.
    pub uid: Uuid,
}

/// Data of [`Event::Deleted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Which object.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Uuid,
    /// The agent was not waited for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

/// Data of [`Event::TokenRevoked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRevoked {
    /// Which token.
    pub token: TokenName,
}

/// The public halves of an agent's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentKeys {
    /// NATS user nkey (`U…`).
    pub nkey: String,
    /// X25519 key that secrets for this cluster are sealed to, base64. Absent for agents of the
    /// first event version, which could not open sealed secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing_key: Option<String>,
    /// PEM of a PKCS #10 request for the tunnel's client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_request: Option<String>,
}

/// Data of [`Event::ClusterJoinRequested`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterJoinRequested {
    /// The name the cluster asks for.
    pub cluster: ClusterName,
    /// The token it came with.
    pub token: TokenName,
    /// The set it goes to.
    pub clusterset: SetName,
    /// Its public keys.
    pub keys: AgentKeys,
    /// Labels, the token's over the agent's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations (OCM: prefix `agent.open-cluster-management.io`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Claims at joining time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ManagedClusterClaim>,
    /// How the cluster's API server is reached from inside its network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_configs: Vec<ClientConfig>,
    /// Version of the agent.
    pub agent_version: String,
}

/// Data of [`Event::ClusterAccepted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAccepted {
    /// Which cluster.
    pub cluster: ClusterName,
    /// The token said so; no second person did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatically: bool,
}

/// Data of [`Event::ClusterDenied`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDenied {
    /// Which cluster.
    pub cluster: ClusterName,
}

/// Data of [`Event::CredentialIssued`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialIssued {
    /// Which cluster.
    pub cluster: ClusterName,
    /// The public nkey it is for.
    pub nkey: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// All the cluster's keys from now on, where it rolled them over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Box<AgentKeys>>,
}

/// Data of [`Event::CredentialRevoked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRevoked {
    /// Which cluster.
    pub cluster: ClusterName,
    /// The public nkey whose credentials issued until now end.
    pub nkey: String,
}

/// Data of [`Event::AvailabilityChanged`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailabilityChanged {
    /// Which cluster.
    pub cluster: ClusterName,
    /// The new state.
    pub availability: Availability,
    /// OCM's condition reason.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// What was seen: when the last heartbeat came. Recorded so that the ledger alone explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<Timestamp>,
}

/// Whether a cluster can be worked with (OCM's `ManagedClusterConditionAvailable`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// Its agent beats and its API server answers.
    #[serde(rename = "True")]
    Available,
    /// Its agent beats and says that the API server does not answer.
    #[serde(rename = "False")]
    Unavailable,
    /// Its agent has not been heard of.
    #[serde(rename = "Unknown")]
    Unknown,
}

/// Data of [`Event::ClockChanged`] (OCM's `ManagedClusterConditionClockSynced`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockChanged {
    /// Which cluster.
    pub cluster: ClusterName,
    /// Whether the clocks agree now.
    pub synced: bool,
    /// Seconds that the cluster's clock was ahead of the hub's; negative when behind.
    pub ahead_seconds: i64,
}

/// Data of [`Event::TaintsChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaintsChanged {
    /// Which cluster.
    pub cluster: ClusterName,
    /// All its taints from now on.
    pub taints: Vec<Taint>,
}

/// Data of [`Event::CommandRefused`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRefused {
    /// The verb that was tried.
    pub verb: String,
    /// The object it was tried on, where that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// Why not.
    pub refusal: Refusal,
    /// SHA-256 of the command's body. The body itself is not kept: it may hold anything.
    pub body: Digest,
}

/// A stored event that this build cannot read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No such type, in no version that this build knows.
    #[error("event type {0:?} is not known to this build")]
    UnknownType(String),
    /// The type is known and the data does not fit it.
    #[error("data of event {kind:?} cannot be read")]
    Data {
        /// The type text.
        kind: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

impl Event {
    /// The type text with version, e.g. `skein.cluster.accepted.v1`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Applied(_) => "skein.resource.applied.v1",
            Self::DeletionRequested(_) => "skein.resource.deletionrequested.v1",
            Self::Deleted(_) => "skein.resource.deleted.v1",
            Self::TokenCreated(_) => "skein.token.created.v1",
            Self::TokenRevoked(_) => "skein.token.revoked.v1",
            Self::ClusterJoinRequested(_) => "skein.cluster.joinrequested.v2",
            Self::ClusterAccepted(_) => "skein.cluster.accepted.v1",
            Self::ClusterDenied(_) => "skein.cluster.denied.v1",
            Self::CredentialIssued(_) => "skein.credential.issued.v1",
            Self::CredentialRevoked(_) => "skein.credential.revoked.v1",
            Self::AvailabilityChanged(_) => "skein.cluster.availabilitychanged.v1",
            Self::ClockChanged(_) => "skein.cluster.clockchanged.v1",
            Self::TaintsChanged(_) => "skein.cluster.taintschanged.v1",
            Self::PlacementDecided(_) => "skein.placement.decided.v1",
            Self::CommandRefused(_) => "skein.command.refused.v1",
        }
    }

    /// Reads a stored event of any released version.
    ///
    /// # Errors
    /// When the type is unknown or the data does not fit it. Nothing may be skipped then.
    pub fn decode(kind: &str, data: Value) -> Result<Self, EventError> {
        let (newest, data) = upcast::to_newest(kind, data);
        if !KINDS.contains(&newest) {
            return Err(EventError::UnknownType(kind.to_owned()));
        }
        let mut tagged = serde_json::Map::new();
        tagged.insert("type".to_owned(), Value::String(newest.to_owned()));
        tagged.insert("data".to_owned(), data);
        serde_json::from_value(Value::Object(tagged)).map_err(|source| EventError::Data {
            kind: kind.to_owned(),
            source,
        })
    }
}

/// Every type text of the newest versions.
pub const KINDS: &[&str] = &[
    "skein.resource.applied.v1",
    "skein.resource.deletionrequested.v1",
    "skein.resource.deleted.v1",
    "skein.token.created.v1",
    "skein.token.revoked.v1",
    "skein.cluster.joinrequested.v2",
    "skein.cluster.accepted.v1",
    "skein.cluster.denied.v1",
    "skein.credential.issued.v1",
    "skein.credential.revoked.v1",
    "skein.cluster.availabilitychanged.v1",
    "skein.cluster.clockchanged.v1",
    "skein.cluster.taintschanged.v1",
    "skein.placement.decided.v1",
    "skein.command.refused.v1",
];
