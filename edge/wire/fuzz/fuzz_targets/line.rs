//! A serial line under libFuzzer; `tests/tests/fuzz` runs the same function on damaged copies of good inputs.
#![no_main]

#[path = "../targets/line.rs"]
mod line;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| line::run(bytes));
