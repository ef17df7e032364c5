//! fer-tools

pub mod report;
