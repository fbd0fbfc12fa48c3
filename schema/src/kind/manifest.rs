//! One manifest of a work: inline, named by digest, or with a sealed payload.

use crate::decode::JsonType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// Reserved key of a manifest that only names its content. Never part of an object on a cluster.
pub const CONTENT_KEY: &str = "skein.dev/content";
/// Reserved key that replaces `data` and `stringData` of a Secret once it is sealed.
pub const SEALED_KEY: &str = "skein.dev/sealed";
/// Largest inline manifest in bytes of compact JSON; larger ones are stored once, by digest.
pub const MAX_INLINE_BYTES: usize = 8 * 1024;

/// A Kubernetes object to be applied on a cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Manifest {
    /// The object itself, as it was written.
    Inline(Map<String, Value>),
    /// The object by the digest of its compact JSON. Used inside Skein, never by people.
    Content(ContentRef),
}

/// Names a manifest that is stored by digest, with what planning needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentRef {
    /// SHA-256 of the object's compact JSON, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Length of that JSON in bytes.
    pub size: u64,
    /// `apiVersion` of the object.
    pub api_version: String,
    /// `kind` of the object.
    pub kind: String,
    /// `metadata.namespace`, empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// The encrypted payload of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    /// Identifies the key of the cluster that can open it.
    pub recipient_key_id: String,
    /// The sealed payload, in base64.
    pub ciphertext: String,
}

/// What identifies an object among the manifests of a work: the strings as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestIdentity {
    /// `apiVersion`, empty if absent.
    pub api_version: String,
    /// `kind`, empty if absent.
    pub kind: String,
    /// `metadata.namespace`, empty if absent.
    pub namespace: String,
    /// `metadata.name`, empty if absent.
    pub name: String,
}

impl ManifestIdentity {
    /// API group of `api_version`, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Version without the group.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(self.api_version.as_str(), |(_, version)| version)
    }
}

impl Manifest {
    /// The identity of the object. Fields that are no strings count as absent.
    #[must_use]
    pub fn identity(&self) -> ManifestIdentity {
        match self {
            Self::Inline(object) => {
                let metadata = object.get("metadata");
                ManifestIdentity {
                    api_version: text(object.get("apiVersion")),
                    kind: text(object.get("kind")),
                    namespace: text(metadata.and_then(|metadata| metadata.get("namespace"))),
                    name: text(metadata.and_then(|metadata| metadata.get("name"))),
                }
            }
            Self::Content(content) => ManifestIdentity {
                api_version: content.api_version.clone(),
                kind: content.kind.clone(),
                namespace: content.namespace.clone(),
                name: content.name.clone(),
            },
        }
    }

    /// Length of the object's compact JSON in bytes, also if it is only named.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(object) => {
                let mut counter = Counter(0);
                serde_json::to_writer(&mut counter, object)
                    .expect("a JSON map with string keys always serialises");
                counter.0
            }
            Self::Content(content) => content.size,
        }
    }

    /// The object, if it is inline.
    #[must_use]
    pub fn inline(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Inline(object) => Some(object),
            Self::Content(_) => None,
        }
    }

    /// The reference, if the object is named by digest.
    #[must_use]
    pub fn content(&self) -> Option<&ContentRef> {
        match self {
            Self::Inline(_) => None,
            Self::Content(content) => Some(content),
        }
    }

    /// True if the object is a `v1` Secret whose payload is still readable, or a List with one.
    #[must_use]
    pub fn has_open_secret(&self) -> bool {
        self.inline().is_some_and(is_open_secret)
    }

    /// The sealed payload, if the object is inline and has one that is well formed.
    #[must_use]
    pub fn sealed(&self) -> Option<Sealed> {
        Sealed::deserialize(self.inline()?.get(SEALED_KEY)?).ok()
    }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The members of a Secret that hold its payload.
pub(crate) const PAYLOAD: [&str; 2] = ["data", "stringData"];

/// The annotation in which `kubectl apply` keeps a copy of the whole object, a Secret's payload
/// included.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether `object` is a Secret whose payload everybody can read, or a List that holds one.
#[must_use]
pub fn is_open_secret(object: &Map<String, Value>) -> bool {
    secrets(object)
        .iter()
        .any(|(_, secret)| has_payload(secret))
}

/// The `v1` Secrets that an object is or, being a List, holds, each with its path below the object.
pub(crate) fn secrets(object: &Map<String, Value>) -> Vec<(String, &Map<String, Value>)> {
    let mut found = Vec::new();
    find_secrets(object, String::new(), &mut found);
    found
}

fn find_secrets<'a>(
    object: &'a Map<String, Value>,
    path: String,
    found: &mut Vec<(String, &'a Map<String, Value>)>,
) {
    let is = |key: &str, text: &str| object.get(key).and_then(Value::as_str) == Some(text);
    if is("apiVersion", "v1") && is("kind", "Secret") {
        found.push((path, object));
        return;
    }
    let kind = object.get("kind").and_then(Value::as_str);
    if !kind.is_some_and(|kind| kind.ends_with("List")) {
        return;
    }
    let items = object.get("items").and_then(Value::as_array);
    for (index, item) in items.into_iter().flatten().enumerate() {
        if let Value::Object(item) = item {
            find_secrets(item, format!("{path}.items[{index}]"), found);
        }
    }
}

pub(crate) fn has_payload(secret: &Map<String, Value>) -> bool {
    let is_filled = |value: &Value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    PAYLOAD
        .iter()
        .any(|member| secret.get(*member).is_some_and(is_filled))
}

/// Counts the bytes written to it.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Inline(object) => object.serialize(serializer),
            Self::Content(content) => {
                serializer.collect_map(std::iter::once((CONTENT_KEY, content)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let Value::Object(mut object) = value else {
            let found = JsonType::of(&value);
            return Err(de::Error::custom(format_args!(
                "a manifest is an object, not {found}"
            )));
        };
        match object.remove(CONTENT_KEY) {
            None => Ok(Self::Inline(object)),
            Some(content) if object.is_empty() => ContentRef::deserialize(content)
                .map(Self::Content)
                .map_err(de::Error::custom),
            Some(_) => Err(de::Error::custom(format_args!(
                "{CONTENT_KEY} stands alone"
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
