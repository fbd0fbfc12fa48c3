//! The memory of what was acknowledged, kept outside of the bus.
//!
//! A bus that lost its end hands out the same sequences again, and nothing on it tells.
//! A writer that remembers the last acknowledgement notices, and fences itself off.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skein_schema::digest::Digest;

use super::{Ledger, ReadError};
use crate::private_file::{self, FileError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    sequence: u64,
    digest: Digest,
}

/// What a writer remembers of the ledger.
#[derive(Debug)]
pub struct Witness {
    path: PathBuf,
    mark: Option<Mark>,
    written: Option<Mark>,
}

/// How the ledger contradicts what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fenced {
    /// It ends before a record that was acknowledged.
    #[error("the ledger ends at {found}, but {acknowledged} was acknowledged: records were lost")]
    Shorter {
        /// The acknowledged sequence.
        acknowledged: u64,
        /// Where it ends.
        found: u64,
    },
    /// It has another record where one was acknowledged.
    #[error("record {sequence} is not the one that was acknowledged: the ledger is another one")]
    Different {
        /// The sequence.
        sequence: u64,
        /// The digest that was acknowledged.
        acknowledged: Digest,
        /// The digest found.
        found: Digest,
    },
}

/// Why the ledger must not be written to.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It contradicts what was acknowledged. Only a person can say what to do.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The ledger cannot be read.
    #[error("the ledger cannot be compared with what was acknowledged")]
    Read(#[from] ReadError),
    /// The memory cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The memory is damaged.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        #[source]
        source: serde_json::Error,
    },
}

impl Witness {
    /// Reads the memory; a missing file is an empty one.
    ///
    /// # Errors
    /// [`WitnessError::File`] or [`WitnessError::Damaged`].
    pub fn open(path: &Path) -> Result<Self, WitnessError> {
        let path = path.to_owned();
        if !path.exists() {
            return Ok(Self {
                path,
                mark: None,
                written: None,
            });
        }
        let text = private_file::read(&path)?;
        match serde_json::from_str(&text) {
            Ok(mark) => Ok(Self {
                path,
                mark: Some(mark),
                written: Some(mark),
            }),
            Err(source) => Err(WitnessError::Damaged { path, source }),
        }
    }

    /// Compares the memory with the ledger; to be done before anything is written.
    ///
    /// # Errors
    /// [`WitnessError::Fenced`] when they contradict each other.
    pub async fn check(&self, ledger: &dyn Ledger) -> Result<(), WitnessError> {
        let Some(Mark { sequence, digest }) = self.mark else {
            return Ok(());
        };
        let end = ledger.tip().await?.sequence;
        if end < sequence {
            return Err(Fenced::Shorter {
                acknowledged: sequence,
                found: end,
            }
            .into());
        }
        match ledger.get(sequence).await?.map(|record| record.digest()) {
            Some(found) if found == digest => Ok(()),
            Some(found) => Err(Fenced::Different {
                sequence,
                acknowledged: digest,
                found,
            }
            .into()),
            None => Err(Fenced::Shorter {
                acknowledged: sequence,
                found: sequence - 1,
            }
            .into()),
        }
    }

    /// Remembers a record that was acknowledged or read. Earlier ones change nothing. It costs
    /// nothing: [`Self::flush`] writes.
    pub fn note(&mut self, sequence: u64, digest: Digest) {
        if self.mark.is_none_or(|mark| mark.sequence < sequence) {
            self.mark = Some(Mark { sequence, digest });
        }
    }

    /// Writes the memory to its file if it has changed: from time to time and at the end. A
    /// memory that lags notices a little less and accuses nobody wrongly.
    ///
    /// # Errors
    /// [`WitnessError::File`].
    pub fn flush(&mut self) -> Result<(), WitnessError> {
        if let Some(mark) = self.mark
            && self.mark != self.written
        {
            let text = serde_json::to_vec(&mark).expect("a mark is JSON");
            private_file::write(&self.path, &text)?;
            self.written = self.mark;
        }
        Ok(())
    }

    /// The last sequence remembered; 0 when there is none.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.mark.map_or(0, |mark| mark.sequence)
    }
}
