//! Passes that make a trained network smaller.

pub mod slim;
