//! The flag that says which crops of a face are averaged.

use clap::ValueEnum;
use fer_models::Crops;
use fer_tools::judge::Candidate;

/// The crops of a face that are averaged.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CropsName {
    /// The middle
    Center,
    /// Corners and middle, and their mirror images
    Ten,
}

impl From<CropsName> for Crops {
    fn from(name: CropsName) -> Self {
        match name {
            CropsName::Center => Self::Center,
            CropsName::Ten => Self::Ten,
        }
    }
}

/// The crops asked for, or else those that the network is meant to decide with.
pub(super) fn crops_of(asked: Option<CropsName>, candidate: &Candidate) -> Crops {
    asked.map_or(candidate.crops(), Crops::from)
}
