//! A command that is delivered again gets the same answer and changes nothing.

use jiff::Timestamp;
use skein_schema::code::Code;
use skein_schema::command::Command;
use skein_schema::envelope::Actor;
use skein_schema::object::ObjectKey;

use crate::decide::{Context, check_not_overtaken, decide};
use crate::scenario::*;

#[test]
fn every_command_is_decided_once() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let commands = [
        apply(set_document("eu")),
        patch(
            set_key("eu"),
            serde_json::json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        delete(set_key("eu")),
        apply(cluster_document("c2")),
        accept("c2"),
        deny("c2"),
        Command::CreateToken(grant("t", 100)),
        Command::RevokeToken {
            token: "t".parse().unwrap(),
        },
        apply(work_document("c1", "web", &[config_map("a", "")])),
        delete(work_key("c1", "web")),
        delete(cluster_key("c1")),
    ];
    let mut sent = Vec::new();
    for command in commands {
        let id = hub.id();
        let first = hub.run_as("admin", id, &command).unwrap();
        sent.push((id, command, first.change, hub.world.sequence()));
    }
    let before = hub.world.clone();
    for (id, command, change, sequence) in sent {
        let again = hub.run_as("admin", id, &command).unwrap();
        assert_eq!(
            (again.change, again.decided_at),
            (change, Some(sequence)),
            "{command:?}"
        );
        assert!(again.is_empty());
    }
    assert_eq!(hub.world, before);
}

#[test]
fn a_refusal_is_remembered_also_when_it_would_not_come_about_now() {
    let mut hub = Scenario::new();
    let id = hub.id();
    let binding = apply(binding_document("shop", "global"));
    let first = hub.run_as("admin", id, &binding).unwrap_err();
    let recorded = hub.world.sequence();
    hub.run(&apply(namespace_document("shop"))).unwrap();
    assert_eq!(hub.run_as("admin", id, &binding).unwrap_err(), first);
    assert_eq!(
        hub.world.sequence(),
        recorded + 1,
        "the refusal was recorded once"
    );
    assert!(hub.run(&binding).is_ok());
}

#[test]
fn an_id_is_not_shared_between_users() {
    let mut hub = Scenario::new();
    let id = hub.id();
    hub.run_as("admin", id, &apply(set_document("eu"))).unwrap();
    let stolen = hub
        .run_as("mallory", id, &apply(set_document("eu")))
        .unwrap_err();
    assert_eq!(stolen.code, Code::Conflict);
}

#[test]
fn outcomes_are_forgotten_when_no_queue_can_deliver_the_command_any_more() {
    let mut hub = Scenario::new();
    let mut ids = Vec::new();
    for index in 0..1_100 {
        let id = hub.id();
        hub.run_as(
            "admin",
            id,
            &apply(namespace_document(&format!("n{index}"))),
        )
        .unwrap();
        ids.push(id);
    }
    assert!(ids.iter().all(|id| hub.world.outcome(*id).is_some()));
    hub.pass(crate::World::OUTCOMES_KEPT_SECONDS + 1);
    hub.run(&apply(namespace_document("later"))).unwrap();
    assert!(hub.world.outcome(ids[0]).is_none());
}

/// Whether a command that the bus stored at `stored_at` is refused when it is delivered again.
fn comes_too_late(hub: &mut Scenario, command: &Command, stored_at: Timestamp) -> bool {
    let actor: Actor = "user:admin".parse().unwrap();
    let context = Context {
        now: hub.now,
        actor: &actor,
        command: hub.id(),
    };
    let decision = decide(&hub.world, &hub.observed, command, &context).unwrap();
    match check_not_overtaken(&hub.world, &decision, stored_at) {
        Ok(()) => false,
        Err(refusal) => {
            assert_eq!(refusal.code, Code::Conflict);
            assert!(refusal.hint.is_some());
            true
        }
    }
}

#[test]
fn a_command_delivered_again_does_not_undo_what_was_decided_meanwhile() {
    let mut accepted = cluster_document("c1");
    accepted["spec"] = serde_json::json!({"hubAcceptsClient": true});
    let web = apply(work_document("c1", "web", &[config_map("a", "")]));
    // What was found to need no change, and what somebody did then.
    let cases: [(Command, Command); 5] = [
        (accept("c1"), deny("c1")),
        (apply(accepted), deny("c1")),
        (web.clone(), delete(work_key("c1", "web"))),
        (web.clone(), force_delete(work_key("c1", "web"))),
        (apply(set_document("eu")), delete(set_key("eu"))),
    ];
    for (late, meanwhile) in cases {
        let mut hub = Scenario::new()
            .with_cluster("c1", 1)
            .with(set_document("eu"));
        hub.run(&web).unwrap();
        hub.run(&late).unwrap();
        hub.pass(1);
        let stored_at = hub.now;
        assert!(hub.run(&late).unwrap().is_empty(), "{late:?} is a no-op");
        hub.pass(1);
        hub.run(&meanwhile).unwrap();
        // What is being deleted is refused for that; it comes too late when it is gone.
        if matches!(&meanwhile, Command::Delete { key, .. } if *key == work_key("c1", "web")) {
            hub.report_removed("c1", "web");
        }
        hub.pass(10);
        assert!(comes_too_late(&mut hub, &late, stored_at), "{late:?}");
        let now = hub.now;
        assert!(
            !comes_too_late(&mut hub, &late, now),
            "sent anew it is meant"
        );
    }
}

#[test]
fn a_command_delivered_again_is_decided_where_nothing_was_changed_since() {
    let mut hub = Scenario::new().with(set_document("eu"));
    hub.pass(1);
    let stored_at = hub.now;
    hub.pass(10);
    hub.run(&apply(set_document("us"))).unwrap();
    let key = set_key("eu");
    let label = patch(key, serde_json::json!({"metadata": {"labels": {"a": "b"}}}));
    assert!(!comes_too_late(&mut hub, &label, stored_at));
    assert!(!comes_too_late(
        &mut hub,
        &apply(set_document("asia")),
        stored_at
    ));
    let grant = Command::CreateToken(grant("t", 100));
    assert!(!comes_too_late(&mut hub, &grant, stored_at));
}

#[test]
fn what_the_hub_sees_of_an_object_by_itself_is_no_change_of_mind() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let key: ObjectKey = cluster_key("c1");
    let changed = hub.world.changed_at(&key);
    hub.pass(1);
    let request = hub.id();
    hub.renew("c1", request, 1).unwrap();
    assert_eq!(hub.world.changed_at(&key), changed);
    hub.run(&deny("c1")).unwrap();
    assert_eq!(hub.world.changed_at(&key), Some(hub.now));
}

#[test]
fn objects_that_are_gone_are_remembered_as_long_as_a_command_may_wait() {
    let mut hub = Scenario::new().with(set_document("eu"));
    hub.run(&delete(set_key("eu"))).unwrap();
    let gone = hub.now;
    hub.pass(crate::World::OUTCOMES_KEPT_SECONDS);
    hub.run(&apply(set_document("us"))).unwrap();
    assert_eq!(hub.world.changed_at(&set_key("eu")), Some(gone));
    hub.pass(1);
    hub.run(&delete(set_key("us"))).unwrap();
    assert_eq!(hub.world.changed_at(&set_key("eu")), None);
}
