//! Join tokens.

use skein_schema::code::Code;
use skein_schema::command::{Change, Command};
use skein_schema::name::{ClusterName, SetName, TokenName};

use crate::scenario::*;

#[test]
fn a_token_is_created_once() {
    let mut hub = Scenario::new();
    let done = hub.run(&Command::CreateToken(grant("t", 100))).unwrap();
    assert_eq!(done.change, Change::Created);
    assert_eq!(done.subject.ledger_subject(), "ledger.tokens._.t");
    assert_eq!(
        code(hub.run(&Command::CreateToken(grant("t", 100)))),
        Code::AlreadyExists
    );
    let view = hub
        .world
        .token(&TokenName::new("t").unwrap())
        .unwrap()
        .view();
    assert_eq!((view.used, view.revoked), (0, false));
    assert_eq!(view.created_by.to_string(), "user:admin");
}

#[test]
fn a_token_asks_for_what_it_gives() {
    let mut hub = Scenario::new().with(set_document("eu"));
    let mut grant = grant("t", 100);
    grant.clusterset = Some(SetName::new("eu").unwrap());
    grant.cluster = Some(ClusterName::new("c1").unwrap());
    grant.auto_accept = true;
    let done = hub.run(&Command::CreateToken(grant)).unwrap();
    let asked: Vec<_> = done
        .asked
        .iter()
        .map(|review| format!("{}/{} {}", review.resource, review.subresource, review.name))
        .collect();
    assert_eq!(
        asked,
        [
            "tokens/ t",
            "managedclustersets/join eu",
            "managedclusters/accept c1"
        ]
    );
}

#[test]
fn bad_tokens_are_refused() {
    let mut hub = Scenario::new();
    let mut refused = |change: fn(&mut skein_schema::command::TokenGrant)| {
        let mut grant = grant("t", 100);
        change(&mut grant);
        hub.run(&Command::CreateToken(grant)).unwrap_err()
    };
    let path = |refusal: skein_schema::code::Refusal| refusal.causes[0].path.clone();
    assert_eq!(path(refused(|grant| grant.uses = 0)), "uses");
    assert_eq!(
        path(refused(
            |grant| grant.expires_at = "2026-11-23T12:00:00Z".parse().unwrap()
        )),
        "expiresAt"
    );
    assert_eq!(
        path(refused(
            |grant| grant.expires_at = "2126-11-23T12:00:00Z".parse().unwrap()
        )),
        "expiresAt"
    );
    assert_eq!(
        path(refused(|grant| grant.public_key = "SUSECRET".into())),
        "publicKey"
    );
    assert_eq!(
        path(refused(|grant| drop(
            grant.labels.insert("a b".into(), String::new())
        ))),
        "labels[a b]"
    );
    let missing = refused(|grant| grant.clusterset = Some(SetName::new("nowhere").unwrap()));
    assert_eq!(missing.code, Code::NotFound);
}

#[test]
fn a_revoked_token_is_void_at_once() {
    let mut hub = Scenario::new();
    hub.run(&Command::CreateToken(grant("t", 100))).unwrap();
    let revoke = Command::RevokeToken {
        token: TokenName::new("t").unwrap(),
    };
    assert_eq!(hub.run(&revoke).unwrap().change, Change::Revoked);
    assert_eq!(hub.run(&revoke).unwrap().change, Change::Unchanged);
    assert!(
        hub.world
            .revocations()
            .contains_key(&grant("t", 100).public_key)
    );
    assert_eq!(code(hub.join("t", "c1", 1)), Code::TokenUnknown);
    let other = Command::RevokeToken {
        token: TokenName::new("other").unwrap(),
    };
    assert_eq!(code(hub.run(&other)), Code::NotFound);
}
