//! What an API server's failures mean.

/// Why a request to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No such object, namespace or resource.
    #[error("not found: {message}")]
    NotFound {
        /// The server's words.
        message: String,
    },
    /// There is an object of the name.
    #[error("already exists: {message}")]
    AlreadyExists {
        /// The server's words.
        message: String,
    },
    /// Other field managers own fields that the request sets (server-side apply).
    #[error("fields are owned by others: {message}")]
    FieldConflict {
        /// The server's words; they name fields and managers.
        message: String,
    },
    /// The object is not the one, or not the version, that the request is for.
    #[error("the object has changed: {message}")]
    Changed {
        /// The server's words.
        message: String,
    },
    /// The identity used may not do this.
    #[error("forbidden: {message}")]
    Forbidden {
        /// The server's words.
        message: String,
    },
    /// The server does not take the object as it is.
    #[error("invalid: {message}")]
    Invalid {
        /// The server's words.
        message: String,
    },
    /// The server fails or is busy; trying again can help.
    #[error("the API server answers {code}: {message}")]
    Server {
        /// HTTP status.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// No answer came in time. The request may have been acted on.
    #[error("the API server did not answer in {seconds} seconds")]
    TimedOut {
        /// How long it was waited.
        seconds: u64,
    },
    /// There was no answer.
    #[error("the API server cannot be reached")]
    Unreachable(#[source] Box<kube::Error>),
    /// The request could not be made; a defect or a name that fits no URL.
    #[error("the request cannot be made")]
    Request(#[source] kube::core::request::Error),
}

impl ApiError {
    /// Whether the object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unreachable(Box::new(error));
        };
        let causes = status
            .details
            .as_ref()
            .map_or(&[][..], |details| &details.causes);
        let field_conflict = causes
            .iter()
            .any(|cause| cause.reason == "FieldManagerConflict");
        let message = status.message.clone();
        match status.code {
            404 => Self::NotFound { message },
            409 if status.reason == "AlreadyExists" => Self::AlreadyExists { message },
            409 if field_conflict => Self::FieldConflict { message },
            409 => Self::Changed { message },
            401 | 403 => Self::Forbidden { message },
            400 | 405 | 406 | 413 | 415 | 422 => Self::Invalid { message },
            code => Self::Server { code, message },
        }
    }
}

/// Why a kind could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The server has no such kind: its definition may come later.
    #[error("the cluster has no kind {kind} in {api_version}")]
    UnknownKind {
        /// The apiVersion asked for.
        api_version: String,
        /// The kind asked for.
        kind: String,
    },
    /// The server did not say.
    #[error("the kinds of {api_version} cannot be listed")]
    Discovery {
        /// The apiVersion asked for.
        api_version: String,
        /// Why.
        #[source]
        source: ApiError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::{Status, StatusCause, StatusDetails};

    fn error(code: u16, reason: &str, cause: &str) -> ApiError {
        let details = StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![StatusCause {
                reason: cause.into(),
                message: String::new(),
                field: String::new(),
            }],
            retry_after_seconds: 0,
        };
        kube::Error::Api(
            Status::failure("words", reason)
                .with_code(code)
                .with_details(details)
                .boxed(),
        )
        .into()
    }

    #[test]
    fn the_three_conflicts_are_told_apart() {
        assert!(matches!(
            error(409, "AlreadyExists", ""),
            ApiError::AlreadyExists { .. }
        ));
        assert!(matches!(
            error(409, "Conflict", "FieldManagerConflict"),
            ApiError::FieldConflict { .. }
        ));
        assert!(matches!(
            error(409, "Conflict", ""),
            ApiError::Changed { .. }
        ));
    }

    #[test]
    fn refusals_and_outages_are_told_apart() {
        assert!(error(404, "NotFound", "").is_not_found());
        assert!(matches!(
            error(403, "Forbidden", ""),
            ApiError::Forbidden { .. }
        ));
        assert!(matches!(
            error(422, "Invalid", ""),
            ApiError::Invalid { .. }
        ));
        assert!(matches!(
            error(503, "ServiceUnavailable", ""),
            ApiError::Server { code: 503, .. }
        ));
    }
}
