use serde_json::json;
use skein_schema::envelope::{Producer, SCHEMA_VERSION};

use super::*;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn raw(verb: &str, body: &[u8]) -> RawCommand {
    let user = UserName::new("alice").unwrap();
    let envelope = Envelope {
        id: Uuid::from_u128(5),
        kind: "skein.command.v1".into(),
        source: "/cli".into(),
        subject: "commands".into(),
        time: now(),
        actor: Actor::User(user.clone()),
        on_behalf_of: None,
        command_id: None,
        causation_id: None,
        correlation_id: Uuid::from_u128(6),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        producer: Producer::this_build("skein"),
        schema_version: SCHEMA_VERSION,
        digest: Digest::of(body),
    };
    RawCommand {
        user,
        verb: verb.into(),
        headers: envelope.to_headers().into(),
        body: body.to_vec().into(),
        sequence: 3,
        stored_at: now(),
        deliveries: 1,
    }
}

fn accept() -> Vec<u8> {
    json!({"deadlineSeconds": 30, "verb": "accept", "cluster": "c1"})
        .to_string()
        .into_bytes()
}

fn refused(raw: &RawCommand) -> Refusal {
    CommandRequest::read(raw).wish.expect_err("must be refused")
}

#[test]
fn a_good_command_is_read_with_its_envelope() {
    let request = CommandRequest::read(&raw("accept", &accept()));
    assert!(
        matches!(request.wish, Ok(Command::Accept { .. })),
        "{:?}",
        request.wish
    );
    assert_eq!(
        (request.id, request.correlation_id),
        (Uuid::from_u128(5), Uuid::from_u128(6))
    );
    assert_eq!(request.deadline, now() + SignedDuration::from_secs(30));
    assert!(request.traceparent.is_some());
    assert_eq!(request.actor().to_string(), "user:alice");
}

#[test]
fn each_wrong_body_has_its_code_and_path() {
    let cases: &[(&str, &[u8], Code, &str)] = &[
        ("accept", b"not json", Code::MalformedDocument, ""),
        ("accept", b"", Code::MalformedDocument, ""),
        (
            "accept",
            br#"{"verb":"explode","deadlineSeconds":3}"#,
            Code::InvalidArgument,
            "verb",
        ),
        ("accept", br#"[1]"#, Code::InvalidArgument, "verb"),
        (
            "accept",
            br#"{"verb":"accept","deadlineSeconds":3,"cluster":"*"}"#,
            Code::InvalidArgument,
            "",
        ),
        (
            "delete",
            br#"{"verb":"delete","deadlineSeconds":3,"dryrun":true,"key":{"kind":"ManagedCluster","name":"c1"}}"#,
            Code::UnknownField,
            "dryrun",
        ),
        (
            "delete",
            br#"{"verb":"delete","deadlineSeconds":3,"key":{"kind":"ManifestWork","namespace":"c1","name":"a"}}"#,
            Code::UnknownField,
            "key.namespace",
        ),
        (
            "deny",
            br#"{"verb":"accept","deadlineSeconds":3,"cluster":"c1"}"#,
            Code::InvalidArgument,
            "verb",
        ),
        (
            "accept",
            br#"{"verb":"accept","deadlineSeconds":0,"cluster":"c1"}"#,
            Code::InvalidArgument,
            "deadlineSeconds",
        ),
    ];
    for (verb, body, code, path) in cases {
        let refusal = refused(&raw(verb, body));
        let found = (refusal.code, refusal.causes[0].path.as_str());
        assert_eq!(
            found,
            (*code, *path),
            "{}: {refusal:?}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn what_was_sent_is_not_repeated_at_length() {
    let huge = "ä".repeat(300_000);
    let body = json!({"deadlineSeconds": huge, "verb": "accept", "cluster": "c1"});
    let refusal = refused(&raw("accept", body.to_string().as_bytes()));
    assert_eq!(refusal.code, Code::InvalidArgument);
    assert_eq!(refusal.causes[0].message.chars().count(), EXCERPT);
    assert!(refusal.causes[0].message.ends_with('…'), "{refusal:?}");

    let body = accept();
    let refusal = refused(&raw(&"x".repeat(30_000), &body));
    assert!(refusal.causes[0].message.len() < 300, "{refusal:?}");
    let mut raw = raw("accept", &body);
    raw.headers.insert("ce-time", huge.as_str());
    assert!(refused(&raw).causes[0].message.len() < 600);
}

#[test]
fn each_wrong_envelope_has_its_code_and_header() {
    let body = accept();
    let with = |name: &str, value: &str| {
        let mut raw = raw("accept", &body);
        raw.headers.insert(name, value);
        let refusal = refused(&raw);
        (refusal.code, refusal.causes[0].path.clone())
    };
    assert_eq!(
        with("ce-schemaversion", "99"),
        (Code::UnsupportedVersion, "ce-schemaversion".into())
    );
    assert_eq!(
        with("ce-time", "yesterday"),
        (Code::InvalidField, "ce-time".into())
    );
    assert_eq!(
        with("ce-time", "2026-11-23T13:00:00Z"),
        (Code::ClockSkew, "ce-time".into())
    );
    assert_eq!(
        with("ce-actor", "user:bob"),
        (Code::InvalidField, "ce-actor".into())
    );
    assert_eq!(
        with("ce-digest", &Digest::of(b"x").to_string()),
        (Code::MalformedDocument, "ce-digest".into())
    );
}

#[test]
fn a_message_without_an_id_has_one_that_does_not_change() {
    let mut raw = raw("accept", &accept());
    raw.headers = Headers::new();
    let (once, again) = (CommandRequest::read(&raw), CommandRequest::read(&raw));
    assert_eq!(once.id, again.id);
    assert_eq!(refused(&raw).code, Code::InvalidField);
    raw.sequence += 1;
    assert_ne!(CommandRequest::read(&raw).id, once.id);
}
