//! Y4M and MJPEG under libFuzzer; `tests/tests/fuzz` runs the same function on damaged copies of good inputs.
#![no_main]

#[path = "../targets/y4m_mjpeg.rs"]
mod y4m_mjpeg;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| y4m_mjpeg::run(bytes));
