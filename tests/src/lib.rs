//! What the whole-product tests of fer share. The tests themselves lie in `tests/`.

pub mod judges;
pub mod npy;
pub mod program;
pub mod skip;
