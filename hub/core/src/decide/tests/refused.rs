//! Whatever is sent, the ledger takes the record of it, and can be read on.

use serde_json::{Value, json};
use skein_schema::code::{Code, REFUSAL_MAX, Refusal};
use skein_schema::command::Change;
use skein_schema::decode::{self, Unknown};
use skein_schema::digest::Digest;
use skein_schema::event::{Applied, Event};
use uuid::Uuid;

use super::super::check_record;
use crate::decide::{Decision, Subject};
use crate::scenario::*;

/// A manifest of so many levels.
fn nested(levels: usize) -> Value {
    let deep = (1..levels).fold(json!("x"), |inner, _| json!({ "a": inner }));
    json!({"apiVersion": "example.com/v1", "kind": "Deep", "metadata": {"name": "a"}, "spec": deep})
}

#[test]
fn a_refusal_is_recorded_in_few_bytes_whatever_it_says() {
    let huge = "\u{1}".repeat(600_000);
    let refusal = (0..1_000).fold(
        Refusal::new(Code::InvalidArgument, &huge).with_hint(&huge),
        |refusal, _| refusal.with_cause("a".repeat(2_000), "b".repeat(2_000)),
    );
    let decision = Decision::refused(Uuid::nil(), "apply", None, Digest::of(b""), refusal);
    let bytes = decision.record.encode().len();
    assert!(bytes <= REFUSAL_MAX + 512, "{bytes}");
}

#[test]
fn who_has_no_permission_cannot_fill_the_ledger() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let huge = "x".repeat(600_000);
    let commands = [
        apply(json!({"apiVersion": huge, "kind": huge, "metadata": {"name": huge}})),
        apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": huge}})),
        apply(work_document(&huge, &huge, &[])),
        patch(cluster_key("c1"), json!({ huge.as_str(): huge })),
    ];
    for command in commands {
        let id = hub.id();
        hub.run_as("eve", id, &command).unwrap_err();
        let bytes = hub.stored.last().unwrap().record.encode().len();
        assert!(bytes <= REFUSAL_MAX + 512, "{bytes}");
    }
}

#[test]
fn a_manifest_that_could_not_be_read_back_is_refused() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    let refusal = hub
        .run(&apply(work_document("c1", "web", &[nested(121)])))
        .unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    assert_eq!(refusal.causes[0].path, "spec.workload.manifests[0]");
    assert!(refusal.causes[0].hint.is_some());
    // Recording it checks that it can be read back.
    hub.run(&apply(work_document("c1", "web", &[nested(100)])))
        .unwrap();
}

#[test]
fn a_record_that_could_not_be_read_back_is_refused_whatever_let_it_pass() {
    let record_of = |levels| {
        let document = work_document("c1", "web", &[nested(levels)]);
        let resource = decode::decode(document, Unknown::Refuse).unwrap().resource;
        let applied = Applied {
            resource,
            manager: "skein".to_owned(),
        };
        let subject = Subject::Object(work_key("c1", "web"));
        Decision::new(
            subject,
            Change::Created,
            vec![Event::Applied(Box::new(applied))],
        )
    };
    assert_eq!(check_record(&record_of(100)), Ok(()));
    let refusal = check_record(&record_of(125)).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    assert!(
        refusal.causes[0].message.contains("recursion limit"),
        "{refusal:?}"
    );
}
