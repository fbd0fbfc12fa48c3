//! Catching up: an agent's request on `sync.<set>.<cluster>` and what comes back to its inbox.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::code::Refusal;
use crate::digest::Digest;
use crate::name::SetName;

/// Header that says what an answer on a sync inbox is; its values are [`SyncPart`]'s texts.
pub const PART_HEADER: &str = "Skein-Sync";

/// What one answer is. A desired part has the headers and body of a desired message and is checked
/// like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPart {
    /// A desired message, replayed or a snapshot's part.
    Desired,
    /// A content: the body is the manifest's bytes.
    Content,
    /// The last answer; its body is a [`SyncEnd`].
    End,
}

impl SyncPart {
    /// The header's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Desired => "desired",
            Self::Content => "content",
            Self::End => "end",
        }
    }

    /// Reads the header's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Desired, Self::Content, Self::End]
            .into_iter()
            .find(|part| part.as_str() == text)
    }
}

/// What an agent asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "want",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum SyncRequest {
    /// Everything after a revision.
    Desired {
        /// The agent's run.
        session: Uuid,
        /// The last revision it has; 0 for none.
        rev: u64,
    },
    /// A content that one of its works names.
    Content {
        /// Which.
        digest: Digest,
    },
}

/// How a catch-up ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SyncEnd {
    /// The agent has all that there is.
    Current {
        /// The newest revision.
        rev: u64,
        /// The cluster's set now.
        clusterset: SetName,
    },
    /// There is more: ask again with the last revision received.
    More,
    /// The content was sent.
    Sent,
    /// Not for this agent, or not there.
    Refused(Refusal),
}
