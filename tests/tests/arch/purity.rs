//! Pure crates get time, randomness and ids as arguments and give effects back as values.

use crate::graph::PURE;
use crate::source::{
    assert_none, folder, is_test_file, lines_with, members, production_code, rust_files, short,
    words,
};
use quote::ToTokens;

/// Sequences of words that a pure crate may not contain, and what to do in their place.
const BANNED: &[(&[&str], &str)] = &[
    (&["async"], "a decision does not wait; return an effect"),
    (
        &[".", "await"],
        "a decision does not wait; return an effect",
    ),
    (&["SystemTime"], "take the time as an argument"),
    (&["Instant"], "take the time as an argument"),
    (
        &["Timestamp", ":", ":", "now"],
        "take the time as an argument",
    ),
    (&["Zoned", ":", ":", "now"], "take the time as an argument"),
    (&["new_v4"], "take the id as an argument"),
    (&["now_v7"], "take the id as an argument"),
    (&["std", ":", ":", "env"], "take the setting as an argument"),
    (&["std", ":", ":", "fs"], "take the bytes as an argument"),
    (&["TcpStream"], "return an effect"),
    (&["TcpListener"], "return an effect"),
    (&["UdpSocket"], "return an effect"),
    (&["ToSocketAddrs"], "return an effect"),
    (&["std", ":", ":", "process"], "return an effect"),
    (&["std", ":", ":", "thread"], "a fold has one thread"),
    (
        &["HashMap"],
        "use BTreeMap: a replay must give the same bytes",
    ),
    (
        &["HashSet"],
        "use BTreeSet: a replay must give the same bytes",
    ),
    (&["println"], "return what is to be said"),
    (&["eprintln"], "return what is to be said"),
];

#[test]
fn pure_crates_neither_wait_nor_look_around() {
    let members = members();
    let mut breaches = Vec::new();
    for name in PURE {
        for path in rust_files(&folder(members[*name]).join("src")) {
            if is_test_file(&path) {
                continue;
            }
            let words = words(production_code(&path).to_token_stream());
            for (sequence, instead) in BANNED {
                for line in lines_with(&words, sequence) {
                    breaches.push(format!(
                        "{}:{line}: {} ({instead})",
                        short(&path),
                        sequence.concat()
                    ));
                }
            }
        }
    }
    assert_none("pure crates may not:", &breaches);
}
