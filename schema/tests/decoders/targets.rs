//! One function per decoder of bytes from outside. None may panic, whatever the bytes are; what
//! was read must read back as the same after it was written.
//!
//! The fuzz targets in `fuzz/` and the properties in `schema/tests/decoders.rs` share them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skein_schema::command::{CommandMessage, CommandResult, unknown_members};
use skein_schema::decode::{StrictValue, Unknown, decode, parse_json};
use skein_schema::desired::{DesiredHeader, DesiredMessage};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, EventId};
use skein_schema::join::{JoinAnswer, JoinRequest, JoinToken, RenewRequest};
use skein_schema::json_path;
use skein_schema::kind::label_selector::Selector;
use skein_schema::kind::manifest::SEALED_KEY;
use skein_schema::name::ClusterName;
use skein_schema::query::{Answer, Query};
use skein_schema::record::Record;
use skein_schema::seal::{self, SecretKey};
use skein_schema::status::{Heartbeat, StatusMessage};
use skein_schema::subject;
use skein_schema::sync::{SyncEnd, SyncPart, SyncRequest};

/// A function that feeds bytes to decoders.
pub(crate) type Target = fn(&[u8]);

/// All targets by name; each has a file in `fuzz/fuzz_targets/`.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("document_json", document_json),
    ("document_yaml", document_yaml),
    ("record", record),
    ("envelope", envelope),
    ("desired", desired),
    ("command", command),
    ("query", query),
    ("status", status),
    ("sync", sync),
    ("join", join),
    ("subject", subject_grammar),
    ("label_selector", label_selector),
    ("json_path", json_path_template),
    ("sealed", sealed),
];

/// A resource as JSON: the way of command bodies.
pub(crate) fn document_json(bytes: &[u8]) {
    if let Ok(value) = parse_json(bytes) {
        resource(value);
    }
}

/// A resource as YAML: the way of files.
pub(crate) fn document_yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(StrictValue(value)) = serde_yaml_ng::from_str(text) {
        resource(value);
    }
}

fn resource(value: Value) {
    for unknown in [Unknown::Warn, Unknown::Ignore] {
        let _ = decode(value.clone(), unknown);
    }
    match decode(value, Unknown::Refuse) {
        Ok(decoded) => {
            let written = serde_json::to_value(&decoded.resource).expect("a resource is JSON");
            let again = decode(written, Unknown::Refuse).expect("what was written can be read");
            assert_eq!(again.resource, decoded.resource);
        }
        Err(problems) => assert!(!problems.is_empty(), "a refusal without a reason"),
    }
}

/// The body of a ledger record.
pub(crate) fn record(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes) {
        let again = Record::decode(&record.encode()).expect("what was written can be read");
        assert_eq!(again, record);
    }
}

/// Headers, as `name: value` lines, and a body after an empty line.
pub(crate) fn envelope(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers = headers(head);
    let get = |name: &str| headers.get(name).copied();
    if let Ok(envelope) = Envelope::from_headers(get) {
        let written = envelope.to_headers();
        let find = |name: &str| {
            written
                .iter()
                .find(|(header, _)| *header == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(Envelope::from_headers(find).as_ref(), Ok(&envelope));
    }
    round_trip_text::<Actor>(body);
    round_trip_text::<EventId>(body);
    round_trip_text::<Digest>(body);
}

/// A desired message: headers, an empty line, and the body.
pub(crate) fn desired(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").unwrap_or(("", &text));
    let headers = headers(head);
    let cluster = ClusterName::new("cluster1").expect("a name");
    let _ = DesiredHeader::from_headers(cluster, |name| headers.get(name).copied());
    round_trip_json::<DesiredMessage>(body.as_bytes());
}

/// A command and its answer.
pub(crate) fn command(bytes: &[u8]) {
    round_trip_json::<CommandMessage>(bytes);
    if let Ok(body) = serde_json::from_slice::<Value>(bytes) {
        let _ = unknown_members(&body);
        if let Ok(message) = serde_json::from_value::<CommandMessage>(body) {
            let written = serde_json::to_value(&message).expect("a command is JSON");
            assert_eq!(unknown_members(&written), [], "{written}");
        }
    }
    round_trip_json::<CommandResult>(bytes);
}

/// A query and its answer.
pub(crate) fn query(bytes: &[u8]) {
    round_trip_json::<Query>(bytes);
    round_trip_json::<Answer>(bytes);
}

/// What agents report.
pub(crate) fn status(bytes: &[u8]) {
    round_trip_json::<StatusMessage>(bytes);
    round_trip_json::<Heartbeat>(bytes);
}

/// A request for what was missed, and the end of its answer.
pub(crate) fn sync(bytes: &[u8]) {
    round_trip_json::<SyncRequest>(bytes);
    round_trip_json::<SyncEnd>(bytes);
    if let Some(part) = std::str::from_utf8(bytes).ok().and_then(SyncPart::parse) {
        assert_eq!(SyncPart::parse(part.as_str()), Some(part));
    }
}

/// Tokens, requests and answers of registration.
pub(crate) fn join(bytes: &[u8]) {
    round_trip_json::<JoinRequest>(bytes);
    round_trip_json::<JoinAnswer>(bytes);
    round_trip_json::<RenewRequest>(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = JoinToken::decode(&text) {
        assert_eq!(JoinToken::decode(&token.encode()).ok(), Some(token));
    }
}

/// Subjects, and the escaping of their tokens.
pub(crate) fn subject_grammar(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let token = subject::escape(&text);
    assert!(
        !token.contains(['.', '*', '>', ' ', '\t', '\n', '\r', '\0']),
        "{token:?} is more than one token"
    );
    assert_eq!(subject::unescape(&token).as_deref(), Some(text.as_ref()));
    let _ = subject::unescape(&text);
    let _ = subject::parse_command(&text);
    let _ = subject::parse_query(&text);
    let _ = subject::parse_of_cluster(&text);
    let _ = subject::parse_join(&text);
}

/// The text form of a label selector.
pub(crate) fn label_selector(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(selector) = Selector::parse(&text) else {
        return;
    };
    let written = selector.to_label_selector();
    let again = written.and_then(|written| Selector::new("selector", &written).ok());
    let labels = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        all.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    for labels in [labels(&[]), labels(&[("env", "prod"), ("cores", "9")])] {
        let matches = selector.matches(&labels);
        if let Some(again) = &again {
            assert_eq!(again.matches(&labels), matches, "{text:?} on {labels:?}");
        }
    }
}

/// A JSONPath template.
pub(crate) fn json_path_template(bytes: &[u8]) {
    let _ = json_path::parse(&String::from_utf8_lossy(bytes));
}

/// A Secret, sealed or to be sealed.
pub(crate) fn sealed(bytes: &[u8]) {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(bytes) else {
        return;
    };
    let key = SecretKey::from([7; 32]);
    if let Ok(sealed) = seal::seal(&object, &key.public_key(), &[7; 32]) {
        let open = seal::open(&sealed, &key).expect("what was sealed to a key opens with it");
        for member in ["data", "stringData"] {
            assert_eq!(open.contains_key(member), object.contains_key(member));
        }
    }
    let _ = seal::open(&object, &key);
    // A seal to another key is not looked into; this one is said to be ours.
    if let Some(Value::Object(seal)) = object.get_mut(SEALED_KEY) {
        let ours = seal::recipient_key_id(&key.public_key());
        seal.insert("recipientKeyId".to_owned(), ours.into());
        let _ = seal::open(&object, &key);
    }
}

fn headers(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .collect()
}

/// What can be read can be written, and reads back as the same.
fn round_trip_json<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&value).expect("a message is JSON");
        let again: T = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(again, value);
    }
}

fn round_trip_text<T: std::str::FromStr + std::fmt::Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
}
