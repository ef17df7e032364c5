//! Passes that make a trained network smaller.

pub mod quantize;
pub mod slim;
