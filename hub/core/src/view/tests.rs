//! Objects as people see them.

use serde_json::{Value, json};
use skein_schema::code::Code;
use skein_schema::kind::manifest_work::ManifestWorkStatus;
use skein_schema::query::Selection;
use skein_schema::resource::KindName;
use skein_schema::status::{ClusterReport, StatusUpdate, WorkReport};

use super::select;
use crate::scenario::*;
use crate::world::uid;

fn selection(kind: KindName) -> Selection {
    Selection {
        kind,
        workspace: None,
        name: None,
        label_selector: None,
        at: None,
    }
}

fn names(hub: &Scenario, selection: &Selection) -> Result<Vec<String>, Code> {
    select(&hub.world, &hub.observed, selection)
        .map(|found| found.into_iter().map(|(key, _)| key.to_string()).collect())
        .map_err(|refusal| refusal.code)
}

#[test]
fn sets_count_their_clusters() {
    let mut hub = Scenario::new().with(set_document("eu"));
    assert_eq!(
        hub.condition(&set_key("eu"), "ClusterSetEmpty").as_deref(),
        Some("True/NoClusterMatched")
    );
    hub.pass(60);
    let mut hub = hub.with_cluster("c1", 1).with_cluster("c2", 2);
    assert_eq!(
        hub.condition(&set_key("default"), "ClusterSetEmpty")
            .as_deref(),
        Some("False/ClustersSelected")
    );
    let view = hub.view(&set_key("global"));
    assert_eq!(
        view["status"]["conditions"][0]["message"],
        "2 clusters are in the set."
    );
    assert_eq!(
        view["status"]["conditions"][0]["lastTransitionTime"],
        "2026-11-23T12:01:00Z"
    );
    let moved =
        json!({"metadata": {"labels": {"cluster.open-cluster-management.io/clusterset": "eu"}}});
    hub.run(&patch(cluster_key("c1"), moved)).unwrap();
    let counts = ["default", "eu", "global"]
        .map(|set| hub.world.clusterset(&set_key(set).name).unwrap().members);
    assert_eq!(counts, [1, 1, 2]);
    hub.run(&force_delete(cluster_key("c2"))).unwrap();
    assert_eq!(
        hub.condition(&set_key("default"), "ClusterSetEmpty")
            .as_deref(),
        Some("True/NoClusterMatched")
    );
}

#[test]
fn a_binding_says_whether_its_set_exists() {
    let mut hub = Scenario::new().with(binding_document("default", "eu"));
    let key = skein_schema::object::ObjectKey::namespaced(
        KindName::ManagedClusterSetBinding,
        "default".parse().unwrap(),
        "eu".parse().unwrap(),
    );
    assert_eq!(
        hub.condition(&key, "Bound").as_deref(),
        Some("False/ClusterSetNotFound")
    );
    hub.run(&apply(set_document("eu"))).unwrap();
    assert_eq!(
        hub.condition(&key, "Bound").as_deref(),
        Some("True/ClusterSetBound")
    );
    hub.pass(60);
    hub.run(&force_delete(set_key("eu"))).unwrap();
    assert_eq!(
        hub.condition(&key, "Bound").as_deref(),
        Some("False/ClusterSetNotFound")
    );
    assert_eq!(
        hub.view(&key)["status"]["conditions"][0]["lastTransitionTime"],
        "2026-11-23T12:01:00Z"
    );
}

#[test]
fn an_agents_report_is_joined_and_cannot_speak_for_the_hub() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let forged = json!({
        "kubernetesVersion": "v1.36.2",
        "capacity": {"cpu": "4"},
        "claims": [{"name": "id.k8s.io", "value": "x"}],
        "conditions": [
            {"type": "HubAcceptedManagedCluster", "status": "False", "reason": "Forged", "message": "", "lastTransitionTime": "2026-11-23T12:00:00Z"},
            {"type": "ManagedClusterConditionAvailable", "status": "True", "reason": "Forged", "message": "", "lastTransitionTime": "2026-11-23T12:00:00Z"},
            {"type": "ManagedClusterJoined", "status": "True", "reason": "ManagedClusterJoined", "message": "", "lastTransitionTime": "2026-11-23T12:00:00Z"},
        ],
        "agentVersion": "0.1.0",
    });
    let report: ClusterReport = serde_json::from_value(forged).unwrap();
    hub.report("c1", vec![StatusUpdate::Cluster(Box::new(report))]);
    let key = cluster_key("c1");
    assert_eq!(
        hub.condition(&key, "HubAcceptedManagedCluster").as_deref(),
        Some("True/HubClusterAdminAccepted")
    );
    assert_eq!(
        hub.condition(&key, "ManagedClusterConditionAvailable"),
        None
    );
    assert_eq!(
        hub.condition(&key, "ManagedClusterJoined").as_deref(),
        Some("True/ManagedClusterJoined")
    );
    let status = &hub.view(&key)["status"];
    assert_eq!(status["version"]["kubernetes"], "v1.36.2");
    assert_eq!(status["capacity"]["cpu"], "4");
    assert_eq!(status["clusterClaims"][0]["name"], "id.k8s.io");
}

#[test]
fn a_status_is_shown_for_the_work_it_is_about_only() {
    let mut hub = Scenario::new().with_cluster("c1", 1).with(work_document(
        "c1",
        "web",
        &[config_map("a", "1")],
    ));
    let key = work_key("c1", "web");
    let status: ManifestWorkStatus = serde_json::from_value(json!({
        "conditions": [{"type": "Applied", "status": "True", "reason": "AppliedManifestWorkComplete", "message": "", "lastTransitionTime": "2026-11-23T12:00:00Z", "observedGeneration": 1}],
    })).unwrap();
    let report = |hub: &Scenario| {
        StatusUpdate::Work(Box::new(WorkReport {
            name: key.name.clone(),
            uid: uid(hub.get(&key)).unwrap(),
            generation: 1,
            status: status.clone(),
        }))
    };
    let update = report(&hub);
    hub.report("c1", vec![update.clone()]);
    assert_eq!(
        hub.condition(&key, "Applied").as_deref(),
        Some("True/AppliedManifestWorkComplete")
    );
    hub.run(&force_delete(key.clone())).unwrap();
    hub.run(&apply(work_document("c1", "web", &[config_map("a", "1")])))
        .unwrap();
    assert_eq!(
        hub.condition(&key, "Applied"),
        None,
        "the namesake has no status yet"
    );
}

#[test]
fn selections_narrow_by_workspace_name_and_labels() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with_cluster("c2", 2)
        .with(work_document("c1", "web", &[config_map("a", "1")]))
        .with(work_document("c2", "web", &[config_map("a", "1")]))
        .with(work_document("c2", "api", &[config_map("a", "1")]));
    hub.run(&patch(
        work_key("c2", "api"),
        json!({"metadata": {"labels": {"tier": "api"}}}),
    ))
    .unwrap();
    let all = selection(KindName::ManifestWork);
    let with = |change: fn(&mut Selection)| {
        let mut selection = all.clone();
        change(&mut selection);
        names(&hub, &selection)
    };
    assert_eq!(
        with(|_| {}).unwrap(),
        [
            "manifestworks/c1/web",
            "manifestworks/c2/api",
            "manifestworks/c2/web"
        ]
    );
    assert_eq!(
        with(|s| s.workspace = Some("c2".parse().unwrap()))
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        with(|s| s.name = Some("web".parse().unwrap()))
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        with(|s| s.label_selector = Some("tier in (api, db)".into())).unwrap(),
        ["manifestworks/c2/api"]
    );
    assert_eq!(
        with(|s| s.label_selector = Some("!tier".into()))
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        with(|s| s.label_selector = Some("tier in (".into())),
        Err(Code::InvalidArgument)
    );
    assert_eq!(
        with(|s| s.name = Some("absent".parse().unwrap())),
        Err(Code::NotFound)
    );
    assert_eq!(
        with(|s| s.workspace = Some("empty".parse().unwrap())).unwrap(),
        Vec::<String>::new()
    );
    let mut clusters = selection(KindName::ManagedCluster);
    clusters.workspace = Some("c1".parse().unwrap());
    assert_eq!(names(&hub, &clusters), Err(Code::InvalidArgument));
}

#[test]
fn whoever_asks_is_told_who_owns_which_field() {
    let mut hub = Scenario::new().with(set_document("eu"));
    hub.run(&patch(
        set_key("eu"),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ))
    .unwrap();
    let mut one = selection(KindName::ManagedClusterSet);
    one.name = Some("eu".parse().unwrap());
    let found = select(&hub.world, &hub.observed, &one).unwrap();
    let owners = found[0].1.pointer("/metadata/managedFields").unwrap();
    assert_eq!(
        owners.to_string(),
        hub.world.managed_fields(&set_key("eu")),
        "as they are stored"
    );
    assert!(owners.to_string().contains("f:a"), "{owners}");
}

#[test]
fn ready_made_roles_are_shown_beside_those_that_are_stored() {
    let role = |name: &str, fields: Value| {
        let mut role = fields;
        role["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
        role["kind"] = json!("ClusterRole");
        role["metadata"]["name"] = json!(name);
        role
    };
    let rules = json!([{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}]);
    let selectors = json!([{"matchLabels": {"part": "yes"}}]);
    let hub = Scenario::new()
        .with(role(
            "whole",
            json!({"aggregationRule": {"clusterRoleSelectors": selectors}}),
        ))
        .with(role(
            "part",
            json!({"rules": rules, "metadata": {"labels": {"part": "yes"}}}),
        ));
    let roles = |name: Option<&str>, labels: Option<&str>| {
        let selection = Selection {
            kind: KindName::ClusterRole,
            workspace: None,
            name: name.map(|name| name.parse().unwrap()),
            label_selector: labels.map(str::to_owned),
            at: None,
        };
        select(&hub.world, &hub.observed, &selection)
    };
    let all = roles(None, None).unwrap();
    let names: Vec<&str> = all.iter().map(|(key, _)| key.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "admin",
            "cluster-admin",
            "edit",
            "open-cluster-management:managedclusterset:admin:default",
            "open-cluster-management:managedclusterset:admin:global",
            "open-cluster-management:managedclusterset:bind:default",
            "open-cluster-management:managedclusterset:bind:global",
            "open-cluster-management:managedclusterset:view:default",
            "open-cluster-management:managedclusterset:view:global",
            "part",
            "view",
            "whole",
        ]
    );
    let (_, whole) = all.last().unwrap();
    assert_eq!(whole["rules"], rules);
    assert_eq!(roles(None, Some("part=yes")).unwrap().len(), 1);
    let (key, view) = roles(Some("view"), None).unwrap().remove(0);
    assert_eq!(hub.view(&key), view);
    assert_eq!(roles(Some("none"), None).unwrap_err().code, Code::NotFound);
}
