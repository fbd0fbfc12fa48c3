//! A cluster as expressions see it: OCM's typed object, not the text that somebody applied.

use super::quantity::canonical;
use super::{CLUSTER, SCORES, ScoreLookup};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use skein_cel::{Effort, EvaluateError, Host, Key, Value};
use skein_schema::kind::Kind;
use skein_schema::kind::managed_cluster::{
    ManagedCluster, ManagedClusterSpec, ManagedClusterStatus,
};
use std::collections::BTreeMap;

/// A cluster, prepared once for any number of selectors.
///
/// It looks as Go writes OCM's type: what has its zero value and may be left out is left out, the
/// rest is there (`status.conditions` is null if there are none, `status.version` is always there,
/// a taint without a time has null for it), and quantities are canonical (`0.5` is `500m`).
/// `apiVersion` and `kind` are always there.
#[derive(Debug, Clone)]
pub struct CelCluster {
    name: String,
    variables: BTreeMap<&'static str, Value>,
}

impl CelCluster {
    /// Prepares a cluster.
    #[must_use]
    pub fn new(cluster: &ManagedCluster) -> Self {
        let object = Value::from(&as_typed(cluster));
        Self {
            name: cluster.metadata.name.clone().unwrap_or_default(),
            variables: BTreeMap::from([(CLUSTER, object)]),
        }
    }

    pub(super) fn variables(&self) -> &BTreeMap<&'static str, Value> {
        &self.variables
    }
}

/// The scores of an `AddOnPlacementScore`, prepared for expressions. A copy is cheap.
#[derive(Debug, Clone)]
pub struct ScoreList(Value);

impl ScoreList {
    /// Prepares scores: the name and value of each, in their order.
    #[must_use]
    pub fn new<'a>(scores: impl IntoIterator<Item = (&'a str, i32)>) -> Self {
        let scores = scores
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}));
        Self(Value::from(&scores.collect::<Json>()))
    }
}

/// A cluster and where its scores are found.
pub(super) struct Scored<'a> {
    pub(super) cluster: &'a CelCluster,
    pub(super) scores: &'a ScoreLookup<'a>,
}

impl Host for Scored<'_> {
    /// Whose scores are meant is read from the object, as in OCM; but only those of the cluster
    /// that is looked at are there.
    fn call(
        &self,
        name: &str,
        target: Option<&Value>,
        arguments: &[Value],
        _effort: &mut Effort<'_>,
    ) -> Option<Result<Value, EvaluateError>> {
        let (Some(object), [Value::String(wanted)]) = (target, arguments) else {
            return None;
        };
        if name != SCORES.name {
            return None;
        }
        let failed = |why: String| Err(EvaluateError::Conversion(why));
        let cluster = member(object, "metadata").and_then(|metadata| member(metadata, "name"));
        Some(match cluster {
            Some(Value::String(cluster)) if **cluster == *self.cluster.name => {
                match (self.scores)(wanted) {
                    Some(ScoreList(list)) => Ok(list),
                    None => failed(format!("failed to get score: {wanted} not found")),
                }
            }
            Some(Value::String(_)) => failed("scores are those of the cluster itself".to_owned()),
            _ => failed("failed to get cluster name".to_owned()),
        })
    }
}

fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    match object {
        Value::Map(map) => map.get(&Key::String(name.into())),
        _ => None,
    }
}

/// The object as Go writes it.
fn as_typed(cluster: &ManagedCluster) -> Json {
    let none = ManagedClusterStatus::default();
    json!({
        "apiVersion": ManagedCluster::INFO.api_version(),
        "kind": ManagedCluster::INFO.kind,
        "metadata": typed_metadata(&cluster.metadata),
        "spec": typed_spec(&cluster.spec),
        "status": typed_status(cluster.status.as_ref().unwrap_or(&none)),
    })
}

/// The members of something that is written as an object.
fn members(value: &impl Serialize) -> Map<String, Json> {
    match serde_json::to_value(value) {
        Ok(Json::Object(members)) => members,
        // Only keys that are no texts cannot be written, and there are none in a cluster.
        _ => Map::new(),
    }
}

fn typed_metadata(metadata: &ObjectMeta) -> Map<String, Json> {
    let mut object = members(metadata);
    // A pointer in Go, so that its 0 is kept.
    let kept = object.remove_entry("deletionGracePeriodSeconds");
    object.retain(|_, value| !is_zero(value));
    object.extend(kept);
    object
}

fn typed_spec(spec: &ManagedClusterSpec) -> Map<String, Json> {
    let mut object = members(spec);
    let accepted = object.remove_entry("hubAcceptsClient");
    object.retain(|_, value| !is_zero(value));
    object.extend(accepted);
    for taint in each(&mut object, "taints") {
        taint.entry("timeAdded").or_insert(Json::Null);
    }
    for config in each(&mut object, "managedClusterClientConfigs") {
        drop_zero(config, "caBundle");
    }
    object
}

fn typed_status(status: &ManagedClusterStatus) -> Map<String, Json> {
    let mut object = members(status);
    for field in ["capacity", "allocatable"] {
        let quantities = object.get_mut(field).and_then(Json::as_object_mut);
        for quantity in quantities.into_iter().flat_map(Map::values_mut) {
            if let Json::String(text) = quantity {
                *text = canonical(text);
            }
        }
    }
    object.entry("conditions").or_insert(Json::Null);
    for condition in each(&mut object, "conditions") {
        drop_zero(condition, "observedGeneration");
    }
    for namespace in each(&mut object, "managedNamespaces") {
        for condition in each(namespace, "conditions") {
            drop_zero(condition, "observedGeneration");
        }
    }
    object
}

fn drop_zero(object: &mut Map<String, Json>, field: &str) {
    if object.get(field).is_some_and(is_zero) {
        object.remove(field);
    }
}

/// The objects of a list.
fn each<'a>(
    owner: &'a mut Map<String, Json>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Json>> {
    let items = owner.get_mut(field).and_then(Json::as_array_mut);
    items.into_iter().flatten().filter_map(Json::as_object_mut)
}

fn is_zero(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_i64() == Some(0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(cluster: Json) -> Json {
        as_typed(&serde_json::from_value(cluster).unwrap())
    }

    #[test]
    fn a_cluster_is_seen_as_go_writes_it() {
        assert_eq!(
            seen(json!({
                "metadata": {
                    "name": "c1", "generateName": "", "generation": 0, "labels": {"a": ""},
                    "annotations": {}, "deletionGracePeriodSeconds": 0,
                },
                "spec": {
                    "leaseDurationSeconds": 0,
                    "taints": [{"key": "a", "effect": "NoSelect"}],
                    "managedClusterClientConfigs": [{"url": "https://c1", "caBundle": ""}],
                },
                "status": {
                    "conditions": [{
                        "type": "A", "status": "True", "reason": "", "message": "",
                        "observedGeneration": 0, "lastTransitionTime": "2026-03-01T12:00:00.5Z",
                    }],
                    "capacity": {"cpu": "0.5", "memory": "1024Mi"},
                    "clusterClaims": [{"name": "a", "value": ""}],
                    "managedNamespaces": [{"name": "n", "clusterSet": "s", "conditions": []}],
                },
            })),
            json!({
                "apiVersion": "cluster.open-cluster-management.io/v1",
                "kind": "ManagedCluster",
                "metadata": {
                    "name": "c1", "labels": {"a": ""}, "deletionGracePeriodSeconds": 0,
                },
                "spec": {
                    "hubAcceptsClient": false,
                    "taints": [{"key": "a", "effect": "NoSelect", "timeAdded": null}],
                    "managedClusterClientConfigs": [{"url": "https://c1"}],
                },
                "status": {
                    "conditions": [{
                        "type": "A", "status": "True", "reason": "", "message": "",
                        "lastTransitionTime": "2026-03-01T12:00:00Z",
                    }],
                    "capacity": {"cpu": "500m", "memory": "1Gi"},
                    "version": {},
                    "clusterClaims": [{"name": "a"}],
                    "managedNamespaces": [{"name": "n", "clusterSet": "s"}],
                },
            })
        );
    }

    #[test]
    fn what_go_writes_always_is_always_seen() {
        assert_eq!(
            seen(json!({})),
            json!({
                "apiVersion": "cluster.open-cluster-management.io/v1",
                "kind": "ManagedCluster",
                "metadata": {},
                "spec": {"hubAcceptsClient": false},
                "status": {"conditions": null, "version": {}},
            })
        );
    }
}
