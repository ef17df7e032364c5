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

impl Recipe {
    /// Reads a recipe, with another architecture in its place where one is named: what the file does not say of the network
    /// is then as published for that one.
    pub(crate) fn read(path: &Path, arch: Option<&str>) -> Result<Self> {
        let mut file: toml::Table = read(path)?;
        if let (Some(arch), Some(toml::Value::Table(network))) = (arch, file.get_mut("network")) {
            network.insert("name".into(), arch.into());
        }
        // the text as it stands says where a mistake is
        let plain: Self = read(path)?;
        match arch {
            None => Ok(plain),
            Some(_) => file
                .try_into()
                .map_err(|e| Configuration(format!("{}: {e}", path.display())).into()),
        }
    }
}

/// Reads a TOML file of ours.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| Configuration(format!("{}: {e}", path.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_architecture_is_as_published_where_the_recipe_is_silent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.toml");
        std::fs::write(&path, "[network]\nname = \"resnet\"\nwidth = 0.5\n").unwrap();
        let read = |arch| Recipe::read(&path, arch).unwrap().network.unwrap();
        assert_eq!((read(None).channels, read(None).dropout), (1, 0.0));
        let vgg = read(Some("vgg11"));
        assert_eq!((vgg.name.as_str(), vgg.width), ("vgg11", 0.5));
        assert_eq!((vgg.channels, vgg.dropout), (3, 0.5));
        std::fs::write(&path, "[network]\nname = \"resnet\"\nchannels = 3\n").unwrap();
        assert_eq!(read(Some("vggnet")).channels, 3);
    }
}
