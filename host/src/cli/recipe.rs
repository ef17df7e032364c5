//! Recipes: the network and the training as one TOML file.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Error, Result};
use fer_tools::graph::GraphError;
use fer_tools::graph::build::Architecture;
use fer_tools::train::{TrainError, TrainOptions};
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
        // once: a pipe has nothing more to say
        let text = text(path)?;
        // the text as it stands says where a mistake is
        let plain: Self = parse(path, &text)?;
        let Some(arch) = arch else {
            return Ok(plain);
        };
        let mut file: toml::Table = parse(path, &text)?;
        if let Some(toml::Value::Table(network)) = file.get_mut("network") {
            network.insert("name".into(), arch.into());
        }
        file.try_into()
            .map_err(|e| Configuration(format!("{}: {e}", path.display())).into())
    }

    /// Warns where the network of the recipe in `path` is passed over for the one to start `from`.
    pub(crate) fn warn_of_network(&self, path: Option<&Path>, from: Option<&Path>) {
        if let (Some(_), Some(path), Some(from)) = (&self.network, path, from) {
            tracing::warn!(
                "{}: its [network] is passed over: {} is one",
                path.display(),
                from.display()
            );
        }
    }
}

/// Reads a TOML file of ours.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, &text(path)?)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| Configuration(format!("{}: {e}", path.display())).into())
}

/// An error of what a network or a training is asked to be, with the place in a file that asks for it; others, and
/// those without a file, stay as they are.
pub(crate) fn blame(place: Option<impl Display>, error: impl Into<Error>) -> Error {
    let error: Error = error.into();
    let is_option = matches!(error.downcast_ref(), Some(TrainError::Option { .. }));
    match place {
        Some(place) if is_option || error.is::<GraphError>() => {
            Configuration(format!("{place}: {error}")).into()
        }
        _ => error,
    }
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

    /// Read again, a pipe was empty, and nothing at all is the published training.
    #[cfg(unix)]
    #[test]
    fn a_recipe_comes_through_a_pipe() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        for (arch, name) in [(None, "resnet"), (Some("vgg11"), "vgg11")] {
            let (reader, mut writer) = std::io::pipe().unwrap();
            let text = b"[network]\nname = \"resnet\"\n[train]\nepochs = 5\n";
            writer.write_all(text).unwrap();
            drop(writer);
            let path = format!("/dev/fd/{}", reader.as_raw_fd());
            let recipe = Recipe::read(Path::new(&path), arch).unwrap();
            assert_eq!(recipe.network.unwrap().name, name);
            assert_eq!(recipe.train.epochs, 5);
        }
    }
}
