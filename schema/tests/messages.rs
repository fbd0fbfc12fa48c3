//! Every message on the wire has golden lines: each is read, and written again with the same bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skein_schema::command::{CommandMessage, CommandResult};
use skein_schema::desired::DesiredMessage;
use skein_schema::join::{JoinAnswer, JoinRequest, RenewRequest};
use skein_schema::query::{Answer, Query};
use skein_schema::status::{Heartbeat, StatusMessage};
use skein_schema::sync::{SyncEnd, SyncRequest};

/// Reads and writes the golden lines of a message; gives them.
fn golden<M: Serialize + DeserializeOwned>(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages");
    let path = folder.join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{name}.jsonl:{number}");
        let message: M = serde_json::from_str(line).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(serde_json::to_string(&message).unwrap(), line, "{place}");
    }
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The variants that the lines show, by the text that tells them apart.
fn shown<'a>(lines: impl IntoIterator<Item = &'a Value>, tag: &str) -> BTreeSet<&'a str> {
    lines
        .into_iter()
        .filter_map(|line| line[tag].as_str())
        .collect()
}

#[test]
fn commands_and_their_results() {
    let commands = golden::<CommandMessage>("command");
    assert_eq!(
        shown(&commands, "verb"),
        [
            "accept",
            "apply",
            "createToken",
            "delete",
            "deny",
            "patch",
            "revokeToken"
        ]
        .into()
    );
    assert_eq!(
        shown(&golden::<CommandResult>("result"), "outcome"),
        ["done", "refused"].into()
    );
}

#[test]
fn what_clusters_are_told() {
    let messages = golden::<DesiredMessage>("desired");
    let changes = messages
        .iter()
        .flat_map(|message| message["changes"].as_array().unwrap());
    assert_eq!(
        shown(changes, "type"),
        [
            "forgetWork",
            "moved",
            "removeWork",
            "settings",
            "signingKey",
            "snapshot",
            "work"
        ]
        .into()
    );
}

#[test]
fn what_clusters_tell() {
    let messages = golden::<StatusMessage>("status");
    let updates = messages
        .iter()
        .flat_map(|message| message["updates"].as_array().unwrap());
    assert_eq!(
        shown(updates, "type"),
        ["cluster", "work", "workRemoved"].into()
    );
    assert_eq!(golden::<Heartbeat>("heartbeat").len(), 2);
}

#[test]
fn joining_and_renewing() {
    assert_eq!(golden::<JoinRequest>("join_request").len(), 1);
    assert_eq!(golden::<RenewRequest>("renew_request").len(), 1);
    assert_eq!(
        shown(&golden::<JoinAnswer>("join_answer"), "answer"),
        ["issued", "pending", "refused"].into()
    );
}

#[test]
fn catching_up() {
    assert_eq!(
        shown(&golden::<SyncRequest>("sync_request"), "want"),
        ["content", "desired"].into()
    );
    assert_eq!(
        shown(&golden::<SyncEnd>("sync_end"), "end"),
        ["current", "more", "refused", "sent"].into()
    );
}

#[test]
fn questions_and_answers() {
    assert_eq!(
        shown(&golden::<Query>("query"), "what"),
        [
            "diff",
            "events",
            "get",
            "health",
            "sealingKey",
            "tokens",
            "watch"
        ]
        .into()
    );
    let answers = golden::<Answer>("answer");
    assert_eq!(
        shown(&answers, "answer"),
        [
            "changed",
            "difference",
            "end",
            "event",
            "health",
            "listed",
            "object",
            "refused",
            "sealingKey",
            "token"
        ]
        .into()
    );
}
