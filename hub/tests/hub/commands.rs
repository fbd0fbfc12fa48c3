//! Commands: decided, recorded, answered; once.

use serde_json::json;
use skein_nats::Headers;
use skein_schema::code::Code;
use skein_schema::command::{Change, Command, CommandResult};
use skein_schema::digest::Digest;
use skein_schema::query::{Answer, EventFilter, Query};
use skein_schema::resource::KindName;

use crate::process::Plane;
use crate::user::{TRACEPARENT, User, apply, clusterset, new_id};
use crate::wait;

#[tokio::test]
async fn a_command_is_recorded_answered_and_seen() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let (object, sequence) = user.apply(clusterset("eu")).await;
    let sequence = sequence.expect("a record");
    assert_eq!(object["metadata"]["resourceVersion"], sequence.to_string());
    // What was answered is seen by whoever asks next.
    let sets = user.get(KindName::ManagedClusterSet).await;
    let names: Vec<&str> = sets
        .iter()
        .filter_map(|set| set["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, ["default", "eu", "global"]);
    // The same again needs no record.
    let again = user.command(apply(clusterset("eu"))).await;
    assert!(
        matches!(
            again,
            CommandResult::Done {
                change: Change::Unchanged,
                sequence: None,
                ..
            }
        ),
        "{again:?}"
    );
    let filter = EventFilter {
        kind: Some(KindName::ManagedClusterSet),
        last: Some(1),
        ..EventFilter::default()
    };
    let answers = user.query(&Query::Events(filter)).await;
    let Answer::Event(event) = &answers[0] else {
        panic!("{answers:?}")
    };
    assert_eq!(
        (event.id.sequence, event.actor.to_string()),
        (sequence, "user:admin".to_owned())
    );
    assert_eq!(event.traceparent.as_deref(), Some(TRACEPARENT));
    plane.process.stop().await;
}

#[tokio::test]
async fn a_command_that_comes_twice_is_decided_once() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let id = new_id();
    let first = user.command_as(id, apply(clusterset("eu"))).await;
    let CommandResult::Done {
        change: Change::Created,
        sequence: Some(sequence),
        ..
    } = first
    else {
        panic!("{first:?}")
    };
    let second = user.command_as(id, apply(clusterset("eu"))).await;
    let CommandResult::Done {
        change: Change::Created,
        sequence: again,
        ..
    } = second
    else {
        panic!("{second:?}")
    };
    assert_eq!(again, Some(sequence), "the same answer");
    // A refusal is remembered, too, and recorded once.
    let id = new_id();
    let refused =
        || apply(json!({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "a"}}));
    let CommandResult::Refused(one) = user.command_as(id, refused()).await else {
        panic!("refused")
    };
    let CommandResult::Refused(two) = user.command_as(id, refused()).await else {
        panic!("refused")
    };
    assert_eq!((one.code, &one), (Code::UnknownKind, &two));
    let filter = EventFilter {
        type_contains: Some("refused".into()),
        ..EventFilter::default()
    };
    let answers = user.query(&Query::Events(filter)).await;
    assert_eq!(answers.len(), 2, "one event and the end: {answers:?}");
    plane.process.stop().await;
}

#[tokio::test]
async fn commands_sent_at_once_are_all_answered() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let commands = (0..50).map(|n| user.command(apply(clusterset(&format!("set-{n}")))));
    let results = wait::within("all results", futures::future::join_all(commands)).await;
    let mut sequences: Vec<u64> = results
        .iter()
        .map(|result| match result {
            CommandResult::Done {
                sequence: Some(sequence),
                ..
            } => *sequence,
            other => panic!("{other:?}"),
        })
        .collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), 50, "one record each");
    plane.process.stop().await;
}

#[tokio::test]
async fn whatever_is_sent_has_a_precise_answer_and_the_hub_goes_on() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let bodies: [(&str, &[u8], Code); 4] = [
        ("apply", b"not json", Code::MalformedDocument),
        (
            "apply",
            br#"{"verb":"explode","deadlineSeconds":9}"#,
            Code::InvalidArgument,
        ),
        (
            "explode",
            br#"{"verb":"apply","deadlineSeconds":9}"#,
            Code::InvalidArgument,
        ),
        (
            "accept",
            br#"{"verb":"accept","deadlineSeconds":9,"cluster":"*"}"#,
            Code::InvalidArgument,
        ),
    ];
    for (verb, body, code) in bodies {
        let envelope = user.envelope(new_id(), body);
        match user.send(verb, &envelope, body.to_vec()).await {
            CommandResult::Refused(refusal) => assert_eq!(refusal.code, code, "{refusal:?}"),
            other => panic!("{}: {other:?}", String::from_utf8_lossy(body)),
        }
    }
    let body = br#"{"verb":"accept","deadlineSeconds":9,"cluster":"c1"}"#.to_vec();
    let good = || user.envelope(new_id(), &body);
    let mut future = good();
    future.schema_version = 99;
    let mut skewed = good();
    skewed.time += jiff::SignedDuration::from_hours(1);
    let mut other = good();
    other.digest = Digest::of(b"something else");
    for (envelope, code) in [
        (future, Code::UnsupportedVersion),
        (skewed, Code::ClockSkew),
        (other, Code::MalformedDocument),
        (good(), Code::NotFound),
    ] {
        match user.send("accept", &envelope, body.clone()).await {
            CommandResult::Refused(refusal) => assert_eq!(refusal.code, code, "{refusal:?}"),
            other => panic!("{other:?}"),
        }
    }
    // A message without an envelope has nobody to be answered, and is recorded.
    user.publish("apply", Headers::new(), b"\xff\xfe".to_vec())
        .await;
    wait::until("the refusal of a message without an envelope", || async {
        let filter = EventFilter {
            type_contains: Some("refused".into()),
            data: true,
            ..EventFilter::default()
        };
        let answers = user.query(&Query::Events(filter)).await;
        answers
            .iter()
            .any(|answer| format!("{answer:?}").contains("ce-schemaversion"))
            .then_some(())
    })
    .await;
    user.apply(clusterset("still-alive")).await;
    plane.process.stop().await;
}

#[tokio::test]
async fn a_dry_run_decides_and_changes_nothing() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let Command::Apply {
        resource,
        manager,
        precondition,
        validation,
        ..
    } = apply(clusterset("eu"))
    else {
        panic!("an apply")
    };
    let command = Command::Apply {
        resource,
        manager,
        precondition,
        validation,
        dry_run: true,
    };
    let result = user.command(command).await;
    assert!(
        matches!(
            result,
            CommandResult::Done {
                change: Change::Created,
                sequence: None,
                ..
            }
        ),
        "{result:?}"
    );
    assert_eq!(user.get(KindName::ManagedClusterSet).await.len(), 2);
    plane.process.stop().await;
}
