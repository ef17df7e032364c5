//! A configuration under libFuzzer; `tests/tests/fuzz` runs the same function on damaged copies of good inputs.
#![no_main]

#[path = "../targets/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| config::run(bytes));
