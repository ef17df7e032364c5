//! The architectures: short functions that return a graph.
//!
//! Node names are those of the reference systems' PyTorch modules, so that their weights fit by name.

mod builder;
mod resnet;
mod vgg;
mod vggnet;

pub use builder::GraphBuilder;

use serde::{Deserialize, Serialize};

use super::{Graph, GraphError};

/// The names that [`build`] knows.
pub const NAMES: [&str; 7] = [
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "resnet18",
    "resnet18-gap",
    "vggnet",
];

/// What can be chosen about an architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// One of [`NAMES`].
    pub name: String,
    /// Multiplies the channel counts, rounded to multiples of 4; 1 is the published network.
    #[serde(default = "one")]
    pub width: f64,
    /// Image channels: 1, or 3 for grey replicated as the references feed it.
    #[serde(default = "three")]
    pub channels: usize,
    /// Probability of dropping a feature before the classifier.
    #[serde(default = "half")]
    pub dropout: f32,
}

fn one() -> f64 {
    1.0
}

fn three() -> usize {
    3
}

fn half() -> f32 {
    0.5
}

impl Architecture {
    /// The published network of that name: full width, three channels (`vggnet`: one), dropout 0.5.
    pub fn published(name: &str) -> Self {
        Self {
            name: name.into(),
            width: 1.0,
            channels: if name == "vggnet" { 1 } else { 3 },
            dropout: 0.5,
        }
    }

    fn scale(&self, channels: usize) -> usize {
        if self.width == 1.0 {
            return channels;
        }
        (((channels as f64 * self.width) / 4.0).round() as usize * 4).max(4)
    }
}

/// Builds an architecture for `classes` classes.
///
/// # Errors
/// When the name is unknown or a choice is out of range.
pub fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    if !(arch.width > 0.0 && arch.width <= 4.0) {
        return Err(GraphError::Node {
            node: arch.name.clone(),
            problem: format!("width is {}, expected above 0 up to 4", arch.width),
        });
    }
    match arch.name.as_str() {
        "vgg11" | "vgg13" | "vgg16" | "vgg19" => vgg::build(arch, classes),
        "resnet18" => resnet::resnet18(arch, classes, resnet::Pooling::TopLeft4x4),
        "resnet18-gap" => resnet::resnet18(arch, classes, resnet::Pooling::Global),
        "vggnet" => vggnet::build(arch, classes),
        other => Err(GraphError::UnknownArchitecture(other.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::count::Counts;
    use super::*;

    fn parameters(name: &str) -> u64 {
        let graph = build(&Architecture::published(name), 7).unwrap();
        Counts::of(&graph).parameters
    }

    #[test]
    fn parameter_counts_equal_the_references() {
        // seeds.md sections 1.2 and 5
        assert_eq!(parameters("vgg19"), 20_038_983);
        assert_eq!(parameters("vgg16"), 14_726_727);
        assert_eq!(parameters("vgg13"), 9_414_471);
        assert_eq!(parameters("vgg11"), 9_229_575);
        assert_eq!(parameters("resnet18"), 11_172_423);
        assert_eq!(parameters("resnet18-gap"), 11_172_423);
        assert_eq!(parameters("vggnet"), 6_016_647);
    }

    #[test]
    fn width_scales_channels_and_keeps_the_classes() {
        let arch = Architecture {
            width: 0.25,
            channels: 1,
            ..Architecture::published("vgg19")
        };
        let graph = build(&arch, 8).unwrap();
        assert_eq!(graph.classes(), 8);
        assert_eq!(graph.input_shape(), [1, 44, 44]);
        assert!(Counts::of(&graph).parameters < 20_038_983 / 15);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = build(&Architecture::published("vgg20"), 7).unwrap_err();
        assert!(error.to_string().contains("vgg19"), "{error}");
    }

    #[test]
    fn a_graph_survives_json() {
        for name in NAMES {
            let graph = build(&Architecture::published(name), 7).unwrap();
            let text = serde_json::to_string(&graph).unwrap();
            assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
        }
    }
}
