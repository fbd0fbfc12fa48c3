//! The language is spelled in one place: subjects in `schema/src/subject.rs`, error codes in
//! `schema/src/code.rs` with a page each, conflicts by type and never by text.

use std::collections::BTreeSet;

use quote::ToTokens;
use skein_schema::code::Code;
use skein_schema::subject;

use crate::source::{
    assert_none, folder, is_test_file, lines_with, members, production_code, root, rust_files,
    short, words,
};

/// First tokens of our subjects. `"status.*.*"` and `"status.{set}"` are subjects, `"status.replicas"`
/// is the path of a field.
const SUBJECTS: &[&str] = &[
    "ledger", "cmd", "result", "query", "status", "beat", "sync", "renew", "join", "live",
    "desired", "content",
];

/// Streams and buckets; `STATUS` is also the head of a column and so left out.
const STREAMS: &[&str] = &[
    subject::LEDGER_STREAM,
    subject::COMMANDS_STREAM,
    subject::DESIRED_STREAM,
    subject::CONTENT_STREAM,
    subject::SNAPSHOTS_BUCKET,
    subject::LEASES_BUCKET,
];

#[test]
fn only_subject_rs_spells_subjects_and_streams() {
    let mut breaches = Vec::new();
    for (path, words) in production_words() {
        if short(&path) == "schema/src/subject.rs" {
            continue;
        }
        // The servers' own API is spoken by the one crate that knows NATS.
        let knows_nats = short(&path).starts_with("nats/src/");
        for word in words {
            if spells_a_subject(&word.text) && !(knows_nats && word.text.starts_with("\"$JS.")) {
                breaches.push(format!("{}:{}: {}", short(&path), word.line, word.text));
            }
        }
    }
    assert_none(
        "subjects, streams and buckets spelled outside schema/src/subject.rs:",
        &breaches,
    );
}

/// Whether a word is a string literal that is (the start of) a subject, or the name of a stream.
fn spells_a_subject(word: &str) -> bool {
    let Some(text) = word.strip_prefix("b\"").or_else(|| word.strip_prefix('"')) else {
        return false;
    };
    let text = text.trim_end_matches('"');
    if STREAMS.contains(&text) || text.starts_with("$JS.") || text.starts_with("_INBOX") {
        return true;
    }
    let Some((first, rest)) = text.split_once('.') else {
        return false;
    };
    SUBJECTS.contains(&first) && rest.starts_with(['*', '>', '{'])
}

#[test]
fn a_subject_is_told_from_the_path_of_a_field() {
    for subject in [
        "\"cmd.*.*\"",
        "\"desired.{set}.{cluster}\"",
        "\"LEDGER\"",
        "\"$JS.API.>\"",
        "\"ledger.>\"",
    ] {
        assert!(spells_a_subject(subject), "{subject}");
    }
    for other in [
        "\"status.replicas\"",
        "\"STATUS\"",
        "\"spec.join\"",
        "status",
        "\"content\"",
        "\"join.\"",
    ] {
        assert!(!spells_a_subject(other), "{other}");
    }
}

#[test]
fn every_error_code_has_its_page() {
    let pages: BTreeSet<_> = std::fs::read_dir(root().join("docs/errors"))
        .map(|entries| {
            entries
                .map(|entry| entry.expect("a readable folder").file_name())
                .collect::<Vec<_>>()
        })
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<_> = Code::ALL
        .iter()
        .map(|code| code.as_str().to_owned())
        .collect();
    assert_eq!(codes.len(), Code::ALL.len(), "a code is spelled twice");
    let mut breaches: Vec<_> = codes
        .difference(&pages)
        .map(|code| format!("docs/errors/{code}.md is missing"))
        .collect();
    breaches.extend(
        pages
            .difference(&codes)
            .map(|page| format!("docs/errors/{page}.md is about no code")),
    );
    let index = std::fs::read_to_string(root().join("docs/errors/README.md")).unwrap_or_default();
    for code in Code::ALL {
        let Ok(page) = std::fs::read_to_string(root().join(format!("docs/errors/{code}.md")))
        else {
            continue;
        };
        let kind = code.kind();
        for wanted in [
            format!("# {code} {code:?}\n"),
            format!("Kind: {kind:?}, exit code {}.", kind.exit_code()),
            "## What to do\n".to_owned(),
        ] {
            if !page.contains(&wanted) {
                breaches.push(format!(
                    "docs/errors/{code}.md has no line `{}`",
                    wanted.trim()
                ));
            }
        }
        if !index.contains(&format!("[{code}]({code}.md) | {code:?} |")) {
            breaches.push(format!("docs/errors/README.md does not list {code}"));
        }
    }
    assert_none("error codes and pages differ:", &breaches);
}

/// `docs/subjects.md` is read by people who set up the bus or look at its traffic.
#[test]
fn every_subject_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/subjects.md")).unwrap_or_default();
    let source = production_code(&root().join("schema/src/subject.rs"));
    let mut breaches = Vec::new();
    for item in source.items {
        let syn::Item::Const(item) = item else {
            continue;
        };
        if !matches!(item.vis, syn::Visibility::Public(_)) {
            continue;
        }
        for word in words(item.expr.to_token_stream()) {
            let Some(text) = word
                .text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
            else {
                continue;
            };
            if !page.contains(&format!("`{text}`")) {
                breaches.push(format!("{}: `{text}`", item.ident));
            }
        }
    }
    assert_none("docs/subjects.md does not name:", &breaches);
}

#[test]
fn no_decision_rests_on_the_text_of_a_message() {
    let mut breaches = Vec::new();
    for (path, words) in production_words() {
        for line in lines_with(&words, &["to_string", "(", ")", ".", "contains"]) {
            breaches.push(format!("{}:{line}", short(&path)));
        }
    }
    assert_none("compare types, not the text of messages:", &breaches);
}

/// A chain printer prints the source itself; a message that repeats it prints it twice.
#[test]
fn no_error_repeats_its_source() {
    let mut breaches = Vec::new();
    for path in production_files() {
        for item in production_code(&path).items {
            let syn::Item::Enum(item) = item else {
                continue;
            };
            for variant in &item.variants {
                let message = variant
                    .attrs
                    .iter()
                    .find(|attribute| attribute.path().is_ident("error"))
                    .map(|attribute| attribute.to_token_stream().to_string())
                    .unwrap_or_default();
                let has_source =
                    variant
                        .fields
                        .iter()
                        .flat_map(|field| &field.attrs)
                        .any(|attribute| {
                            attribute.path().is_ident("source") || attribute.path().is_ident("from")
                        });
                if has_source && (message.contains("{source") || message.contains("{0")) {
                    breaches.push(format!(
                        "{}: {}::{}",
                        short(&path),
                        item.ident,
                        variant.ident
                    ));
                }
            }
        }
    }
    assert_none("#[error] texts that repeat their #[source]:", &breaches);
}

/// The source files of every crate but the tests, without test files.
fn production_files() -> Vec<std::path::PathBuf> {
    members()
        .into_iter()
        .filter(|(name, _)| name != "skein-tests")
        .flat_map(|(_, package)| rust_files(&folder(package).join("src")))
        .filter(|path| !is_test_file(path))
        .collect()
}

fn production_words() -> Vec<(std::path::PathBuf, Vec<crate::source::Word>)> {
    production_files()
        .into_iter()
        .map(|path| {
            let words = words(production_code(&path).to_token_stream());
            (path, words)
        })
        .collect()
}
