//! One object of any kind: [`Resource`], and its wire form.
//!
//! The list at the end of this file is the registry of kinds.

use crate::kind::add_on_placement_score::AddOnPlacementScore;
use crate::kind::cluster_role::ClusterRole;
use crate::kind::cluster_role_binding::ClusterRoleBinding;
use crate::kind::managed_cluster::ManagedCluster;
use crate::kind::managed_cluster_set::ManagedClusterSet;
use crate::kind::managed_cluster_set_binding::ManagedClusterSetBinding;
use crate::kind::manifest_work::ManifestWork;
use crate::kind::namespace::Namespace;
use crate::kind::placement::Placement;
use crate::kind::placement_decision::PlacementDecision;
use crate::kind::role::Role;
use crate::kind::role_binding::RoleBinding;
use crate::kind::{Kind, KindInfo, Scope};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// Why a stored object could not be read back.
///
/// For objects that people write, use [`crate::decode::decode`], which reports every problem.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The value is no JSON object with the strings `apiVersion` and `kind`.
    #[error("the value is not an object with apiVersion and kind")]
    NotAnObject,
    /// No kind of this apiVersion and kind is known.
    #[error("kind {kind:?} of {api_version:?} is not known")]
    UnknownKind {
        /// `apiVersion` as written.
        api_version: String,
        /// `kind` as written.
        kind: String,
    },
    /// The fields do not fit the kind.
    #[error("the fields do not fit kind {kind}")]
    Shape {
        /// Kind of the object.
        kind: KindName,
        /// What did not fit, with its path.
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
}

impl Resource {
    /// Name, group, version, scope and fields of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static KindInfo {
        self.kind_name().info()
    }

    /// `metadata.name`, empty if it was never set.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`, `None` for cluster-scoped kinds.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self.kind().scope {
            Scope::Cluster => None,
            Scope::Namespaced => Some(self.metadata().namespace.as_deref().unwrap_or_default()),
        }
    }

    /// Value of a label, if it has one.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata()
            .labels
            .as_ref()?
            .get(key)
            .map(String::as_str)
    }

    /// Value of an annotation, if it has one.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata()
            .annotations
            .as_ref()?
            .get(key)
            .map(String::as_str)
    }

    /// The whole object in wire form, keys sorted.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("kinds have string keys only and no failing serializer")
    }

    /// The whole object in wire form as compact JSON with sorted keys: equal objects give equal
    /// bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// `spec` in wire form, `null` if the kind has none.
    #[must_use]
    pub fn spec_value(&self) -> Value {
        self.part("spec")
    }

    /// `status` in wire form, `null` while there is none.
    #[must_use]
    pub fn status_value(&self) -> Value {
        self.part("status")
    }

    /// The same object with another status, or with none for `null`.
    ///
    /// # Errors
    /// [`ReadError::Shape`] if the value does not fit the kind's status.
    pub fn with_status_value(&self, status: Value) -> Result<Self, ReadError> {
        let mut object = self.to_value();
        if let Some(map) = object.as_object_mut() {
            match status {
                Value::Null => map.remove("status"),
                status => map.insert("status".to_owned(), status),
            };
        }
        Self::from_value(object)
    }

    fn part(&self, name: &str) -> Value {
        match self.to_value() {
            Value::Object(mut map) => map.remove(name).unwrap_or_default(),
            _ => Value::Null,
        }
    }

    /// Reads an object that Skein stored or sent itself: typed, unknown fields ignored, no
    /// validation (it was admitted once).
    ///
    /// # Errors
    /// [`ReadError`] if the kind is unknown or a field has the wrong type.
    pub fn from_value(value: Value) -> Result<Self, ReadError> {
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return Err(ReadError::NotAnObject);
        };
        let Ok(info) = crate::kind::lookup(api_version, kind) else {
            return Err(ReadError::UnknownKind {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            });
        };
        Self::read(info.name, value).map_err(|source| ReadError::Shape {
            kind: info.name,
            source,
        })
    }
}

fn serialize_object<K: Kind, S: Serializer>(object: &K, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Wire<'a, K> {
        #[serde(rename = "apiVersion")]
        api_version: String,
        kind: &'static str,
        #[serde(flatten)]
        object: &'a K,
    }
    Wire {
        api_version: K::INFO.api_version(),
        kind: K::INFO.kind,
        object,
    }
    .serialize(serializer)
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::deserialize(deserializer)?;
        Self::from_value(Value::Object(map)).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            serde::de::Error::custom(format_args!("{error}{}", cause.unwrap_or_default()))
        })
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().kind)
    }
}

/// Generates [`KindName`], [`KINDS`] and [`Resource`] from one list.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)+) => {
        /// The known kinds, written as their CamelCase name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum KindName {
            $($(#[$doc])* $kind,)+
        }

        impl KindName {
            /// Every kind, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Name, group, version, scope and fields of the kind.
            #[must_use]
            pub fn info(self) -> &'static KindInfo {
                match self {
                    $(Self::$kind => const { &<$kind as Kind>::INFO },)+
                }
            }
        }

        /// The registry: one entry per kind.
        pub static KINDS: &[KindInfo] = &[$(<$kind as Kind>::INFO),+];

        /// One object of any known kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Resource {
            $($(#[$doc])* $kind(Box<$kind>),)+
        }

        impl Resource {
            /// Its kind.
            #[must_use]
            pub fn kind_name(&self) -> KindName {
                match self { $(Self::$kind(_) => KindName::$kind,)+ }
            }

            /// Metadata of the object.
            #[must_use]
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Self::$kind(object) => object.metadata(),)+ }
            }

            /// Metadata of the object, for changing.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Self::$kind(object) => object.metadata_mut(),)+ }
            }

            /// Reads the typed fields of a known kind; unknown fields are ignored.
            pub(crate) fn read(
                kind: KindName,
                value: Value,
            ) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
                match kind {
                    $(KindName::$kind => serde_path_to_error::deserialize::<_, $kind>(value)
                        .map(|object| Self::$kind(Box::new(object))),)+
                }
            }
        }

        impl Serialize for Resource {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$kind(object) => serialize_object(object.as_ref(), serializer),)+
                }
            }
        }

        $(
            impl From<$kind> for Resource {
                fn from(object: $kind) -> Self {
                    Self::$kind(Box::new(object))
                }
            }
        )+
    };
}

kinds! {
    /// Scores of a cluster that placements may count.
    AddOnPlacementScore,
    /// Rights that can be given in a namespace or everywhere.
    ClusterRole,
    /// Gives the rights of a ClusterRole everywhere.
    ClusterRoleBinding,
    /// A cluster of the fleet.
    ManagedCluster,
    /// A group of clusters.
    ManagedClusterSet,
    /// Gives a namespace the use of a set.
    ManagedClusterSetBinding,
    /// Manifests for one cluster.
    ManifestWork,
    /// A workspace, or the home of one cluster's works.
    Namespace,
    /// Chooses clusters for a workspace.
    Placement,
    /// Clusters that a placement has chosen.
    PlacementDecision,
    /// Rights in one namespace.
    Role,
    /// Gives the rights of a role in one namespace.
    RoleBinding,
}

#[cfg(test)]
mod tests;
