use super::*;
use serde_json::json;

fn find(path: &str) -> Result<String, String> {
    let object = json!({
        "list": [1, 2, 3],
        "items": [{"name": "a", "n": 1}, {"name": "b"}, {"name": "c", "n": 3}],
        "map": {"b": 2, "a": 1},
        "empty": [],
    });
    let template = Template::parse(&format!("{{{path}}}")).map_err(|e| e.to_string())?;
    let found = template
        .find(object.as_object().unwrap())
        .map_err(|e| e.to_string())?;
    let kinds: Vec<Vec<String>> = found
        .iter()
        .map(|hits| {
            let text = |hit: &Found<'_>| match hit.kind() {
                Kind::Integer(value) => value.to_string(),
                Kind::String(text) => text.to_owned(),
                other => other.name().to_owned(),
            };
            hits.iter().map(text).collect()
        })
        .collect();
    Ok(kinds
        .iter()
        .map(|hits| hits.join(" "))
        .collect::<Vec<_>>()
        .join(" | "))
}

#[test]
fn slices_and_unions() {
    for (path, found) in [
        (".list[0]", "1"),
        (".list[]", "1"),
        (".list[-1]", "3"),
        (".list[-2]", "2"),
        (".list[1:]", "2 3"),
        (".list[::2]", "1 3"),
        (".list[0,2]", "1 3"),
        (".list[1:1]", ""),
        (".map.*", "1 2"),
        (".items[?(@.n>1)].name", "c"),
        (".items[?(@.n)].name", "a c"),
        (
            "range .items[*]}{.name}-{end}{.list[0]",
            "a | - | b | - | c | - | 1",
        ),
    ] {
        assert_eq!(find(path).as_deref(), Ok(found), "{path}");
    }
}

#[test]
fn what_does_not_fit_is_told() {
    for (path, error) in [
        (".list[3]", "array index out of bounds: index 3, length 3"),
        (
            ".list[2:1]",
            "starting index 2 is greater than ending index 1",
        ),
        (".list[::0]", "step must be > 0"),
        (".map[0]", "map[string]interface {} is not array or slice"),
        (".items[?(@.name==1)]", "incompatible types for comparison"),
        (".items[?(@.name=~'a')]", "unrecognized filter operator =~"),
        (".list[\"a\"]", "invalid array index \"a\""),
        (".list[0", "unterminated array"),
        (".items[?(@.name=='a]", "unterminated filter"),
        ("end", "not in range, nothing to end"),
        (".....a", "invalid multiple recursive descent"),
    ] {
        assert_eq!(find(path).unwrap_err(), error, "{path}");
    }
}

#[test]
fn hostile_templates_end() {
    let deep = format!("{}{}", "[?(".repeat(100), ")]".repeat(100));
    assert_eq!(find(&deep).unwrap_err(), "unterminated filter");
    assert_eq!(
        find(&"a".repeat(5000)).unwrap_err(),
        "longer than 4096 bytes"
    );
}

#[test]
fn descents_that_multiply_are_cut_off() {
    let mut value = json!({"a": 1});
    for _ in 0..40 {
        value = json!({"a": value, "b": {"a": {"a": 1}}});
    }
    let object = value.as_object().unwrap();
    let path = format!("{{{}}}", "..a".repeat(12));
    let template = Template::parse(&path).unwrap();
    assert_eq!(template.find(object), Err(EvaluateError::TooMuch));
}
