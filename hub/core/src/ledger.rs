//! A record as the ledger holds it.

use jiff::Timestamp;
use skein_schema::envelope::Envelope;
use skein_schema::record::Record;

/// A record with what the ledger added to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its ledger sequence, from 1: the version of the world that includes it.
    pub sequence: u64,
    /// When the bus stored it. All times of the fold are of this clock.
    pub time: Timestamp,
    /// Who and why.
    pub envelope: Envelope,
    /// What happened.
    pub record: Record,
}
