//! Refusals, shaped as the `Status` bodies of a real API server.

use serde_json::{Map, Value, json};

use super::kinds::ResourceType;

/// A request the API server does not carry out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    /// HTTP status code.
    pub(crate) code: u16,
    /// Kubernetes' machine-readable reason.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
    /// `details` of the `Status`.
    pub(crate) details: Map<String, Value>,
}

/// One reason of an error, at one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    /// Kubernetes' cause type, as in `FieldValueRequired`.
    pub(crate) reason: &'static str,
    /// What is wrong with the field.
    pub(crate) message: String,
    /// The field's path.
    pub(crate) field: String,
}

impl Cause {
    /// A value that cannot be accepted.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Cause {
        Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {why}"),
            field: field.into(),
        }
    }

    /// A value of the wrong JSON type.
    pub(crate) fn wrong_type(field: impl Into<String>, want: &str, got: &str) -> Cause {
        let field = field.into();
        let message =
            format!("Invalid value: \"{got}\": {field} in body must be of type {want}: \"{got}\"");
        Cause {
            reason: "FieldValueTypeInvalid",
            message,
            field,
        }
    }

    /// A field that must be there.
    pub(crate) fn required(field: impl Into<String>, why: &str) -> Cause {
        let message = if why.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {why}")
        };
        Cause {
            reason: "FieldValueRequired",
            message,
            field: field.into(),
        }
    }

    /// A value outside a closed list.
    pub(crate) fn not_supported(
        field: impl Into<String>,
        value: &Value,
        allowed: &[String],
    ) -> Cause {
        let allowed: Vec<String> = allowed.iter().map(|one| format!("{one:?}")).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            allowed.join(", ")
        );
        Cause {
            reason: "FieldValueNotSupported",
            message,
            field: field.into(),
        }
    }

    /// The same thing twice.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
        Cause {
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {value}"),
            field: field.into(),
        }
    }

    /// Something that may not be done.
    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Cause {
        Cause {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {why}"),
            field: field.into(),
        }
    }

    fn body(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            code,
            reason,
            message: message.into(),
            details: Map::new(),
        }
    }

    fn about(mut self, kind: &ResourceType, name: &str) -> ApiError {
        if !name.is_empty() {
            self.details.insert("name".to_owned(), name.into());
        }
        if !kind.group.is_empty() {
            self.details
                .insert("group".to_owned(), kind.group.as_ref().into());
        }
        self.details
            .insert("kind".to_owned(), kind.plural.as_ref().into());
        self
    }

    fn because(mut self, causes: &[Cause]) -> ApiError {
        self.details.insert(
            "causes".to_owned(),
            causes.iter().map(Cause::body).collect(),
        );
        self
    }

    /// The named object does not exist.
    pub(crate) fn not_found(kind: &ResourceType, name: &str) -> ApiError {
        ApiError::new(
            404,
            "NotFound",
            format!("{} {name:?} not found", kind.group_resource),
        )
        .about(kind, name)
    }

    /// Nothing is served at that path: the answer is plain text, not a `Status`.
    pub(crate) fn page_not_found() -> ApiError {
        ApiError::new(404, "", "404 page not found\n")
    }

    /// The group version is served, but not this resource.
    pub(crate) fn resource_not_found() -> ApiError {
        ApiError::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// An object of that name exists.
    pub(crate) fn already_exists(kind: &ResourceType, name: &str) -> ApiError {
        ApiError::new(
            409,
            "AlreadyExists",
            format!("{} {name:?} already exists", kind.group_resource),
        )
        .about(kind, name)
    }

    /// A precondition of a deletion does not hold. A real server names the kind here, not the resource.
    pub(crate) fn precondition(kind: &ResourceType, name: &str, why: &str) -> ApiError {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.group_kind()
        );
        let mut error = ApiError::new(409, "Conflict", message).about(kind, name);
        error
            .details
            .insert("kind".to_owned(), kind.kind.as_ref().into());
        error
    }

    /// Another write came first, or a precondition does not hold.
    pub(crate) fn conflict(kind: &ResourceType, name: &str, why: &str) -> ApiError {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            kind.group_resource
        );
        ApiError::new(409, "Conflict", message).about(kind, name)
    }

    /// The write was based on an older version.
    pub(crate) fn stale(kind: &ResourceType, name: &str) -> ApiError {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        ApiError::conflict(kind, name, why)
    }

    /// Server-side apply met fields of other managers.
    pub(crate) fn apply_conflict(message: String, causes: &[Cause]) -> ApiError {
        ApiError::new(409, "Conflict", message).because(causes)
    }

    /// The object is not valid.
    pub(crate) fn invalid(kind: &ResourceType, name: &str, causes: &[Cause]) -> ApiError {
        let each: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let all = if each.len() == 1 {
            each.concat()
        } else {
            format!("[{}]", each.join(", "))
        };
        let mut error = ApiError::new(
            422,
            "Invalid",
            format!("{} {name:?} is invalid: {all}", kind.group_kind()),
        );
        error = error.about(kind, name).because(causes);
        error
            .details
            .insert("kind".to_owned(), kind.kind.as_ref().into());
        error
    }

    /// A replacement does not say which version it replaces. A real server names the resource here, not the kind.
    pub(crate) fn unversioned(kind: &ResourceType, name: &str, cause: &Cause) -> ApiError {
        let message = format!(
            "{} {name:?} is invalid: {}: {}",
            kind.group_resource, cause.field, cause.message
        );
        ApiError::new(422, "Invalid", message)
            .about(kind, name)
            .because(std::slice::from_ref(cause))
    }

    /// What a patch makes of the object cannot be read.
    pub(crate) fn invalid_patch(cause: &Cause) -> ApiError {
        let message = format!(" \"\" is invalid: {}: {}", cause.field, cause.message);
        ApiError::new(422, "Invalid", message).because(std::slice::from_ref(cause))
    }

    /// The request's options are not valid.
    pub(crate) fn invalid_options(options_kind: &str, cause: &Cause) -> ApiError {
        let message = format!(
            "{options_kind} \"\" is invalid: {}: {}",
            cause.field, cause.message
        );
        let (kind, group) = options_kind.split_once('.').unwrap_or((options_kind, ""));
        let mut error = ApiError::new(422, "Invalid", message).because(std::slice::from_ref(cause));
        error.details.insert("group".to_owned(), group.into());
        error.details.insert("kind".to_owned(), kind.into());
        error
    }

    /// The request cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", message)
    }

    /// The server refuses, whoever asks.
    pub(crate) fn forbidden(kind: &ResourceType, name: &str, why: &str) -> ApiError {
        ApiError::new(
            403,
            "Forbidden",
            format!("{} {name:?} is forbidden: {why}", kind.group_resource),
        )
        .about(kind, name)
    }

    /// Nothing new may come into a namespace on its way out.
    pub(crate) fn namespace_terminating(
        kind: &ResourceType,
        name: &str,
        namespace: &str,
    ) -> ApiError {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        ApiError::forbidden(kind, name, &why).because(&[Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        }])
    }

    /// The resource does not do that.
    pub(crate) fn method_not_allowed(kind: &ResourceType) -> ApiError {
        let mut error = ApiError::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource".to_owned(),
        );
        error
            .details
            .insert("kind".to_owned(), kind.plural.as_ref().into());
        error
    }

    /// A question to a container: in a simulated cluster there is none.
    pub(crate) fn nothing_runs(what: &str) -> ApiError {
        ApiError::new(
            501,
            "NotImplemented",
            format!("nothing runs in a simulated cluster: there is no {what}"),
        )
    }

    /// The body's media type is not one the resource takes.
    pub(crate) fn unsupported_media_type(accepted: &str) -> ApiError {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        ApiError::new(415, "UnsupportedMediaType", message)
    }

    /// A JSON patch does not fit the object.
    pub(crate) fn json_patch_failed(why: &str) -> ApiError {
        ApiError::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {why}"),
        )
    }

    /// The history that the request needs is gone.
    pub(crate) fn expired(message: impl Into<String>) -> ApiError {
        ApiError::new(410, "Expired", message)
    }

    /// A version from the future.
    pub(crate) fn too_large_version(asked: u64, current: u64) -> ApiError {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut error = ApiError::new(504, "Timeout", message);
        error
            .details
            .insert("retryAfterSeconds".to_owned(), 1.into());
        error.details.insert(
            "causes".to_owned(),
            json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]),
        );
        error
    }

    /// The server cannot apply this object.
    pub(crate) fn internal(message: impl Into<String>) -> ApiError {
        let message = message.into();
        let cause = Cause {
            reason: "",
            message: message.clone(),
            field: String::new(),
        };
        let mut error = ApiError::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        );
        error
            .details
            .insert("causes".to_owned(), json!([{"message": cause.message}]));
        error
    }

    /// The configuration that was applied does not fit the schema.
    pub(crate) fn not_typed(message: impl Into<String>) -> ApiError {
        ApiError::new(500, "", message)
    }

    /// The body is larger than a real server would take.
    pub(crate) fn too_large(limit: usize) -> ApiError {
        ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// The server is overloaded or broken on purpose.
    pub(crate) fn unavailable(message: impl Into<String>) -> ApiError {
        ApiError::new(503, "ServiceUnavailable", message)
    }

    /// The `Status` body.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = self.reason.into();
        }
        if !self.details.is_empty() || self.reason == "NotFound" {
            body["details"] = Value::Object(self.details.clone());
        }
        body
    }
}
