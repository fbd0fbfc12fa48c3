//! What is to be done in the world, as values. [`super::perform`] is the one place that does it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use skein_hub_core::Grant;
use skein_nats::Message;
use skein_nats::ledger::NewRecord;
use skein_schema::code::Refusal;
use skein_schema::command::{Change, TokenGrant};
use skein_schema::desired::DesiredChange;
use skein_schema::digest::Digest;
use skein_schema::name::{ClusterName, SetName, UserName};
use uuid::Uuid;

use crate::state::{Announcement, Standing};

/// Something to do. Doing it twice is harmless; each says by which key.
#[derive(Debug)]
pub enum Effect {
    /// Store manifests before the record that names them. Key: their digest.
    StoreContents(Vec<(Digest, Vec<u8>)>),
    /// Put a record on the wire, right behind the one before. Key: the expected last sequence.
    Append {
        /// The record.
        record: NewRecord,
        /// The ledger's last sequence that it is decided upon.
        expected_last: u64,
    },
    /// Answer a command, and take it off the queue then. Key: the command's id.
    AnswerCommand(Box<CommandAnswer>),
    /// Answer a request to join or to renew. Key: the request's id.
    AnswerJoin(Box<JoinReply>),
    /// Tell a cluster what changed. Key: cluster and ledger sequence.
    Dispatch(Outgoing),
    /// Tell watchers. Key: the sequence; a watcher looks at the state, not at the telling.
    Announce(Announcement),
    /// Let the bus refuse these keys. Key: the whole map, which is pushed each time.
    Revoke(BTreeMap<String, Timestamp>),
    /// Remember that the ledger acknowledged this record. Key: the sequence.
    Witness {
        /// Its sequence.
        sequence: u64,
        /// Its id, on which the next record stands.
        id: String,
        /// Its digest.
        digest: Digest,
    },
    /// Read the ledger from here on. Key: the sequence; what is read twice is dropped.
    Follow {
        /// The first sequence to read.
        from: u64,
    },
    /// Find out how far the ledger goes. Key: none needed, it is a question.
    FindEnd,
    /// Stop reading, and append behind this sequence. Key: the sequence.
    Lead {
        /// The last sequence.
        last: u64,
    },
    /// Give up the lease, so that another hub may try. Key: the lease.
    Resign,
    /// Make known whether this hub decides. Key: the standing itself.
    Stand(Standing),
}

/// What a record means for the desired state of clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The record's sequence.
    pub sequence: u64,
    /// The trace context of what led here.
    pub traceparent: Option<String>,
    /// For each cluster its set, and what changes.
    pub clusters: BTreeMap<ClusterName, (SetName, Vec<DesiredChange>)>,
}

/// To whom a command's answer goes, and the command's place in the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandAnswer {
    /// The command's id.
    pub id: Uuid,
    /// Who sent it.
    pub user: UserName,
    /// Its verb, for counting.
    pub verb: String,
    /// Its trace context.
    pub traceparent: Option<String>,
    /// Its sequence in the COMMANDS stream.
    pub queued: u64,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// It was decided before, and is only answered again.
    pub repeated: bool,
    /// The answer.
    pub verdict: Verdict,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Decided.
    Done {
        /// What became of the object.
        change: Change,
        /// The record's sequence, if one was needed.
        sequence: Option<u64>,
        /// The object as it now is, packed.
        object: Option<Value>,
        /// A token to mint the bootstrap credential of.
        token: Option<TokenGrant>,
        /// What the user should know.
        warnings: Vec<String>,
    },
    /// Refused.
    Refused(Refusal),
}

/// The answer to a request to join or to renew.
#[derive(Debug)]
pub struct JoinReply {
    /// The request, for its reply subject.
    pub to: Message,
    /// The answer.
    pub answer: JoinVerdict,
}

/// What became of a request to join or to renew.
#[derive(Debug, Clone, PartialEq)]
pub enum JoinVerdict {
    /// Somebody has yet to accept.
    Pending {
        /// What the agent's owner should be told.
        message: String,
    },
    /// Let in: a credential is to be minted.
    Issue(Box<Grant>),
    /// Refused.
    Refused(Refusal),
}
