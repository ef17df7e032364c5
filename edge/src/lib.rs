//! fer-edge
