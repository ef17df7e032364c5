//! Training: one loop, whose parts are the loss, the schedule, the optimiser and the run folder.

mod any_of;
mod center;
mod class_weights;
mod error;
mod fit;
mod freeze;
mod layers;
mod loss;
mod moments;
mod optimizer;
mod options;
mod penalty;
mod run_folder;
mod schedule;
mod seeds;
mod sharpness;
mod state;
mod teacher;
mod trainer;
mod watch;

pub use any_of::any_of;
pub use center::{CenterOptions, Centers};
pub use class_weights::ClassWeights;
pub use error::TrainError;
pub use fit::fingerprint;
pub use freeze::Freeze;
pub use loss::{BatchLoss, LossOptions, cross_entropy};
pub use optimizer::{Betas, Clip, Optimizer, OptimizerOptions, Rule, RuleName};
pub use options::{Keep, TrainOptions};
pub use penalty::Penalty;
pub use run_folder::{BEST_FILE, LAST_FILE, METRICS_FILE, RunFolder};
pub use schedule::Schedule;
pub use seeds::{SEEDS_FILE, SeedRun, Seeds, Spread};
pub use state::{Best, RunState};
pub use trainer::{Device, Outcome, Setup, StepCallback, StepReport, Trainer};
pub use watch::{EarlyStop, Measure, Watch};

#[cfg(test)]
mod tests;
