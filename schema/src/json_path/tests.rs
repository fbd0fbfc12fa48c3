#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use proptest::prelude::*;

/// Reads a path as feedback rules have it, without braces.
fn read(path: &str) -> Result<Vec<Node>, ParseError> {
    parse(&format!("{{{path}}}"))
}

fn field(name: &str) -> Node {
    Node::Field(name.to_owned())
}

#[test]
fn paths_become_steps() {
    let steps = |nodes: Vec<Node>| Ok(vec![Node::List(nodes)]);
    assert_eq!(
        read(".status.phase"),
        steps(vec![field("status"), field("phase")])
    );
    assert_eq!(read("$['a.b']"), steps(vec![field("a"), field("b")]));
    assert_eq!(read(r".a\.b"), steps(vec![field("a.b")]));
    let single = Slice {
        start: Some(-1),
        end: Some(0),
        single: true,
        step: None,
    };
    assert_eq!(read(".l[-1]"), steps(vec![field("l"), Node::Array(single)]));
    let filter = Node::Filter {
        left: vec![field("type")],
        operator: "==".to_owned(),
        right: vec![Node::Text("A".to_owned())],
    };
    let path = r#".c[?(@.type=="A")].status"#;
    assert_eq!(read(path), steps(vec![field("c"), filter, field("status")]));
}

#[test]
fn what_ocm_refuses_is_refused() {
    for path in [
        r#".status["phase"]"#,
        ".status.list[ 1 ]",
        ".status.list[a]",
        "..*",
        ".status]",
        ".status.items[?(@.n==1].name",
        "{.status.phase}",
        r"\.status.phase",
    ] {
        assert!(read(path).is_err(), "{path}");
    }
}

#[test]
fn hostile_paths_end() {
    let deep = format!("{}{}", "[?(".repeat(100), ")]".repeat(100));
    assert!(read(&deep).is_err());
    assert_eq!(read(&"a".repeat(5000)), Err(ParseError::TooLong));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn anything_like_a_path_is_answered(text in r#"[\[\]{}()?@$.*,:'"\\=!<>~ \-+0-9a-zé]{0,40}"#) {
        let _ = read(&text);
    }
}
