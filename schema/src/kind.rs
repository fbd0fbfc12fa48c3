//! The kinds of objects Skein stores, and how they are looked up.
//!
//! A kind is one file below `kind/`: its types, a [`KindInfo`] that names it and describes its
//! fields, and an `impl Kind`. Adding one line to the list in `resource.rs` makes it known
//! everywhere. The wire form is Open Cluster Management's, so its YAML applies unchanged.

pub mod add_on_placement_score;
pub mod admission;
pub mod cluster_role;
pub mod cluster_role_binding;
pub mod condition;
pub mod label_selector;
pub mod managed_cluster;
pub mod managed_cluster_set;
pub mod managed_cluster_set_binding;
pub mod manifest;
pub mod manifest_work;
pub mod namespace;
pub mod object_meta;
pub mod placement;
pub mod placement_decision;
pub mod rbac;
pub mod role;
pub mod role_binding;
pub mod rollout_strategy;

mod lookup;

pub use lookup::{LookupError, lookup, resolve};

use crate::decode::shape::Field;
use crate::resource::KindName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Where objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One of a name in the whole fleet; `metadata.namespace` must be absent.
    Cluster,
    /// One of a name per namespace; `metadata.namespace` is required.
    Namespaced,
}

/// Which names an object of a kind may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// An RFC 1123 label: lower-case letters, digits and `-`, at most 63 characters.
    Label,
    /// An RFC 1123 subdomain: labels joined by dots, at most this many characters.
    Subdomain {
        /// Longest name, in characters; Kubernetes' own limit is 253.
        max: usize,
    },
    /// Subdomains joined by colons, at most 253 characters, as roles and bindings are called:
    /// `open-cluster-management:managedclusterset:view:prod`.
    Parts,
}

/// A version of a kind that other control planes know and Skein refuses, with what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetiredVersion {
    /// Version without the group, for example `v1beta1`.
    pub version: &'static str,
    /// What to write instead, told to the person whose object was refused.
    pub hint: &'static str,
}

/// Everything that names a kind, in Kubernetes' words.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// Its variant in [`KindName`].
    pub name: KindName,
    /// API group, empty for the core group.
    pub group: &'static str,
    /// The one version that is stored and served.
    pub version: &'static str,
    /// Versions that are refused with a hint.
    pub retired: &'static [RetiredVersion],
    /// CamelCase kind as in `kind:`.
    pub kind: &'static str,
    /// Lower-case plural, the resource name.
    pub plural: &'static str,
    /// Lower-case singular.
    pub singular: &'static str,
    /// Abbreviations for the command line.
    pub short_names: &'static [&'static str],
    /// Where its objects live.
    pub scope: Scope,
    /// Which names its objects may have.
    pub name_rule: NameRule,
    /// Its fields beside `apiVersion`, `kind` and `metadata`; what decoding checks against.
    pub fields: &'static [Field],
}

impl KindInfo {
    /// `group/version`, or the version alone in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, or the plural alone in the core group: the name that is never ambiguous.
    #[must_use]
    pub fn qualified_plural(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// True if objects live in a namespace.
    #[must_use]
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

impl PartialEq for KindInfo {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A typed object of one kind.
///
/// Serialisation is the wire form without `apiVersion` and `kind`; [`crate::resource::Resource`]
/// adds those two.
pub trait Kind: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    /// What the kind is called and how it is shaped.
    const INFO: KindInfo;

    /// Metadata of the object.
    fn metadata(&self) -> &ObjectMeta;

    /// Metadata of the object, for changing.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;
}

/// Implements [`Kind`] for a struct with a `metadata` field.
macro_rules! impl_kind {
    ($type:ty, $info:expr) => {
        impl $crate::kind::Kind for $type {
            const INFO: $crate::kind::KindInfo = $info;

            fn metadata(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn metadata_mut(
                &mut self,
            ) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(crate) use impl_kind;

#[cfg(test)]
mod tests;
