//! fer-tools
