//! Who is let in, and who is not.

use std::collections::BTreeMap;

use serde_json::json;
use skein_schema::code::Code;
use skein_schema::command::{Command, Precondition, TokenGrant};
use skein_schema::event::Event;
use skein_schema::kind::managed_cluster::{ClientConfig, ManagedClusterClaim};
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;

use super::{Grant, JoinVerdict};
use crate::scenario::*;
use crate::world::ClusterRecord;

const SET_LABEL: &str = "cluster.open-cluster-management.io/clusterset";

fn with_token(change: impl FnOnce(&mut TokenGrant)) -> Scenario {
    let mut hub = Scenario::new().with(set_document("eu"));
    let mut grant = grant("t", 100);
    change(&mut grant);
    hub.run(&Command::CreateToken(grant)).unwrap();
    hub
}

fn record(hub: &Scenario) -> &ClusterRecord {
    hub.world.cluster(&ClusterName::new("c1").unwrap()).unwrap()
}

fn issued(verdict: JoinVerdict) -> Grant {
    match verdict {
        JoinVerdict::Issue(grant) => *grant,
        JoinVerdict::Pending { message } => panic!("pending: {message}"),
    }
}

fn is_pending(verdict: &JoinVerdict) -> bool {
    matches!(verdict, JoinVerdict::Pending { .. })
}

#[test]
fn an_agent_waits_until_somebody_accepts_it() {
    let mut hub = with_token(|_| {});
    let before = hub.world.sequence();
    let request = join_request(hub.id(), "c1", 1);
    assert!(is_pending(&hub.join_with("t", &request).unwrap()));
    assert_eq!(
        hub.events_after(before),
        ["cluster.joinrequested.v2", "resource.applied.v1"]
    );
    assert!(!hub.cluster("c1").spec.hub_accepts_client);
    let asked_again = hub.world.clone();
    assert!(is_pending(&hub.join_with("t", &request).unwrap()));
    assert_eq!(hub.world, asked_again, "asking again records nothing");

    hub.run(&accept("c1")).unwrap();
    let grant = issued(hub.join_with("t", &request).unwrap());
    assert_eq!(
        (grant.cluster.as_str(), grant.clusterset.as_str()),
        ("c1", "default")
    );
    assert_eq!(grant.expires_at, "2026-11-24T12:00:00Z".parse().unwrap());
    hub.pass(60);
    let again = issued(hub.join_with("t", &request).unwrap());
    assert_eq!(again, grant, "the same request is answered the same");
}

#[test]
fn a_token_that_accepts_lets_in_at_once() {
    let mut hub = with_token(|grant| grant.auto_accept = true);
    let before = hub.world.sequence();
    issued(hub.join("t", "c1", 1).unwrap());
    assert_eq!(hub.world.sequence(), before + 1);
    assert_eq!(
        hub.events_after(before),
        [
            "cluster.joinrequested.v2",
            "resource.applied.v1",
            "cluster.accepted.v1",
            "resource.applied.v1",
            "credential.issued.v1"
        ]
    );
    let automatically =
        hub.stored.last().unwrap().record.events.iter().any(
            |event| matches!(event, Event::ClusterAccepted(accepted) if accepted.automatically),
        );
    assert!(automatically);
}

#[test]
fn set_and_labels_are_the_tokens() {
    let mut hub = with_token(|grant| {
        grant.clusterset = Some("eu".parse().unwrap());
        grant.labels = BTreeMap::from([
            ("env".into(), "test".into()),
            ("tier".into(), "edge".into()),
        ]);
    });
    hub.join("t", "c1", 1).unwrap();
    let labels = hub.cluster("c1").metadata.labels.clone().unwrap();
    let expected = [("env", "test"), ("tier", "edge"), (SET_LABEL, "eu")];
    assert_eq!(
        labels,
        expected
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    );
}

#[test]
fn tokens_end_by_time_by_use_and_by_name() {
    let mut hub = with_token(|grant| grant.uses = 2);
    hub.join("t", "c1", 1).unwrap();
    hub.join("t", "c1", 1).unwrap();
    hub.join("t", "c2", 2).unwrap();
    assert_eq!(code(hub.join("t", "c3", 3)), Code::TokenExhausted);
    assert_eq!(code(hub.join("unknown", "c3", 3)), Code::TokenUnknown);

    let mut hub = with_token(|grant| grant.cluster = Some(ClusterName::new("c1").unwrap()));
    assert_eq!(code(hub.join("t", "c2", 1)), Code::TokenMismatch);
    let waiting = join_request(hub.id(), "c1", 1);
    assert!(is_pending(&hub.join_with("t", &waiting).unwrap()));
    hub.pass(24 * 3600);
    assert_eq!(code(hub.join("t", "c1", 2)), Code::TokenExpired);
    hub.run(&accept("c1")).unwrap();
    issued(hub.join_with("t", &waiting).unwrap());
}

#[test]
fn refused_joins_leave_no_trace() {
    let mut hub = with_token(|_| {});
    let before = hub.world.clone();
    let mut refused = |change: fn(&mut skein_schema::join::JoinRequest)| {
        let mut request = join_request(hub.id(), "c1", 1);
        change(&mut request);
        hub.join_with("t", &request).unwrap_err()
    };
    let cases: Vec<(Code, skein_schema::code::Refusal)> = vec![
        (Code::InvalidArgument, refused(|r| r.keys.nkey = "U".into())),
        (
            Code::InvalidArgument,
            refused(|r| r.keys.sealing_key = Some("AA".into())),
        ),
        (
            Code::InvalidArgument,
            refused(|r| r.keys.certificate_request = Some("x".into())),
        ),
        (
            Code::InvalidField,
            refused(|r| drop(r.labels.insert("a b".into(), "c".into()))),
        ),
        (
            Code::TokenMismatch,
            refused(|r| drop(r.labels.insert(SET_LABEL.into(), "eu".into()))),
        ),
        (
            Code::InvalidField,
            refused(|r| drop(r.annotations.insert("example.com/a".into(), "b".into()))),
        ),
        (
            Code::InvalidField,
            refused(|r| {
                r.client_configs = vec![ClientConfig {
                    url: "http://c1".into(),
                    ca_bundle: None,
                }];
            }),
        ),
        (
            Code::InvalidField,
            refused(|r| {
                r.claims = vec![ManagedClusterClaim {
                    name: "x".repeat(254),
                    value: "v".into(),
                }];
            }),
        ),
        (
            Code::TooLarge,
            refused(|r| r.labels = (0..65).map(|i| (format!("l{i}"), String::new())).collect()),
        ),
        (
            Code::TooLarge,
            refused(|r| r.agent_version = "v".repeat(65)),
        ),
        (
            Code::TooLarge,
            refused(|r| {
                drop(r.annotations.insert(
                    "agent.open-cluster-management.io/x".into(),
                    "v".repeat(70_000),
                ));
            }),
        ),
    ];
    for (expected, refusal) in cases {
        assert_eq!(refusal.code, expected, "{refusal:?}");
    }
    assert_eq!(hub.world, before);
}

#[test]
fn another_agent_never_takes_a_cluster_over_silently() {
    let mut hub = with_token(|grant| {
        grant.auto_accept = true;
        grant.uses = 5;
    });
    issued(hub.join("t", "c1", 1).unwrap());
    let rejoin = join_request(hub.id(), "c1", 2);
    assert!(
        is_pending(&hub.join_with("t", &rejoin).unwrap()),
        "though the token accepts"
    );
    assert_eq!(
        record(&hub).keys.as_ref().unwrap().nkey,
        keys(1).nkey,
        "the first goes on"
    );
    let renewal = hub.id();
    issued(hub.renew("c1", renewal, 1).unwrap());

    let before = hub.world.sequence();
    hub.run(&accept("c1")).unwrap();
    assert_eq!(
        hub.events_after(before),
        ["cluster.accepted.v1", "credential.revoked.v1"]
    );
    assert!(hub.world.revocations().contains_key(&keys(1).nkey));
    issued(hub.join_with("t", &rejoin).unwrap());
    assert_eq!(record(&hub).keys.as_ref().unwrap().nkey, keys(2).nkey);
    let renewal = hub.id();
    issued(hub.renew("c1", renewal, 2).unwrap());
}

#[test]
fn a_detached_cluster_is_not_back_at_once_by_the_use_it_had() {
    let mut hub = with_token(|grant| grant.auto_accept = true);
    issued(hub.join("t", "c1", 1).unwrap());
    hub.run(&Command::Delete {
        key: ObjectKey::cluster(&"c1".parse().unwrap()),
        precondition: Precondition::None,
        force: true,
        dry_run: false,
    })
    .unwrap();
    assert_eq!(code(hub.join("t", "c1", 1)), Code::TokenExhausted);
}

#[test]
fn who_waits_is_not_pushed_aside_by_another_token() {
    let mut hub = with_token(|_| {});
    hub.run(&Command::CreateToken(grant("other", 101))).unwrap();
    hub.join("t", "c1", 1).unwrap();
    assert_eq!(code(hub.join("other", "c1", 2)), Code::KeyMismatch);
    assert!(
        is_pending(&hub.join("t", "c1", 3).unwrap()),
        "its own token may begin anew"
    );
    hub.run(&accept("c1")).unwrap();
    assert_eq!(record(&hub).keys.as_ref().unwrap().nkey, keys(3).nkey);
}

#[test]
fn a_repeated_join_with_another_certificate_request_is_another_agent() {
    let mut hub = with_token(|grant| grant.auto_accept = true);
    issued(hub.join("t", "c1", 1).unwrap());
    let mut request = join_request(hub.id(), "c1", 1);
    request.keys.certificate_request = Some("-----BEGIN CERTIFICATE REQUEST-----\nother\n".into());
    assert!(is_pending(&hub.join_with("t", &request).unwrap()));
}

#[test]
fn a_key_is_one_clusters() {
    let mut hub = with_token(|grant| grant.uses = 2);
    hub.join("t", "c1", 1).unwrap();
    assert_eq!(code(hub.join("t", "c2", 1)), Code::KeyMismatch);
}

#[test]
fn a_cluster_accepted_in_advance_needs_a_token_for_its_name() {
    let mut accepted = cluster_document("c1");
    accepted["spec"] = json!({"hubAcceptsClient": true});
    let mut hub = with_token(|_| {}).with(accepted.clone());
    assert!(
        is_pending(&hub.join("t", "c1", 1).unwrap()),
        "any token's holder could take the name"
    );
    let mut hub =
        with_token(|grant| grant.cluster = Some(ClusterName::new("c1").unwrap())).with(accepted);
    issued(hub.join("t", "c1", 1).unwrap());
}

#[test]
fn an_object_made_in_advance_stays_as_it_was_made() {
    let mut made = cluster_document("c1");
    made["metadata"]["labels"] = json!({"env": "lab", SET_LABEL: "eu"});
    let mut hub = with_token(|grant| {
        grant.auto_accept = true;
        grant.clusterset = Some("eu".parse().unwrap());
    })
    .with(made);
    let before = hub.cluster("c1").metadata.labels.clone();
    let grant = issued(hub.join("t", "c1", 1).unwrap());
    assert_eq!(hub.cluster("c1").metadata.labels, before);
    assert_eq!(grant.clusterset.as_str(), "eu");
}

#[test]
fn a_token_that_accepts_is_not_enough_for_a_cluster_made_in_advance_elsewhere() {
    let made = |spec: serde_json::Value| {
        let mut made = cluster_document("c1");
        made["metadata"]["labels"] = json!({SET_LABEL: "eu"});
        made["spec"] = spec;
        made
    };
    // It gives the set "default", the cluster is in "eu".
    let stranger = |grant: &mut TokenGrant| grant.auto_accept = true;
    let mut hub = with_token(stranger).with(made(json!({})));
    let request = join_request(hub.id(), "c1", 1);
    assert!(is_pending(&hub.join_with("t", &request).unwrap()));
    assert!(!hub.cluster("c1").spec.hub_accepts_client);
    hub.run(&accept("c1")).unwrap();
    let grant = issued(hub.join_with("t", &request).unwrap());
    assert_eq!(grant.clusterset.as_str(), "eu", "a person has accepted it");

    // Of the same set, but somebody has accepted the name for an agent of their own.
    let mut hub = with_token(|grant| {
        grant.auto_accept = true;
        grant.clusterset = Some("eu".parse().unwrap());
    })
    .with(made(json!({"hubAcceptsClient": true})));
    assert!(is_pending(&hub.join("t", "c1", 1).unwrap()));

    // A token that names the cluster says enough.
    for spec in [json!({}), json!({"hubAcceptsClient": true})] {
        let mut hub = with_token(|grant| {
            stranger(grant);
            grant.cluster = Some(ClusterName::new("c1").unwrap());
        })
        .with(made(spec));
        let grant = issued(hub.join("t", "c1", 1).unwrap());
        assert_eq!(grant.clusterset.as_str(), "eu");
    }
}

#[test]
fn credentials_are_renewed_and_keys_rolled_over() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    hub.pass(18 * 3600);
    let request = hub.id();
    let grant = issued(hub.renew("c1", request, 1).unwrap());
    assert_eq!(grant.expires_at, "2026-11-25T06:00:00Z".parse().unwrap());
    let before = hub.world.clone();
    assert_eq!(issued(hub.renew("c1", request, 1).unwrap()), grant);
    assert_eq!(hub.world, before, "asking again records nothing");

    let roll = hub.id();
    issued(hub.renew("c1", roll, 2).unwrap());
    assert_eq!(record(&hub).rolled_from, Some(keys(1).nkey));
    assert!(
        hub.world.revocations().is_empty(),
        "the old key lives until the new one is used"
    );
    let next = hub.id();
    issued(hub.renew("c1", next, 2).unwrap());
    assert!(hub.world.revocations().contains_key(&keys(1).nkey));
    assert_eq!(record(&hub).rolled_from, None);
}

#[test]
fn an_agent_whose_new_key_got_lost_comes_back_with_the_old_one() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let roll = hub.id();
    hub.renew("c1", roll, 2).unwrap();
    let back = hub.id();
    issued(hub.renew("c1", back, 1).unwrap());
    assert_eq!(record(&hub).keys.as_ref().unwrap().nkey, keys(1).nkey);
    assert!(hub.world.revocations().contains_key(&keys(2).nkey));
    assert!(!hub.world.revocations().contains_key(&keys(1).nkey));
}

#[test]
fn a_renewal_cannot_take_another_clusters_key_nor_revive_a_cluster() {
    let mut hub = Scenario::new().with_cluster("c1", 1).with_cluster("c2", 2);
    let request = hub.id();
    assert_eq!(code(hub.renew("c1", request, 2)), Code::KeyMismatch);
    let request = hub.id();
    assert_eq!(code(hub.renew("gone", request, 3)), Code::ClusterDenied);
}

#[test]
fn an_accepted_agent_comes_back_to_clean_up_a_cluster_that_is_being_detached() {
    let mut hub = with_token(|_| {});
    let request = join_request(hub.id(), "c1", 1);
    hub.join_with("t", &request).unwrap();
    hub.run(&accept("c1")).unwrap();
    issued(hub.join_with("t", &request).unwrap());
    let mut hub = hub.with(work_document("c1", "web", &[config_map("a", "1")]));
    hub.run(&deny("c1")).unwrap();
    hub.run(&accept("c1")).unwrap();
    hub.run(&delete(cluster_key("c1"))).unwrap();

    let mut back = request;
    back.request = hub.id();
    issued(hub.join_with("t", &back).unwrap());
    let other = join_request(hub.id(), "c1", 2);
    assert_eq!(code(hub.join_with("t", &other)), Code::ClusterDenied);
}
