//! FER+: ten people's votes for every FER2013 image, and the labels that are made of them.
//!
//! Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
//! Distribution" (2016). `fer2013new.csv` has a row for each row of `fer2013.csv`, in the same order,
//! and no pixels; [`join`] puts the two together. FER+'s own program makes folders of PNG files with their
//! votes instead, which [`load_folders`] reads.

mod error;
mod folders;
mod join;
mod posterior;
mod read;
mod rules;

pub use error::VotesError;
pub use folders::{FOLDERS, load_folders};
pub(super) use folders::{LABEL_FILE, folder_of};
pub(super) use join::pair;
pub use join::{join, load, parse_spec, spec};
pub use read::{Row, Votes};
use rules::shared_shares;
pub use rules::{LabelMode, Rule, Tally};

/// How a specification of FER2013 with FER+ votes begins: `votes:MODE:VOTES:DATA`.
pub const PREFIX: &str = "votes:";
/// FER+'s expressions, the first eight vote columns.
pub const EXPRESSIONS: usize = 8;
/// Vote columns: the expressions, `unknown` and `NF` (no face).
pub const COLUMNS: usize = 10;
