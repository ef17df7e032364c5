//! A request with a picture under libFuzzer; `tests/tests/fuzz` runs the same function on damaged copies of good inputs.
#![no_main]

#[path = "../targets/http_request.rs"]
mod http_request;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http_request::run(bytes));
