//! The table of built-in kinds.

use std::borrow::Cow;
use std::sync::Arc;

use super::{ResourceType, group_resource, types};

/// One row: what discovery says of a kind and which of Kubernetes' general rules it follows.
struct Row {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    /// `n` namespaced, `s` status subresource, `c` scale subresource, `g` generation, `a` in the category `all`.
    traits: &'static str,
    short: &'static [&'static str],
}

const fn row(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    traits: &'static str,
    short: &'static [&'static str],
) -> Row {
    Row {
        group,
        version,
        plural,
        kind,
        traits,
        short,
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

const ROWS: &[Row] = &[
    row("", "v1", "configmaps", "ConfigMap", "n", &["cm"]),
    row("", "v1", "endpoints", "Endpoints", "n", &["ep"]),
    row("", "v1", "events", "Event", "n", &["ev"]),
    row("", "v1", "limitranges", "LimitRange", "n", &["limits"]),
    row("", "v1", "namespaces", "Namespace", "s", &["ns"]),
    row("", "v1", "nodes", "Node", "s", &["no"]),
    row(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        "ns",
        &["pvc"],
    ),
    row(
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        "s",
        &["pv"],
    ),
    row("", "v1", "pods", "Pod", "nsga", &["po"]),
    row(
        "",
        "v1",
        "resourcequotas",
        "ResourceQuota",
        "ns",
        &["quota"],
    ),
    row("", "v1", "secrets", "Secret", "n", &[]),
    row("", "v1", "serviceaccounts", "ServiceAccount", "n", &["sa"]),
    row("", "v1", "services", "Service", "nsa", &["svc"]),
    row(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "sg",
        &["crd", "crds"],
    ),
    row("apps", "v1", "daemonsets", "DaemonSet", "nsga", &["ds"]),
    row(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        "nsgca",
        &["deploy"],
    ),
    row("apps", "v1", "replicasets", "ReplicaSet", "nsgca", &["rs"]),
    row(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        "nsgca",
        &["sts"],
    ),
    row(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "nsa",
        &["hpa"],
    ),
    row("batch", "v1", "cronjobs", "CronJob", "nsga", &["cj"]),
    row("batch", "v1", "jobs", "Job", "nsga", &[]),
    row("coordination.k8s.io", "v1", "leases", "Lease", "n", &[]),
    row(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        "ng",
        &[],
    ),
    row(
        "networking.k8s.io",
        "v1",
        "ingressclasses",
        "IngressClass",
        "g",
        &[],
    ),
    row(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        "nsg",
        &["ing"],
    ),
    row(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        "ng",
        &["netpol"],
    ),
    row(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "nsg",
        &["pdb"],
    ),
    row(
        RBAC,
        "v1",
        "clusterrolebindings",
        "ClusterRoleBinding",
        "",
        &[],
    ),
    row(RBAC, "v1", "clusterroles", "ClusterRole", "", &[]),
    row(RBAC, "v1", "rolebindings", "RoleBinding", "n", &[]),
    row(RBAC, "v1", "roles", "Role", "n", &[]),
    row(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        "g",
        &["pc"],
    ),
    row(
        "storage.k8s.io",
        "v1",
        "storageclasses",
        "StorageClass",
        "",
        &["sc"],
    ),
];

/// Every built-in kind with its structural type.
pub(super) fn all() -> Vec<Arc<ResourceType>> {
    let mut types = types::Types::load();
    ROWS.iter()
        .map(|row| Arc::new(resource(row, &mut types)))
        .collect()
}

fn resource(row: &Row, types: &mut types::Types) -> ResourceType {
    let has = |letter: char| row.traits.contains(letter);
    let package = match row.group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    ResourceType {
        group: row.group.into(),
        version: row.version.into(),
        plural: row.plural.into(),
        singular: row.kind.to_ascii_lowercase().into(),
        kind: row.kind.into(),
        list_kind: format!("{}List", row.kind).into(),
        short_names: row.short.iter().copied().map(Cow::Borrowed).collect(),
        categories: if has('a') {
            vec!["all".into()]
        } else {
            Vec::new()
        },
        namespaced: has('n'),
        status: has('s'),
        scale: has('c'),
        generation: has('g'),
        shape: types.shape(&format!("{package}.{}.{}", row.version, row.kind)),
        custom: None,
        group_resource: group_resource(row.group, row.plural).into(),
    }
}
