//! A command that is delivered again gets the same answer and changes nothing.

use skein_schema::code::Code;
use skein_schema::command::Command;

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
