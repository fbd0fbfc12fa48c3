//! Objects that must always be there as they are: the sets `default` and `global`, the namespace
//! `default`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use skein_schema::code::{Code, Refusal};
use skein_schema::kind::managed_cluster::DEFAULT_CLUSTER_SET;
use skein_schema::kind::managed_cluster_set::{
    GLOBAL_CLUSTER_SET, ManagedClusterSelector, ManagedClusterSet, ManagedClusterSetSpec,
    SelectorType,
};
use skein_schema::kind::namespace::Namespace;
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use crate::access::ready;

/// Annotation that lets people choose the selector of a protected set (OCM's).
pub(crate) const AUTOUPDATE: &str = "cluster.open-cluster-management.io/autoupdate";
/// The namespace that every Kubernetes API has.
const DEFAULT_NAMESPACE: &str = "default";

/// Everything that must be there from the first record on.
pub(crate) fn always_there() -> Vec<Resource> {
    let metadata = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let set = |name: &str, cluster_selector| {
        Resource::from(ManagedClusterSet {
            metadata: metadata(name),
            spec: ManagedClusterSetSpec {
                cluster_selector,
                managed_namespaces: Vec::new(),
            },
            status: None,
        })
    };
    vec![
        set(DEFAULT_CLUSTER_SET, ManagedClusterSelector::default()),
        set(GLOBAL_CLUSTER_SET, global_selector()),
        Resource::from(Namespace {
            metadata: metadata(DEFAULT_NAMESPACE),
            spec: None,
            status: None,
        }),
    ]
}

/// Selects every cluster.
fn global_selector() -> ManagedClusterSelector {
    ManagedClusterSelector {
        selector_type: SelectorType::LabelSelector,
        label_selector: Some(LabelSelector::default()),
    }
}

/// Whether an object must always be there.
pub(crate) fn is_protected(key: &ObjectKey) -> bool {
    match key.kind {
        KindName::ManagedClusterSet => {
            [DEFAULT_CLUSTER_SET, GLOBAL_CLUSTER_SET].contains(&key.name.as_str())
        }
        KindName::Namespace => key.name.as_str() == DEFAULT_NAMESPACE,
        KindName::AddOnPlacementScore
        | KindName::ClusterRole
        | KindName::ClusterRoleBinding
        | KindName::ManagedCluster
        | KindName::ManagedClusterSetBinding
        | KindName::ManifestWork
        | KindName::Placement
        | KindName::PlacementDecision
        | KindName::Role
        | KindName::RoleBinding => false,
    }
}

/// Refuses another selector for `default` or `global`, unless the set says that the hub is not to
/// keep it. (OCM's hub turns it back some seconds later; being told is better.)
pub(super) fn check_set(set: &ManagedClusterSet) -> Result<(), Refusal> {
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let expected = match name {
        DEFAULT_CLUSTER_SET => ManagedClusterSelector::default(),
        GLOBAL_CLUSTER_SET => global_selector(),
        _ => return Ok(()),
    };
    let annotations = set.metadata.annotations.as_ref();
    let freed = annotations
        .and_then(|all| all.get(AUTOUPDATE))
        .is_some_and(|value| value == "false");
    if freed || set.spec.cluster_selector == expected {
        return Ok(());
    }
    let message = format!("the hub keeps the selector of managedclustersets/{name}");
    Err(Refusal::new(Code::Protected, message)
        .with_cause("spec.clusterSelector", "cannot be another one")
        .with_hint(format!(
            "make a set of your own, or annotate this one with {AUTOUPDATE}=false"
        )))
}

/// Refuses to store a role under the name of one that is ready-made: a binding to it would mean
/// another role all at once.
pub(super) fn check_role(key: &ObjectKey) -> Result<(), Refusal> {
    if !ready::is_reserved(key.name.as_str()) {
        return Ok(());
    }
    let message = format!("{key} is ready-made and cannot be changed");
    Err(Refusal::new(Code::Protected, message).with_hint(
        "make a role of your own; what is labelled rbac.authorization.k8s.io/aggregate-to-view, \
         -edit or -admin with \"true\" is added to these",
    ))
}
