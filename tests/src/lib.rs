//! fer-tests
