//! What can be wrong with a votes file.

use std::io;
use std::path::PathBuf;

use super::super::Split;

/// Why votes cannot be read, or joined with images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VotesError {
    /// The file system said no.
    #[error("{}: cannot be read", path.display())]
    Io {
        /// The votes file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what FER+ has there.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The votes file.
        path: PathBuf,
        /// Line number, counted from 1 with the header as line 1.
        line: usize,
        /// What was expected and found.
        problem: String,
    },
    /// Images and votes are not row by row the same.
    #[error(
        "{}: has {votes} {split} rows, the images {images}; expected FER2013 with all its rows, in order",
        path.display()
    )]
    Rows {
        /// The votes file.
        path: PathBuf,
        /// The split that differs.
        split: Split,
        /// Rows of it in the votes.
        votes: usize,
        /// Rows of it among the images.
        images: usize,
    },
    /// The images have other classes than FER2013.
    #[error("expected FER2013's images with its seven classes, found {found}")]
    Images {
        /// Their classes.
        found: String,
    },
    /// Rows were left out, so that the n-th vote is no longer the n-th image's.
    #[error("{skipped} wrong rows were skipped, so the votes no longer stand beside their images")]
    Skipped {
        /// Number of them.
        skipped: usize,
    },
    /// No such way to make labels.
    #[error(
        "labels: expected {}, found {found:?}",
        super::LabelMode::ALL.map(super::LabelMode::name).join(", ")
    )]
    Mode {
        /// What was given.
        found: String,
    },
    /// A `votes:` or `ferplus:` specification that does not parse.
    #[error(
        "{found:?}: expected votes:MODE:VOTES:DATA, where VOTES has no colon, or ferplus:MODE:DIR"
    )]
    Spec {
        /// What was given.
        found: String,
    },
}
