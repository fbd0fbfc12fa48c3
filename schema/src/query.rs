//! Questions to the hub on `query.<user>.<what>`, and the answers that come back to the inbox.
//!
//! A question is answered by one or more [`Answer`]s; the last is [`Answer::End`] or
//! [`Answer::Refused`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::code::Refusal;
use crate::envelope::{Actor, EventId};
use crate::name::{ClusterName, ObjectName, Workspace};
use crate::object::ObjectKey;
use crate::resource::KindName;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "what",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Query {
    /// Objects of a kind; with `name`, the one. Answered by [`Answer::Object`]s in key order.
    Get(Selection),
    /// Objects of a kind and then their changes. Answered by [`Answer::Changed`]: first one `Added`
    /// each, then [`Answer::Listed`], then changes until the asker goes away.
    Watch(Selection),
    /// Events of the ledger. Answered by [`Answer::Event`]s in order.
    Events(EventFilter),
    /// What changed between two points in time. Answered by [`Answer::Difference`]s in key order.
    Diff {
        /// The earlier point.
        from: At,
        /// The later point; absent for now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<At>,
        /// Only objects of this kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<KindName>,
        /// Only objects in this workspace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<Workspace>,
    },
    /// The key that secrets for a cluster are sealed to. Answered by [`Answer::SealingKey`].
    SealingKey {
        /// Which cluster.
        cluster: ClusterName,
    },
    /// Join tokens, without anything secret. Answered by [`Answer::Token`]s.
    Tokens,
    /// How the hub is. Answered by [`Answer::Health`].
    Health,
}

impl Query {
    /// The last token of the question's subject.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::Watch(_) => "watch",
            Self::Events(_) => "events",
            Self::Diff { .. } => "diff",
            Self::SealingKey { .. } => "sealing-key",
            Self::Tokens => "tokens",
            Self::Health => "health",
        }
    }
}

/// Which objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Of this kind.
    pub kind: KindName,
    /// In this workspace; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// With this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
    /// Kubernetes label selector in its text form, e.g. `env=prod,tier!=db`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// As they were then; absent for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

/// A point in the ledger's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// After this record.
    Sequence(u64),
    /// After the last record stored at or before this time.
    Time(Timestamp),
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFilter {
    /// About objects of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindName>,
    /// About objects of this workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// About objects of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
    /// Caused by this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Whose type contains this text, e.g. `accepted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_contains: Option<String>,
    /// From this point on, including it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<At>,
    /// Up to this point, including it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<At>,
    /// At most the last so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// Go on with new ones as they come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// With the event's whole data, not only what it is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub data: bool,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "answer",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Answer {
    /// An object with its status.
    Object {
        /// It, in Kubernetes' form.
        object: Value,
    },
    /// A watched object changed.
    Changed {
        /// How.
        change: WatchChange,
        /// It, as it now is or last was.
        object: Value,
    },
    /// All objects that were there have been sent; what follows are changes.
    Listed,
    /// Something that happened.
    Event(Box<EventView>),
    /// An object that differs between two points in time.
    Difference {
        /// Which.
        key: ObjectKey,
        /// As it was; absent if it did not exist.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
        /// As it is; absent if it is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Value>,
    },
    /// The key that secrets for a cluster are sealed to.
    SealingKey {
        /// X25519 public key, base64.
        public_key: String,
    },
    /// A join token.
    Token(Box<TokenView>),
    /// How the hub is.
    Health(Box<Health>),
    /// Nothing more comes.
    End {
        /// The ledger sequence that the answers stand for.
        sequence: u64,
    },
    /// The question was not answered.
    Refused(Refusal),
}

/// How a watched object changed, in Kubernetes' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WatchChange {
    /// It is there now.
    Added,
    /// It is different now.
    Modified,
    /// It is gone or no longer selected.
    Deleted,
}

/// An event as people look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Its address.
    pub id: EventId,
    /// Its type with version.
    pub kind: String,
    /// When the bus stored it.
    pub time: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The object it is about, as `managedclusters/c1`.
    pub object: String,
    /// One line for people.
    pub summary: String,
    /// The command it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<Uuid>,
    /// The event that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// Trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Its data, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// A join token as people look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// What it allows.
    #[serde(flatten)]
    pub grant: crate::command::TokenGrant,
    /// How many clusters have joined by it.
    pub used: u32,
    /// Somebody made it useless.
    pub revoked: bool,
    /// When it was minted.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
}

/// How a hub is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The replica that answers.
    pub hub: String,
    /// Its version.
    pub version: String,
    /// Whether it leads.
    pub leads: bool,
    /// Why it has stopped deciding, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<String>,
    /// Its clock when it answered.
    pub time: Timestamp,
    /// The last ledger sequence it has folded.
    pub sequence: u64,
    /// How many objects of each kind there are.
    pub objects: std::collections::BTreeMap<String, u64>,
    /// The bus's version.
    pub server_version: String,
    /// Its streams.
    pub streams: Vec<StreamHealth>,
}

/// How a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamHealth {
    /// Its name.
    pub name: String,
    /// How many messages it holds.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// Fields that differ from what is declared; empty when all is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}
