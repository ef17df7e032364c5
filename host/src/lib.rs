//! fer-tools

pub mod augment;
pub mod data;
