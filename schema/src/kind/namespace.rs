//! `Namespace` of the core group, `v1`: a workspace, or the home of one cluster's works.

use crate::decode::shape::{Field, Format, Shape};
use crate::kind::{KindInfo, NameRule, Scope, impl_kind};
use crate::resource::KindName;
use k8s_openapi::api::core::v1::{NamespaceSpec, NamespaceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// A namespace. One with bindings is a workspace; one named like a cluster holds its works.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Standard metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Finalizers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<NamespaceSpec>,
    /// Phase and conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<NamespaceStatus>,
}

impl Namespace {
    /// True once the namespace is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
            || self
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                == Some("Terminating")
    }
}

impl_kind!(
    Namespace,
    KindInfo {
        name: KindName::Namespace,
        group: "",
        version: "v1",
        retired: &[],
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        scope: Scope::Cluster,
        name_rule: NameRule::Label,
        fields: &[
            Field::new(
                "spec",
                Shape::Object(&[Field::new("finalizers", Shape::list(&Shape::ANY_TEXT))]),
            ),
            Field::new("status", Shape::Object(STATUS)),
        ],
    }
);

const STATUS: &[Field] = &[
    Field::new("phase", Shape::one_of(&["Active", "Terminating"])),
    Field::new(
        "conditions",
        Shape::set(
            &Shape::Object(&[
                Field::new("type", Shape::text(1, 316, Format::Any)).required(),
                Field::new("status", Shape::one_of(&["True", "False", "Unknown"])).required(),
                Field::new("lastTransitionTime", Shape::Time),
                Field::new("reason", Shape::ANY_TEXT),
                Field::new("message", Shape::ANY_TEXT),
            ]),
            &["type"],
        ),
    ),
];
