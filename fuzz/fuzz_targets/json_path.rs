//! Fuzzes `json_path_template` of `schema/tests/decoders/targets.rs`.
#![no_main]

#[allow(dead_code, reason = "each target uses one function of the shared file")]
#[path = "../../schema/tests/decoders/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::json_path_template(bytes));
