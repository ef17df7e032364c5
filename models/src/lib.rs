//! fer-models
