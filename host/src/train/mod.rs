//! Training: one loop, whose parts are the loss, the schedule, the optimiser and the checkpoint.

mod optimizer;

pub use optimizer::{Clip, Optimizer, Sgd};
