//! Training: one loop, whose parts are the loss, the schedule, the optimiser and the run folder.

mod any_of;
mod error;
mod fit;
mod loss;
mod optimizer;
mod options;
mod run_folder;
mod schedule;
mod state;
mod trainer;

pub use any_of::any_of;
pub use error::TrainError;
pub use fit::fingerprint;
pub use loss::{BatchLoss, LossOptions, balanced_weights, cross_entropy};
pub use optimizer::{Clip, Optimizer, Sgd};
pub use options::TrainOptions;
pub use run_folder::{BEST_FILE, EVENTS_FILE, LAST_FILE, METRICS_FILE, RunFolder};
pub use schedule::Schedule;
pub use state::{Best, RunState};
pub use trainer::{Device, Observer, Outcome, Setup, StepReport, Trainer};
