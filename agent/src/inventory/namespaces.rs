//! Namespaces that clustersets want on their clusters (OCM's managedNamespaces).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::{ApiResource, PartialObjectMeta};
use serde_json::json;
use skein_schema::kind::condition;
use skein_schema::kind::managed_cluster::ClusterSetManagedNamespace;
use skein_schema::name::{LABEL_MAX, SetName};

use super::core;
use crate::cause;
use crate::cluster::{ApiError, Cluster};

const LABEL_PREFIX: &str = "clusterset.open-cluster-management.io/";
const MANAGER: &str = "skein-agent-namespaces";
const CONDITION: &str = "NamespaceAvailable";

/// Makes and labels the wanted namespaces. One that is no longer wanted keeps everything but the
/// label's value: it is never deleted.
pub(super) async fn ensure(
    cluster: &Cluster,
    hub_id: &str,
    wanted: &BTreeMap<String, SetName>,
    before: &[ClusterSetManagedNamespace],
    now: Timestamp,
) -> Vec<ClusterSetManagedNamespace> {
    let label = format!("{LABEL_PREFIX}{}", &hub_id[..hub_id.len().min(LABEL_MAX)]);
    let namespaces = core("Namespace", "namespaces");
    if let Err(error) = unlabel(cluster, &namespaces, &label, wanted).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "former managed namespaces cannot be unlabelled"
        );
    }
    let mut shown = Vec::with_capacity(wanted.len());
    for (name, set) in wanted {
        let (status, reason, message) = match mark(cluster, &namespaces, name, &label, "true").await
        {
            Ok(()) => (
                "True",
                "NamespaceApplied",
                "the namespace is there".to_owned(),
            ),
            Err(error) => ("False", "NamespaceApplyFailed", cause::chain(&error)),
        };
        let known = before
            .iter()
            .find(|known| known.name == *name && known.cluster_set == set.as_str());
        let mut conditions = known
            .map(|known| known.conditions.clone())
            .unwrap_or_default();
        condition::set(
            &mut conditions,
            Condition {
                type_: CONDITION.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                last_transition_time: Time(now),
                observed_generation: None,
            },
        );
        shown.push(ClusterSetManagedNamespace {
            cluster_set: set.to_string(),
            name: name.clone(),
            conditions,
        });
    }
    shown
}

async fn unlabel(
    cluster: &Cluster,
    namespaces: &ApiResource,
    label: &str,
    wanted: &BTreeMap<String, SetName>,
) -> Result<(), ApiError> {
    let labelled: Vec<PartialObjectMeta> = cluster
        .list(namespaces, None, Some(&format!("{label}=true")))
        .await?;
    for name in labelled
        .into_iter()
        .filter_map(|namespace| namespace.metadata.name)
    {
        if !wanted.contains_key(&name) {
            mark(cluster, namespaces, &name, label, "false").await?;
        }
    }
    Ok(())
}

async fn mark(
    cluster: &Cluster,
    namespaces: &ApiResource,
    name: &str,
    label: &str,
    value: &str,
) -> Result<(), ApiError> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {label: value}},
    });
    cluster
        .apply(namespaces, None, name, &object, MANAGER, true)
        .await
        .map(drop)
}
