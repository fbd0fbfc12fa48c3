//! The status of a namespace.

use k8s_openapi::api::core::v1::NamespaceStatus;
use skein_schema::kind::namespace::Namespace;

/// Whether a namespace is in use or on its way out.
pub(super) fn status(object: &Namespace) -> NamespaceStatus {
    let phase = if object.is_terminating() {
        "Terminating"
    } else {
        "Active"
    };
    NamespaceStatus {
        conditions: None,
        phase: Some(phase.to_owned()),
    }
}
