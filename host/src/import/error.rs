//! Why a checkpoint is not imported.

use std::fmt;
use std::path::PathBuf;

use super::pickle::PickleError;
use crate::graph::GraphError;

/// Longest name from a file that a message repeats.
const MAX_EXCERPT: usize = 120;
/// Most lines of a mismatch that are printed.
const MAX_LINES: usize = 400;

/// Why a checkpoint is not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file system said no.
    #[error("cannot read {path}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, wants to run something, or holds another network.
    #[error("{path}: {refusal}", path = .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The container: no checkpoint, cut off, or inconsistent.
    #[error("{0}")]
    Container(String),
    /// A pickle in it.
    #[error("{part}: {source}")]
    Pickle {
        /// Which one.
        part: &'static str,
        /// What is wrong with it.
        source: PickleError,
    },
    /// One field of what was saved.
    #[error("{field}: {problem}")]
    Field {
        /// The path to it, such as `net.features.0.weight`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tensors are not those of an architecture.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// No such architecture, or nodes that do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Everything in which tensors differ from the architecture that they are most like.
#[derive(Debug, thiserror::Error)]
pub struct Mismatch {
    /// The architecture.
    pub architecture: String,
    /// Whose names were expected.
    pub naming: &'static str,
    /// One line for each tensor that is unknown, missing or of another shape.
    pub problems: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "does not fit {} with names of {}, which is nearest:",
            self.architecture, self.naming
        )?;
        for line in self.problems.iter().take(MAX_LINES) {
            write!(f, "\n  {line}")?;
        }
        match self.problems.len().saturating_sub(MAX_LINES) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Text from a file, cut and without control characters, for a message.
pub(super) fn excerpt(text: &str) -> String {
    let mut start: String = text.chars().take(MAX_EXCERPT).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start.escape_debug().collect()
}
