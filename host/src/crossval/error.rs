//! What can be wrong with a cross-validation.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::data::folds::FoldError;
use crate::judge::JudgeError;
use crate::report::EvaluationError;
use crate::train::TrainError;

/// Why folds could not be trained, judged or put together.
#[derive(Debug, thiserror::Error)]
pub enum CrossvalError {
    /// The file system said no.
    #[error("{}: cannot be read or written", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of ours that does not read.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder belongs to another cross-validation.
    #[error("{}: belongs to another cross-validation: its {field} is {found}, expected {expected}", path.display())]
    OtherPlan {
        /// The plan that differs.
        path: PathBuf,
        /// The first field that differs.
        field: String,
        /// What the file says.
        found: String,
        /// What this run, or the first folder, says.
        expected: String,
    },
    /// The same fold in two folders, with different results.
    #[error("fold {fold} has another result in {} than elsewhere", path.display())]
    Twice {
        /// The fold, from 1.
        fold: usize,
        /// The second folder.
        path: PathBuf,
    },
    /// Folds that nobody has trained yet.
    #[error("{} of {} folds are not done yet: {}", missing.len(), all, join(missing))]
    Missing {
        /// Their numbers, from 1.
        missing: Vec<usize>,
        /// Number of folds.
        all: usize,
    },
    /// The data cannot be divided so.
    #[error(transparent)]
    Folds(#[from] FoldError),
    /// A fold's training failed.
    #[error("fold {fold}")]
    Train {
        /// The fold, from 1.
        fold: usize,
        /// Why.
        source: TrainError,
    },
    /// A fold's network cannot be read back.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A fold's network cannot be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The measures cannot be computed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

fn join(folds: &[usize]) -> String {
    let names: Vec<String> = folds.iter().map(ToString::to_string).collect();
    names.join(" ")
}
