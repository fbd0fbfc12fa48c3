//! Delete.

use serde_json::json;
use skein_schema::code::Code;
use skein_schema::command::Change;

use crate::scenario::*;

fn with_work() -> Scenario {
    Scenario::new()
        .with_cluster("c1", 1)
        .with(work_document("c1", "web", &[config_map("a", "")]))
}

#[test]
fn a_work_goes_when_its_agent_says_so() {
    let mut hub = with_work();
    let key = work_key("c1", "web");
    assert_eq!(
        hub.run(&delete(key.clone())).unwrap().change,
        Change::Deleting
    );
    let view = hub.view(&key);
    assert_eq!(
        view["metadata"]["deletionTimestamp"],
        "2026-11-23T12:00:00Z"
    );
    assert_eq!(view["metadata"]["generation"], 2);
    let again = hub.run(&delete(key.clone())).unwrap();
    assert_eq!(again.change, Change::Unchanged);
    assert!(again.is_empty());
    let changed = apply(work_document("c1", "web", &[config_map("a", "other")]));
    assert_eq!(code(hub.run(&changed)), Code::BeingDeleted);
    hub.report_removed("c1", "web");
    assert!(hub.world.get(&key).is_none());
    assert_eq!(code(hub.run(&delete(key))), Code::NotFound);
}

#[test]
fn force_does_not_wait() {
    let mut hub = with_work();
    let key = work_key("c1", "web");
    assert_eq!(
        hub.run(&force_delete(key.clone())).unwrap().change,
        Change::Deleted
    );
    assert!(hub.world.get(&key).is_none());
    let mut hub = with_work();
    hub.run(&delete(key.clone())).unwrap();
    assert_eq!(
        hub.run(&force_delete(key.clone())).unwrap().change,
        Change::Deleted
    );
    assert!(hub.world.get(&key).is_none());
}

#[test]
fn a_work_on_a_cluster_that_never_joined_goes_at_once() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    hub.run(&accept("c1")).unwrap();
    hub.run(&apply(work_document("c1", "web", &[config_map("a", "")])))
        .unwrap();
    assert_eq!(
        hub.run(&delete(work_key("c1", "web"))).unwrap().change,
        Change::Deleted
    );
}

#[test]
fn a_cluster_takes_its_works_with_it_and_goes_last() {
    let mut hub = with_work();
    hub.run(&apply(work_document("c1", "api", &[config_map("b", "")])))
        .unwrap();
    hub.run(&apply(binding_document("c1", "global"))).unwrap();
    assert_eq!(
        hub.run(&delete(cluster_key("c1"))).unwrap().change,
        Change::Deleting
    );
    assert_eq!(
        hub.condition(&cluster_key("c1"), "Deleting").as_deref(),
        Some("False/ResourceRemaining")
    );
    assert_eq!(
        hub.run(&delete(cluster_key("c1"))).unwrap().change,
        Change::Unchanged
    );
    let fresh = apply(work_document("c1", "new", &[config_map("c", "")]));
    assert_eq!(code(hub.run(&fresh)), Code::BeingDeleted);
    hub.report_removed("c1", "web");
    assert!(hub.world.get(&cluster_key("c1")).is_some());
    let before = hub.world.sequence();
    hub.report_removed("c1", "api");
    assert_eq!(
        hub.events_after(before),
        [
            "resource.deleted.v1",
            "credential.revoked.v1",
            "resource.deleted.v1",
            "resource.deleted.v1",
            "resource.deleted.v1"
        ],
        "the work; then the credential, the cluster, the binding, the namespace"
    );
    assert!(hub.world.get(&cluster_key("c1")).is_none());
    assert!(hub.world.get(&namespace_key("c1")).is_none());
    assert!(hub.world.revocations().contains_key(&keys(1).nkey));
}

#[test]
fn a_cluster_without_works_goes_at_once() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    assert_eq!(
        hub.run(&delete(cluster_key("c1"))).unwrap().change,
        Change::Deleted
    );
    assert!(hub.world.get(&cluster_key("c1")).is_none());
}

#[test]
fn a_cluster_goes_by_force_with_all_it_has() {
    let mut hub = with_work();
    let before = hub.world.sequence();
    assert_eq!(
        hub.run(&force_delete(cluster_key("c1"))).unwrap().change,
        Change::Deleted
    );
    assert_eq!(hub.world.sequence(), before + 1);
    assert!(hub.world.get(&work_key("c1", "web")).is_none());
    assert!(hub.world.get(&cluster_key("c1")).is_none());
}

#[test]
fn sets_in_use_and_sets_that_must_be_there_stay() {
    let mut hub = Scenario::new()
        .with(set_document("eu"))
        .with(cluster_document("c1"));
    let label =
        json!({"metadata": {"labels": {"cluster.open-cluster-management.io/clusterset": "eu"}}});
    hub.run(&patch(cluster_key("c1"), label)).unwrap();
    let refusal = hub.run(&delete(set_key("eu"))).unwrap_err();
    assert_eq!(refusal.code, Code::InUse);
    assert_eq!(
        refusal.message,
        "managedclustersets/eu is still used by managedclusters/c1"
    );
    assert_eq!(
        hub.run(&force_delete(set_key("eu"))).unwrap().change,
        Change::Deleted
    );
    for key in [
        set_key("default"),
        set_key("global"),
        namespace_key("default"),
    ] {
        assert_eq!(code(hub.run(&delete(key.clone()))), Code::Protected);
        assert_eq!(code(hub.run(&force_delete(key))), Code::Protected);
    }
}

#[test]
fn a_namespace_stays_while_something_is_in_it() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with(namespace_document("shop"))
        .with(binding_document("shop", "global"));
    assert_eq!(code(hub.run(&delete(namespace_key("c1")))), Code::InUse);
    assert_eq!(
        code(hub.run(&force_delete(namespace_key("c1")))),
        Code::InUse
    );
    assert_eq!(code(hub.run(&delete(namespace_key("shop")))), Code::InUse);
    hub.run(&force_delete(namespace_key("shop"))).unwrap();
    assert!(hub.world.get(&namespace_key("shop")).is_none());
}
