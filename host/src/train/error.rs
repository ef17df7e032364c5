//! What can go wrong in a run.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::graph::exec::ExecError;

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An option that cannot be meant.
    #[error("{field}: {problem}")]
    Option {
        /// The option, as in a recipe.
        field: &'static str,
        /// What it is and what was expected.
        problem: String,
    },
    /// The data does not fit the network or the run.
    #[error("data set: {0}")]
    Data(String),
    /// The teacher does not fit the student.
    #[error("teacher: {0}")]
    Teacher(String),
    /// The loss, or a number of the network or its optimiser, no longer is one.
    #[error(
        "{what} is {value} at epoch {epoch}, batch {batch}: lower the learning rate or clip gradients"
    )]
    Diverged {
        /// What is none.
        what: &'static str,
        /// What it is instead.
        value: f64,
        /// Epoch, from 0.
        epoch: usize,
        /// Batch of the epoch, from 0.
        batch: usize,
    },
    /// A folder that already holds another run.
    #[error("{path} already holds a run: resume it with --resume or choose another folder", path = .0.display())]
    Occupied(PathBuf),
    /// A file of the run folder cannot be read or written.
    #[error("cannot read or write {path}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the run folder is not the one that the checkpoint was written with.
    #[error("{path}: {problem}", path = .path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The measures cannot be computed.
    #[error(transparent)]
    Evaluation(#[from] crate::report::EvaluationError),
}

impl TrainError {
    /// Refuses a number outside `low..=high`.
    pub(super) fn range(field: &'static str, value: f32, low: f32, high: f32) -> Result<(), Self> {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(Self::Option {
            field,
            problem: format!("is {value}, expected {low} to {high}"),
        })
    }
}
