//! Every event variant has a golden file, and old versions are still read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skein_schema::event::{Event, EventError, KINDS};
use skein_schema::record::{Record, RecordError};

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events")
}

fn golden(kind: &str) -> serde_json::Value {
    let path = golden_folder().join(format!("{kind}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_variant_has_a_golden_file_that_reads_and_writes_the_same() {
    for kind in KINDS {
        let data = golden(kind);
        let event = Event::decode(kind, data.clone()).unwrap_or_else(|e| panic!("{kind}: {e:?}"));
        assert_eq!(event.kind(), *kind);
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(written["type"], *kind);
        assert_eq!(written["data"], data, "{kind} is written as it was read");
    }
}

#[test]
fn no_golden_file_is_forgotten() {
    let files: BTreeSet<String> = std::fs::read_dir(golden_folder())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let known: BTreeSet<String> = KINDS
        .iter()
        .map(ToString::to_string)
        .chain(["skein.cluster.joinrequested.v1".to_owned()])
        .collect();
    assert_eq!(files, known);
}

#[test]
fn a_join_request_of_version_1_becomes_one_of_version_2() {
    let event = Event::decode(
        "skein.cluster.joinrequested.v1",
        golden("skein.cluster.joinrequested.v1"),
    )
    .unwrap();
    let Event::ClusterJoinRequested(join) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        join.keys.nkey,
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
    );
    assert_eq!(join.keys.sealing_key, None);
    assert_eq!(join.cluster.as_str(), "shop-1");
}

#[test]
fn a_record_has_its_golden_bytes() {
    let record = Record {
        events: vec![
            Event::decode(
                "skein.cluster.accepted.v1",
                serde_json::json!({"cluster": "c1"}),
            )
            .unwrap(),
            Event::decode("skein.token.revoked.v1", serde_json::json!({"token": "t1"})).unwrap(),
        ],
    };
    let bytes = br#"{"events":[{"type":"skein.cluster.accepted.v1","data":{"cluster":"c1"}},{"type":"skein.token.revoked.v1","data":{"token":"t1"}}]}"#;
    assert_eq!(record.encode(), bytes);
    assert_eq!(Record::decode(bytes).unwrap(), record);
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let decode = |text: &str| Record::decode(text.as_bytes()).unwrap_err();
    assert!(matches!(decode("not json"), RecordError::Body(_)));
    assert!(matches!(decode(r#"{"events":[]}"#), RecordError::Empty));
    assert!(matches!(
        decode(r#"{"events":[{"type":"skein.cluster.accepted.v9","data":{}}]}"#),
        RecordError::Event {
            index: 0,
            source: EventError::UnknownType(_)
        }
    ));
    assert!(matches!(
        decode(r#"{"events":[{"type":"skein.cluster.accepted.v1","data":{"cluster":"*"}}]}"#),
        RecordError::Event {
            index: 0,
            source: EventError::Data { .. }
        }
    ));
}
