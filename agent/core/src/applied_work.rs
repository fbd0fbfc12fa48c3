//! `AppliedManifestWork`: the record on the cluster of what a work owns there.
//!
//! It is cluster-scoped, and every owned object carries an owner reference to it. So an agent that
//! has lost its disk still knows what it owns, and a person can remove a work by hand when the
//! agent is gone: deleting the record lets Kubernetes collect the objects.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use skein_schema::kind::manifest_work::ManifestResourceMeta;
use skein_schema::name::ObjectName;

/// `apiVersion` of the record.
pub const API_VERSION: &str = "work.open-cluster-management.io/v1";
/// API group of the record.
pub const GROUP: &str = "work.open-cluster-management.io";
/// Version of the record.
pub const VERSION: &str = "v1";
/// `kind` of the record.
pub const KIND: &str = "AppliedManifestWork";
/// Resource name of the record.
pub const PLURAL: &str = "appliedmanifestworks";

/// One object that a work owns. Two are the same if everything but version and uid is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AppliedResource {
    /// API group, empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Version.
    pub version: String,
    /// Resource (plural) name.
    pub resource: String,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The object's uid when it was applied. An object with another one is somebody else's.
    #[serde(default)]
    pub uid: String,
}

impl AppliedResource {
    /// True if the status entry is about this object.
    #[must_use]
    pub fn is(&self, resource: &ManifestResourceMeta) -> bool {
        self.group == resource.group
            && self.resource == resource.resource
            && self.namespace == resource.namespace
            && self.name == resource.name
    }
}

/// The record as the owner of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The record's name.
    pub name: String,
    /// The record's uid.
    pub uid: String,
}

impl Owner {
    /// The owner reference. It is no controller reference: several works may own one object.
    #[must_use]
    pub fn reference(&self) -> Value {
        json!({"apiVersion": API_VERSION, "kind": KIND, "name": self.name, "uid": self.uid})
    }

    /// The owner that a record from the API server is; nothing before it has a uid.
    #[must_use]
    pub fn of(record: &Map<String, Value>) -> Option<Self> {
        let metadata = record.get("metadata")?;
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            name: text("name")?,
            uid: text("uid")?,
        })
    }
}

/// Name of the record of a work: the hub's id, which is the hash of its key, and the work's name.
#[must_use]
pub fn name(hub_id: &str, work: &ObjectName) -> String {
    format!("{hub_id}-{work}")
}

/// Name of the work that a record of this hub is about.
#[must_use]
pub fn work_of<'a>(hub_id: &str, record: &'a str) -> Option<&'a str> {
    record.strip_prefix(hub_id)?.strip_prefix('-')
}

/// The record to be applied, without status.
#[must_use]
pub fn object(hub_id: &str, agent_id: &str, work: &ObjectName) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name(hub_id, work)},
        "spec": {"agentID": agent_id, "hubHash": hub_id, "manifestWorkName": work.as_str()},
    })
}

/// The objects that a record says its work owns. Entries that cannot be read are left out.
#[must_use]
pub fn owned(record: &Map<String, Value>) -> Vec<AppliedResource> {
    let entries = record
        .get("status")
        .and_then(|status| status.get("appliedResources"));
    let entries = entries
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .filter_map(|entry| AppliedResource::deserialize(entry).ok())
        .collect()
}

/// The record's status, to be applied on its status subresource.
#[must_use]
pub fn status(name: &str, owned: &[AppliedResource], eviction_start: Option<Timestamp>) -> Value {
    let mut status = json!({"appliedResources": owned});
    if let Some(start) = eviction_start {
        status["evictionStartTime"] = json!(start);
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "status": status,
    })
}

/// What happens to a record whose work the hub does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// Write down that the grace period began now.
    Begin,
    /// Wait until this moment: the work may come back, for example when a hub is restored.
    Wait(Timestamp),
    /// Remove the record and what it owns.
    Evict,
}

/// Decides about a record without a work. OCM's grace period is 60 minutes.
#[must_use]
pub fn eviction(start: Option<Timestamp>, grace: SignedDuration, now: Timestamp) -> Eviction {
    let Some(start) = start else {
        return Eviction::Begin;
    };
    match start.checked_add(grace) {
        Ok(end) if end <= now => Eviction::Evict,
        Ok(end) => Eviction::Wait(end),
        Err(_) => Eviction::Wait(Timestamp::MAX),
    }
}

/// When the grace period of a record began, if it has.
#[must_use]
pub fn eviction_start(record: &Map<String, Value>) -> Option<Timestamp> {
    record
        .get("status")?
        .get("evictionStartTime")?
        .as_str()?
        .parse()
        .ok()
}

/// The CustomResourceDefinition of the record; names and fields are OCM's.
#[must_use]
pub fn custom_resource_definition() -> Value {
    let text = || json!({"type": "string"});
    let resource = json!({
        "type": "object",
        "required": ["name", "resource", "version"],
        "properties": {
            "group": text(), "version": text(), "resource": text(),
            "namespace": text(), "name": text(), "uid": text(),
        },
    });
    let schema = json!({
        "type": "object",
        "properties": {
            "apiVersion": text(),
            "kind": text(),
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "required": ["hubHash", "manifestWorkName"],
                "properties": {"agentID": text(), "hubHash": text(), "manifestWorkName": text()},
            },
            "status": {
                "type": "object",
                "properties": {
                    "appliedResources": {"type": "array", "items": resource},
                    "evictionStartTime": {"type": "string", "format": "date-time"},
                },
            },
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": "appliedmanifestwork",
            },
            "scope": "Cluster",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let work = ObjectName::new("web").unwrap();
        let owned_here = vec![AppliedResource {
            group: "apps".into(),
            version: "v1".into(),
            resource: "deployments".into(),
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u1".into(),
        }];
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let status = record(&status(&name("hub", &work), &owned_here, Some(start)));
        assert_eq!(owned(&status), owned_here);
        assert_eq!(eviction_start(&status), Some(start));
        assert_eq!(work_of("hub", "hub-web"), Some("web"));
        assert_eq!(work_of("hub", "other-web"), None);
    }

    #[test]
    fn a_record_without_work_is_evicted_after_the_grace_period() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let grace = SignedDuration::from_mins(60);
        let start = at("2026-01-01T00:00:00Z");
        let end = at("2026-01-01T01:00:00Z");
        assert_eq!(eviction(None, grace, start), Eviction::Begin);
        assert_eq!(
            eviction(Some(start), grace, at("2026-01-01T00:59:59Z")),
            Eviction::Wait(end)
        );
        assert_eq!(eviction(Some(start), grace, end), Eviction::Evict);
    }
}
