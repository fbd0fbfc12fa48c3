#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::resource::KindName;

#[test]
fn names_on_a_command_line_follow_kubectl() {
    for asked in [
        "mcl",
        "managedclusters",
        "ManagedCluster",
        "managedcluster.cluster",
        "managedclusters.cluster.open-cluster-management.io",
        "managedclusters.v1.cluster.open-cluster-management.io",
    ] {
        assert_eq!(
            resolve(asked).map(|info| info.name),
            Ok(KindName::ManagedCluster),
            "{asked}"
        );
    }
    assert_eq!(resolve("ns").map(|info| info.name), Ok(KindName::Namespace));
    assert_eq!(
        resolve("namespaces.v1").map(|info| info.name),
        Ok(KindName::Namespace)
    );
    assert_eq!(
        resolve("mclsets").map(|info| info.name),
        Ok(KindName::ManagedClusterSet)
    );
}

#[test]
fn unknown_names_get_the_nearest_known_one() {
    let hint = |asked: &str| resolve(asked).unwrap_err().hint();
    assert_eq!(
        hint("managedclutser"),
        Some("did you mean managedcluster?".to_owned())
    );
    assert_eq!(
        hint("manifestwork.apps"),
        Some("did you mean manifestwork?".to_owned())
    );
    assert_eq!(hint("pods"), None);
    assert!(resolve("").is_err());
    assert!(resolve("managedclusters.v2.cluster.open-cluster-management.io").is_err());
}

#[test]
fn documents_name_kinds_exactly_and_retired_versions_get_a_hint() {
    let group = "cluster.open-cluster-management.io";
    assert!(lookup(&format!("{group}/v1"), "ManagedCluster").is_ok());
    let error = lookup(&format!("{group}/v1"), "managedcluster").unwrap_err();
    assert_eq!(
        error.hint(),
        Some("did you mean ManagedCluster?".to_owned())
    );
    let error = lookup(&format!("{group}/v1beta1"), "ManagedClusterSet").unwrap_err();
    assert!(error.about_version());
    assert!(error.hint().unwrap().contains("v1beta2"));
    let error = lookup("v1", "ManagedCluster").unwrap_err();
    assert_eq!(error.hint(), Some(format!("write apiVersion {group}/v1")));
}
