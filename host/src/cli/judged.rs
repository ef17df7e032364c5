//! A network and the images that it is judged on, as `eval` and `report` take them.

use std::path::PathBuf;

use anyhow::Result;
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::judge::Candidate;

use super::votes::VoteFlags;

/// A network and the images that it is judged on.
#[derive(Debug, clap::Args)]
pub(super) struct Judged {
    /// Checkpoint file, model folder or its model.toml
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    pub(super) data: String,
    /// Training, PublicTest or PrivateTest. Choose models on PublicTest, never on PrivateTest
    #[arg(long, default_value = "PublicTest")]
    pub(super) split: Split,
    /// Count wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    votes: VoteFlags,
}

impl Judged {
    /// Opens both.
    pub(super) fn open(&self) -> Result<(Candidate, Dataset)> {
        let candidate = Candidate::open(&self.model)?;
        let load = LoadOptions {
            skip_bad: self.skip_bad,
            tile: candidate.input().tile,
        };
        let dataset = data::open(&self.spec()?, &load)?.dataset;
        Ok((candidate, dataset))
    }

    /// The data as every command reads them, labels included.
    pub(super) fn spec(&self) -> Result<String> {
        self.votes.spec(&self.data)
    }

    /// What an error in judging is about.
    pub(super) fn subject(&self) -> String {
        format!("cannot judge {} on {}", self.model.display(), self.data)
    }
}
