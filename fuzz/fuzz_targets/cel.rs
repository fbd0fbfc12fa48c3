//! Fuzzes the expressions of condition rules and of placements: one is read, checked and evaluated
//! over an object. Whatever it is, that ends with a value or an error, within the steps that it may
//! take.
#![no_main]

use std::collections::BTreeMap;

use skein_cel::{Budget, HAS_CONDITIONS, MAX_STEPS, PARSE_JSON, Program, Value, ValueType};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let types = BTreeMap::from([("object", ValueType::Map), ("result", ValueType::Bool)]);
    let object = serde_json::json!({
        "n": 5, "f": 2.5, "s": "text", "nil": null, "yes": true,
        "list": [3, 1, 2], "map": {"x": 1, "y": 2},
        "items": [{"name": "a", "ready": true}, {"name": "b"}],
        "json": "{\"a\": [1, {\"b\": null}]}",
    });
    if let Ok(program) = Program::compile(text, &types, &[HAS_CONDITIONS, PARSE_JSON]) {
        let values = BTreeMap::from([
            ("object", Value::from(&object)),
            ("result", Value::Bool(true)),
        ]);
        let _ = program.evaluate(&values, &(), &mut Budget::new(MAX_STEPS));
    }
});
