//! What reaches the driver, from wherever.

use skein_nats::Message;
use skein_nats::ledger::StoredRecord;
use skein_schema::join::{JoinRequest, RenewRequest};
use skein_schema::name::{ClusterName, TokenName};
use skein_schema::status::{Heartbeat, StatusMessage};

use crate::intake::CommandRequest;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A command was delivered, perhaps not for the first time.
    Command(Box<CommandRequest>),
    /// A cluster asks to join.
    Join(Box<JoinCall>),
    /// A cluster asks for a fresh credential.
    Renew(Box<RenewCall>),
    /// A status message was stored.
    Status(Box<StatusCall>),
    /// Heartbeats were heard.
    Beats(Vec<(ClusterName, Heartbeat)>),
    /// An agent's connection came or went, as the bus tells.
    Connection {
        /// Whose.
        cluster: ClusterName,
        /// Whether it is there.
        connected: bool,
    },
    /// A record was read from the ledger.
    Read(Box<StoredRecord>),
    /// The ledger could not be read any further: a record is damaged or was lost.
    Unreadable(String),
    /// The ledger's last sequence, asked for by [`super::effect::Effect::FindEnd`].
    End(u64),
    /// The oldest record on its way was acknowledged.
    Appended {
        /// Its sequence.
        sequence: u64,
    },
    /// The oldest record on its way was not taken, and none behind it will be.
    NotAppended,
    /// The oldest record on its way is not taken for what it is: too large, or no room.
    Rejected {
        /// The bus's words.
        reason: String,
    },
    /// This hub holds the lease now.
    LeaseHeld,
    /// It does not, or not any more.
    LeaseLost,
    /// Time has passed.
    Tick,
}

/// A request on `join.<token>`.
#[derive(Debug, Clone)]
pub struct JoinCall {
    /// The token, as the bus says.
    pub token: TokenName,
    /// The request.
    pub request: JoinRequest,
    /// The message, for the answer.
    pub message: Message,
}

/// A request on `renew.<set>.<cluster>`.
#[derive(Debug, Clone)]
pub struct RenewCall {
    /// The cluster, as the bus says.
    pub cluster: ClusterName,
    /// The request.
    pub request: RenewRequest,
    /// The message, for the answer.
    pub message: Message,
}

/// A message of the STATUS stream.
#[derive(Debug, Clone)]
pub struct StatusCall {
    /// The cluster, as the bus says; absent when the message could not be read and only its
    /// sequence counts.
    pub report: Option<(ClusterName, StatusMessage)>,
    /// Its sequence in the STATUS stream.
    pub sequence: u64,
    /// When the bus stored it.
    pub time: jiff::Timestamp,
}
