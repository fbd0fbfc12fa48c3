//! Accept and deny.

use skein_schema::code::Code;
use skein_schema::command::Change;
use skein_schema::name::ClusterName;

use crate::join::JoinVerdict;
use crate::scenario::*;

#[test]
fn accepting_lets_the_waiting_agent_in() {
    let mut hub = Scenario::new();
    hub.run(&skein_schema::command::Command::CreateToken(grant(
        "t", 100,
    )))
    .unwrap();
    hub.join("t", "c1", 1).unwrap();
    let before = hub.world.sequence();
    let done = hub.run(&accept("c1")).unwrap();
    assert_eq!(done.change, Change::Accepted);
    assert_eq!(
        hub.events_after(before),
        ["cluster.accepted.v1", "resource.applied.v1"]
    );
    assert!(hub.cluster("c1").spec.hub_accepts_client);
    let record = hub.world.cluster(&ClusterName::new("c1").unwrap()).unwrap();
    assert_eq!(record.keys.as_ref().unwrap().nkey, keys(1).nkey);
    assert!(record.pending.is_none());
    assert!(matches!(
        hub.join("t", "c1", 1).unwrap(),
        JoinVerdict::Issue(_)
    ));
}

#[test]
fn accepting_twice_changes_nothing() {
    let mut hub = Scenario::new().with(cluster_document("c1"));
    hub.run(&accept("c1")).unwrap();
    let again = hub.run(&accept("c1")).unwrap();
    assert_eq!(again.change, Change::Unchanged);
    assert!(again.is_empty());
}

#[test]
fn what_is_not_there_or_is_leaving_is_not_accepted() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    assert_eq!(code(hub.run(&accept("c9"))), Code::NotFound);
    assert_eq!(code(hub.run(&deny("c9"))), Code::NotFound);
    hub.run(&apply(work_document("c1", "web", &[config_map("a", "")])))
        .unwrap();
    hub.run(&delete(cluster_key("c1"))).unwrap();
    assert_eq!(code(hub.run(&accept("c1"))), Code::BeingDeleted);
}

#[test]
fn denying_ends_the_credential() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let before = hub.world.sequence();
    let done = hub.run(&deny("c1")).unwrap();
    assert_eq!(done.change, Change::Denied);
    assert_eq!(
        hub.events_after(before),
        ["cluster.denied.v1", "credential.revoked.v1"]
    );
    assert_eq!(hub.world.revocations().get(&keys(1).nkey), Some(&hub.now));
    assert_eq!(
        hub.condition(&cluster_key("c1"), "HubAcceptedManagedCluster")
            .as_deref(),
        Some("False/HubClusterAdminDenied")
    );
    let again = hub.run(&deny("c1")).unwrap();
    assert_eq!(again.change, Change::Unchanged);
    assert!(again.is_empty());
    assert_eq!(code(hub.join("auto", "c1", 1)), Code::ClusterDenied);
    let request = hub.id();
    assert_eq!(code(hub.renew("c1", request, 1)), Code::ClusterDenied);
}

#[test]
fn who_waits_can_be_denied_and_accepted_later() {
    let mut hub = Scenario::new();
    hub.run(&skein_schema::command::Command::CreateToken(grant(
        "t", 100,
    )))
    .unwrap();
    hub.join("t", "c1", 1).unwrap();
    hub.run(&deny("c1")).unwrap();
    assert_eq!(code(hub.join("t", "c1", 1)), Code::ClusterDenied);
    hub.run(&accept("c1")).unwrap();
    assert!(matches!(
        hub.join("t", "c1", 1).unwrap(),
        JoinVerdict::Issue(_)
    ));
}

#[test]
fn a_fresh_cluster_is_unreachable_until_it_beats() {
    let hub = Scenario::new().with(cluster_document("c1"));
    let taints = &hub.cluster("c1").spec.taints;
    assert_eq!(taints.len(), 1);
    assert_eq!(
        taints[0].key,
        "cluster.open-cluster-management.io/unreachable"
    );
}

/// What ends the credentials of a cluster's agent.
type End = fn(&mut Scenario);

#[test]
fn the_key_before_a_roll_over_stays_revoked_as_long_as_its_credential_lives() {
    let denied: End = |hub| drop(hub.run(&deny("c1")).unwrap());
    let applied: End = |hub| {
        let mut document = cluster_document("c1");
        document["spec"] = serde_json::json!({"hubAcceptsClient": false});
        hub.run(&apply(document)).unwrap();
    };
    let detached: End = |hub| drop(hub.run(&force_delete(cluster_key("c1"))).unwrap());
    let taken_over: End = |hub| {
        hub.join("auto", "c1", 5).unwrap();
        hub.run(&accept("c1")).unwrap();
    };
    for end in [denied, applied, detached, taken_over] {
        let mut hub = Scenario::new();
        for (cluster, key) in [("c1", 1), ("c2", 3), ("c3", 4)] {
            hub = hub.with_cluster(cluster, key);
        }
        hub.pass(60);
        let roll = hub.id();
        hub.renew("c1", roll, 2).unwrap();
        end(&mut hub);
        let is_revoked =
            |hub: &Scenario, key: u8| hub.world.revocations().contains_key(&keys(key).nkey);
        assert!(is_revoked(&hub, 1) && is_revoked(&hub, 2));
        // Each revocation drops those that have ended. The first credential of key 1 ends a day
        // after it was issued, a minute before the roll-over.
        hub.run(&deny("c2")).unwrap();
        assert!(is_revoked(&hub, 1) && is_revoked(&hub, 2));
        hub.pass(24 * 3600 - 60);
        hub.run(&accept("c2")).unwrap();
        hub.join("auto", "c2", 3).ok();
        hub.run(&deny("c2")).unwrap();
        assert!(is_revoked(&hub, 1) && is_revoked(&hub, 2));
        hub.pass(24 * 3600);
        hub.run(&deny("c3")).unwrap();
        assert!(
            !is_revoked(&hub, 1) && !is_revoked(&hub, 2),
            "both have ended"
        );
    }
}
