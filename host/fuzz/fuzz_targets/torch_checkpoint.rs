//! A PyTorch checkpoint under libFuzzer; `tests/tests/fuzz` runs the same function on damaged copies of good inputs.
#![no_main]

#[path = "../targets/torch_checkpoint.rs"]
mod torch_checkpoint;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| torch_checkpoint::run(bytes));
