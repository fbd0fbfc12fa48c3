//! What outlives every crash: the ledger, the streams and the queue, as bytes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use skein_hub_core::Stored;
use skein_schema::desired::DesiredHeader;
use skein_schema::envelope::Envelope;
use skein_schema::name::{ClusterName, SetName};
use skein_schema::record::Record;
use uuid::Uuid;

use super::Broken;

/// A ledger message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// The ledger stream: takes a record only behind the one that its writer names.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    messages: Vec<Message>,
}

/// Somebody else wrote.
#[derive(Debug)]
pub(super) struct Conflict;

impl Ledger {
    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Takes a message as the one behind `expected`.
    pub(super) fn append(&mut self, message: Message, expected: u64) -> Result<u64, Conflict> {
        if self.last() != expected {
            return Err(Conflict);
        }
        self.messages.push(message);
        Ok(self.last())
    }

    /// Reads a record from its bytes, as a hub that starts does.
    pub(super) fn read(&self, sequence: u64) -> Result<Stored, Broken> {
        let place = usize::try_from(sequence - 1).unwrap_or(usize::MAX);
        let message = self.messages.get(place);
        let message = message.ok_or_else(|| Broken(format!("record {sequence} is not there")))?;
        let unreadable = |error: &dyn std::fmt::Display| {
            Broken(format!(
                "record {sequence} under {} cannot be read: {error}",
                message.subject
            ))
        };
        let get = |name: &str| {
            let mut headers = message.headers.iter();
            headers
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        let envelope = Envelope::from_headers(get).map_err(|error| unreadable(&error))?;
        envelope
            .check_body(&message.body)
            .map_err(|error| unreadable(&error))?;
        let record = Record::decode(&message.body).map_err(|error| unreadable(&error))?;
        Ok(Stored {
            sequence,
            time: envelope.time,
            envelope,
            record,
        })
    }
}

/// A signed message for an agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Desired {
    /// The set whose subject it is on.
    pub(super) set: SetName,
    pub(super) header: DesiredHeader,
    pub(super) body: Vec<u8>,
    pub(super) signature: String,
}

/// A command that waits to be taken off the queue.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub(super) id: Uuid,
    pub(super) user: String,
    pub(super) body: Vec<u8>,
}

/// A status message as the stream has it.
#[derive(Debug, Clone)]
pub(super) struct StoredStatus {
    pub(super) cluster: ClusterName,
    pub(super) time: Timestamp,
    pub(super) body: Vec<u8>,
}

/// A stored snapshot of both folds.
#[derive(Debug, Clone)]
pub(super) struct StoredSnapshot {
    /// How many status messages it includes.
    pub(super) statuses: usize,
    pub(super) bytes: Vec<u8>,
}

/// Everything that is stored.
#[derive(Debug, Default)]
pub(super) struct Bus {
    pub(super) ledger: Ledger,
    /// Commands by their place in the queue.
    pub(super) commands: BTreeMap<u64, Queued>,
    next_command: u64,
    pub(super) statuses: Vec<StoredStatus>,
    pub(super) desired: BTreeMap<ClusterName, Vec<Desired>>,
    pub(super) snapshots: Vec<StoredSnapshot>,
    /// Keys that the bus lets in no more, if their credential is not newer than this.
    pub(super) revocations: BTreeMap<String, Timestamp>,
}

impl Bus {
    /// Queues a command.
    pub(super) fn queue(&mut self, queued: Queued) -> u64 {
        self.next_command += 1;
        self.commands.insert(self.next_command, queued);
        self.next_command
    }

    /// Whether a key with a credential of this moment is let in.
    pub(super) fn admits(&self, nkey: &str, issued_at: Timestamp) -> bool {
        self.revocations
            .get(nkey)
            .is_none_or(|revoked| issued_at > *revoked)
    }
}
