//! What became of a manifest.

use crate::retry::{self, Backoff};
use skein_schema::kind::manifest_work::ManifestResourceMeta;
use std::time::Duration;

/// How soon a refused permission is asked for again (OCM).
pub const DENIED_RETRY: Duration = Duration::from_secs(60);

/// What became of one manifest of a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOutcome {
    /// The object; `resource` is empty as long as the API server does not know the kind.
    pub resource: ManifestResourceMeta,
    /// What was done.
    pub result: ManifestResult,
}

/// What was done with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestResult {
    /// It was written.
    Applied {
        /// The object's uid.
        uid: String,
        /// The work owns it, and takes it along when it goes.
        owned: bool,
    },
    /// It is only looked at.
    ReadOnly,
    /// It has run to its end and is written no more.
    Complete,
    /// It could not be applied.
    Failed(ApplyError),
}

/// Why a manifest could not be applied. The texts stand in the status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It is no Kubernetes object.
    #[error("{0}")]
    Undecodable(String),
    /// Its content has not come yet.
    #[error("the manifest's content cannot be had: {0}")]
    Content(String),
    /// Its sealed payload cannot be opened.
    #[error("the sealed Secret cannot be opened: {0}")]
    Sealed(String),
    /// The API server does not know the kind.
    #[error("the server doesn't have a resource type {0:?}")]
    UnknownKind(String),
    /// The executor may not apply it.
    #[error("not allowed to apply the resource, will try again in 1m0s: {0}")]
    Denied(String),
    /// Another field manager owns a field, and the work does not force.
    #[error("{0}")]
    Conflict(String),
    /// The agent cannot do what the work asks for.
    #[error("{0}")]
    Unsupported(String),
    /// The API server refused it or could not be asked.
    #[error("{0}")]
    Failed(String),
}

/// When a manifest is tried again by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retry {
    /// Not before the work or the object changes.
    OnChange,
    /// After growing delays.
    Backoff(Backoff),
    /// After a fixed time.
    After(Duration),
}

impl ApplyError {
    /// When it is worth trying again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Undecodable(_) | Self::Sealed(_) | Self::Conflict(_) | Self::Unsupported(_) => {
                Retry::OnChange
            }
            Self::Denied(_) => Retry::After(DENIED_RETRY),
            Self::Content(_) | Self::UnknownKind(_) | Self::Failed(_) => {
                Retry::Backoff(retry::APPLY)
            }
        }
    }
}

/// When the work as a whole is tried again: as soon as one of its manifests wants to.
#[must_use]
pub fn retry(outcomes: &[ManifestOutcome]) -> Retry {
    let mut retry = Retry::OnChange;
    for outcome in outcomes {
        if let ManifestResult::Failed(error) = &outcome.result {
            match error.retry() {
                Retry::Backoff(backoff) => return Retry::Backoff(backoff),
                Retry::After(delay) => retry = Retry::After(delay),
                Retry::OnChange => {}
            }
        }
    }
    retry
}
