//! A cluster as expressions see it: OCM's typed object, not the text that somebody applied.

use super::quantity::canonical;
use super::{CLUSTER, SCORES, ScoreLookup};
use serde_json::{Map, Value as Json, json};
use skein_cel::{Effort, EvaluateError, Host, Key, Value};
use skein_schema::kind::managed_cluster::{ManagedCluster, ManagedClusterStatus};
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

fn as_typed(cluster: &ManagedCluster) -> Json {
    let written = serde_json::to_value(cluster);
    let mut object = written.expect("a cluster has only texts as keys and no foreign types");
    let none = ManagedClusterStatus::default();
    let status = cluster.status.as_ref().unwrap_or(&none);
    object["apiVersion"] = json!("cluster.open-cluster-management.io/v1");
    object["kind"] = json!("ManagedCluster");
    object["status"] = typed_status(status);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        // A pointer in Go, so that its 0 is kept.
        let kept = metadata.remove("deletionGracePeriodSeconds");
        drop_zero_values(metadata);
        metadata.extend(kept.map(|kept| ("deletionGracePeriodSeconds".to_owned(), kept)));
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        let accepted = cluster.spec.hub_accepts_client;
        drop_zero_values(spec);
        spec.insert("hubAcceptsClient".to_owned(), json!(accepted));
        for taint in each(spec, "taints") {
            taint.entry("timeAdded").or_insert(Json::Null);
        }
        for config in each(spec, "managedClusterClientConfigs") {
            if config.get("caBundle").is_some_and(is_zero) {
                config.remove("caBundle");
            }
        }
    }
    object
}

fn typed_status(status: &ManagedClusterStatus) -> Json {
    let written = serde_json::to_value(status);
    let mut object = written.expect("a status has only texts as keys and no foreign types");
    let quantities = [
        ("capacity", &status.capacity),
        ("allocatable", &status.allocatable),
    ];
    for (field, quantities) in quantities {
        for (resource, quantity) in quantities {
            object[field][resource] = json!(canonical(&quantity.0));
        }
    }
    if let Some(status) = object.as_object_mut() {
        status.entry("conditions").or_insert(Json::Null);
        drop_unset_generations(status);
        for namespace in each(status, "managedNamespaces") {
            drop_unset_generations(namespace);
        }
    }
    object
}

fn drop_unset_generations(owner: &mut Map<String, Json>) {
    for condition in each(owner, "conditions") {
        if condition.get("observedGeneration").is_some_and(is_zero) {
            condition.remove("observedGeneration");
        }
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

fn drop_zero_values(object: &mut Map<String, Json>) {
    object.retain(|_, value| !is_zero(value));
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
