//! Every decoder of bytes from outside stands anything: pure noise, JSON of any shape, and golden
//! messages with bytes changed. `fuzz/` searches further with the same functions.

#[path = "decoders/targets.rs"]
mod targets;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use targets::TARGETS;

/// Every golden file of the crate, so that noise begins near something valid.
fn seeds() -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seeds = vec![
        b"subject.of.three".to_vec(),
        br#"{"verb":"cancel","deadlineSeconds":5}"#.to_vec(),
        b"env=prod,tier!=db,region in (eu, us),zone notin (a),gpu,!old,cores>8".to_vec(),
        b"{range .items[?(@.ready==true)]}{.metadata.name}{'\\n'}{end}{..status['a','b'][-1:]}"
            .to_vec(),
        br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"p":"x"}}"#
            .to_vec(),
        br#"{"kind":"Secret","skein.dev/sealed":{"recipientKeyId":"k1","ciphertext":"AAAA"}}"#
            .to_vec(),
    ];
    for folder in ["events", "kinds"] {
        for entry in std::fs::read_dir(golden.join(folder)).expect("golden files") {
            seeds.push(std::fs::read(entry.expect("a golden file").path()).expect("a golden file"));
        }
    }
    for entry in std::fs::read_dir(golden.join("messages")).expect("golden lines") {
        let lines = std::fs::read(entry.expect("a golden file").path()).expect("golden lines");
        let lines = lines.split(|byte| *byte == b'\n');
        seeds.extend(lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    seeds
}

fn run_all(bytes: &[u8]) {
    for (_, target) in TARGETS {
        target(bytes);
    }
}

#[test]
fn golden_messages_pass_every_decoder() {
    for seed in seeds() {
        run_all(&seed);
        let inside = serde_json::from_slice::<serde_json::Value>(&seed)
            .map(|event| serde_json::json!({ "events": [event] }).to_string());
        if let Ok(record) = inside {
            run_all(record.as_bytes());
        }
    }
}

#[test]
fn every_target_can_be_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    for (name, _) in TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(folder.join(&path).exists(), "fuzz/{path} is missing");
        assert!(
            manifest.contains(&format!("path = \"{path}\"")),
            "fuzz/Cargo.toml does not name {path}"
        );
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(
                "(apiVersion|kind|metadata|spec|verb|type|data|events|what|key|skein\\.dev/sealed|[a-z]{1,6})",
                inner,
                0..6
            )
            .prop_map(|object| serde_json::Value::Object(object.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn noise_is_refused_and_not_met_with_a_panic(bytes in vec(any::<u8>(), 0..512)) {
        run_all(&bytes);
    }

    #[test]
    fn any_json_is_read_or_refused(value in any_json()) {
        run_all(value.to_string().as_bytes());
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        seed in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>()), 1..8),
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        run_all(&bytes);
    }
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        // The YAML parser takes time with the square of the depth; whoever reads files limits that.
        run_all(nested(500).as_bytes());
        for (_, target) in TARGETS.iter().filter(|(name, _)| *name != "document_yaml") {
            target(nested(200_000).as_bytes());
        }
    }
}
