//! A CSV file under libFuzzer; `tests/tests/fuzz` runs the same function on damaged copies of good inputs.
#![no_main]

#[path = "../targets/fer2013_csv.rs"]
mod fer2013_csv;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fer2013_csv::run(bytes));
