//! Recipes: the network and the training as one TOML file.

use std::path::Path;

use anyhow::Result;
use fer_tools::graph::build::Architecture;
use fer_tools::train::TrainOptions;
use serde::{Deserialize, Serialize};

use super::exit::Configuration;

/// What to train and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recipe {
    /// The network; not needed where one is given to start from.
    pub(crate) network: Option<Architecture>,
    /// The training.
    pub(crate) train: TrainOptions,
}

/// Reads a TOML file of ours.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| Configuration(format!("{}: {e}", path.display())).into())
}
