//! Whatever is sent, the ledger takes the record of it.

use serde_json::json;
use skein_schema::code::{Code, REFUSAL_MAX, Refusal};
use skein_schema::digest::Digest;
use uuid::Uuid;

use crate::decide::Decision;
use crate::scenario::*;

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
