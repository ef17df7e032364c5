//! What can be chosen about an architecture.

use serde::{Deserialize, Serialize};

use super::{build, published};
use crate::graph::GraphError;

/// An architecture and the choices about it. In a recipe everything but the name may be left out, and is then as
/// published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Choices")]
pub struct Architecture {
    /// One of [`NAMES`](super::NAMES).
    pub name: String,
    /// Multiplies the channel counts, rounded to multiples of 4; 1 is the published network.
    pub width: f64,
    /// Channels of each convolution, before they are multiplied; empty: as published. Only of VGG, whose layers stand in
    /// one line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widths: Vec<usize>,
    /// Image channels: 1, or 3 for grey replicated as the references feed it.
    pub channels: usize,
    /// Probability of dropping a feature before the classifier.
    pub dropout: f32,
    /// Side of the image in pixels; the published one where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

/// What stands in a recipe.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choices {
    name: String,
    width: Option<f64>,
    #[serde(default)]
    widths: Vec<usize>,
    channels: Option<usize>,
    dropout: Option<f32>,
    size: Option<usize>,
}

impl From<Choices> for Architecture {
    fn from(choices: Choices) -> Self {
        let published = Self::published(&choices.name);
        Self {
            width: choices.width.unwrap_or(published.width),
            widths: choices.widths,
            channels: choices.channels.unwrap_or(published.channels),
            dropout: choices.dropout.unwrap_or(published.dropout),
            size: choices.size,
            ..published
        }
    }
}

impl Architecture {
    /// The published network of that name: full width, its own channels, size and dropout. Of a name that is not
    /// known, what most have: three channels, dropout 0.5; [`build`] then says that it is not.
    pub fn published(name: &str) -> Self {
        let (channels, dropout) = published(name).map_or((3, 0.5), |p| (p.channels, p.dropout));
        Self {
            name: name.into(),
            width: 1.0,
            widths: Vec::new(),
            channels,
            dropout,
            size: None,
        }
    }

    /// The same layers small enough to try out in a moment: an eighth of the width, at the smallest of some sides
    /// from 32 pixels up that the layers accept.
    ///
    /// # Errors
    /// When the name is unknown.
    pub fn small(name: &str) -> Result<Self, GraphError> {
        let at = |size| Self {
            width: 0.125,
            size: Some(size),
            ..Self::published(name)
        };
        let sides = [32, 48, 64, 96];
        match sides.map(at).into_iter().find(|a| build(a, 7).is_ok()) {
            Some(arch) => Ok(arch),
            None => build(&at(128), 7).map(|_| at(128)),
        }
    }

    /// Side of the image in pixels.
    pub fn side(&self) -> usize {
        self.size
            .or_else(|| published(&self.name).map(|p| p.size))
            .unwrap_or(44)
    }

    /// Shape of the image.
    pub(super) fn image(&self) -> [usize; 3] {
        [self.channels, self.side(), self.side()]
    }

    /// A channel count at this width.
    pub(super) fn scale(&self, channels: usize) -> usize {
        if self.width == 1.0 {
            return channels;
        }
        (((channels as f64 * self.width) / 4.0).round() as usize * 4).max(4)
    }

    /// What is wrong with the choices.
    pub(super) fn problem(&self, problem: String) -> GraphError {
        GraphError::Node {
            node: self.name.clone(),
            problem,
        }
    }
}
