//! Fuzzes `label_selector` of `schema/tests/decoders/targets.rs`.
#![no_main]

#[allow(dead_code, reason = "each target uses one function of the shared file")]
#[path = "../../schema/tests/decoders/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::label_selector(bytes));
