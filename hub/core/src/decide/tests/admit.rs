//! Permission is asked for everything, first.

use serde_json::json;
use skein_schema::code::Code;
use skein_schema::command::Command;

use crate::scenario::*;

fn commands() -> Vec<Command> {
    vec![
        apply(set_document("eu")),
        apply(set_document("default")),
        apply(cluster_document("c1")),
        apply(binding_document("default", "global")),
        apply(namespace_document("shop")),
        apply(work_document("c1", "web", &[config_map("a", "")])),
        patch(
            cluster_key("c1"),
            json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        patch(cluster_key("absent"), json!({})),
        delete(cluster_key("c1")),
        delete(cluster_key("absent")),
        force_delete(set_key("default")),
        accept("c1"),
        accept("absent"),
        deny("c1"),
        Command::CreateToken(grant("t", 100)),
        Command::RevokeToken {
            token: "auto".parse().unwrap(),
        },
        Command::RevokeToken {
            token: "absent".parse().unwrap(),
        },
    ]
}

#[test]
fn a_user_without_permission_is_forbidden_everything_and_learns_nothing() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let objects: Vec<_> = hub
        .world
        .objects()
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    let tokens = hub.world.tokens().count();
    for command in commands() {
        let id = hub.id();
        let refusal = hub.run_as("eve", id, &command).unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden, "{command:?}: {refusal:?}");
    }
    let after: Vec<_> = hub
        .world
        .objects()
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    assert_eq!(after, objects);
    assert_eq!(hub.world.tokens().count(), tokens);
}

#[test]
fn every_accepted_command_names_the_permission_it_used() {
    for command in commands() {
        let mut hub = Scenario::new().with_cluster("c1", 1);
        if let Ok(done) = hub.run(&command) {
            assert!(!done.asked.is_empty(), "{command:?}");
        }
    }
}

#[test]
fn making_an_object_needs_more_than_changing_it() {
    let mut hub = Scenario::new();
    let verbs = |done: &crate::Decision| {
        done.asked
            .iter()
            .map(|review| review.verb.clone())
            .collect::<Vec<_>>()
    };
    let made = hub.run(&apply(set_document("eu"))).unwrap();
    assert_eq!(verbs(&made), ["patch", "create"]);
    let again = hub.run(&apply(set_document("eu"))).unwrap();
    assert_eq!(verbs(&again), ["patch"]);
    let bound = hub.run(&apply(binding_document("default", "eu"))).unwrap();
    let bind = bound.asked.last().unwrap();
    assert_eq!(
        (&*bind.resource, &*bind.subresource, &*bind.name),
        ("managedclustersets", "bind", "eu")
    );
}
