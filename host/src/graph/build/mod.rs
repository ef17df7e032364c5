//! The architectures: short functions that return a graph.
//!
//! Node names are those of the reference systems' PyTorch modules, so that their weights fit by name. No builder
//! loads weights: a network is drawn at random ([`init::fresh`](super::init::fresh)), imported, or read from a
//! checkpoint, and the user says which.

mod architecture;
mod builder;
mod densenet;
mod efficientnet;
mod ferplus;
mod googlenet;
mod inception;
mod pytorchcv;
mod resmasking;
mod resnet;
mod resnet_cifar;
mod resnet_small;
mod torchvision_vgg;
mod vgg;
mod vggface;
mod vggnet;

pub use architecture::Architecture;
pub use builder::GraphBuilder;

use super::{Graph, GraphError};
use resnet::Block::{Basic, Bottleneck};
use resnet_cifar::Pooling::{Global, TopLeft4x4};

/// What is published about an architecture.
struct Published {
    name: &'static str,
    /// Image channels.
    channels: usize,
    /// Image side in pixels.
    size: usize,
    /// Probability of dropping a feature before the classifier; 0 where the reference has no dropout.
    dropout: f32,
    build: fn(&Architecture, usize) -> Result<Graph, GraphError>,
}

const fn entry(
    name: &'static str,
    [channels, size]: [usize; 2],
    dropout: f32,
    build: fn(&Architecture, usize) -> Result<Graph, GraphError>,
) -> Published {
    Published {
        name,
        channels,
        size,
        dropout,
        build,
    }
}

/// Every architecture, in the order of [`NAMES`].
const ZOO: [Published; 36] = [
    entry("vgg11", [3, 44], 0.5, vgg::build),
    entry("vgg13", [3, 44], 0.5, vgg::build),
    entry("vgg16", [3, 44], 0.5, vgg::build),
    entry("vgg19", [3, 44], 0.5, vgg::build),
    entry("resnet18", [3, 44], 0.5, |a, n| {
        resnet_cifar::build(a, n, Basic, [2, 2, 2, 2], TopLeft4x4)
    }),
    entry("resnet18-gap", [3, 44], 0.5, |a, n| {
        resnet_cifar::build(a, n, Basic, [2, 2, 2, 2], Global)
    }),
    entry("resnet34-gap", [3, 44], 0.5, |a, n| {
        resnet_cifar::build(a, n, Basic, [3, 4, 6, 3], Global)
    }),
    entry("resnet50-gap", [3, 44], 0.5, |a, n| {
        resnet_cifar::build(a, n, Bottleneck, [3, 4, 6, 3], Global)
    }),
    entry("vggnet", [1, 48], 0.5, vggnet::build),
    entry("resnet", [1, 48], 0.0, resnet_small::build),
    entry("ferplus-vgg13", [1, 64], 0.5, ferplus::build),
    entry("alexnet", [3, 224], 0.5, torchvision_vgg::alexnet),
    entry("vgg11-imagenet", [3, 224], 0.5, torchvision_vgg::plain),
    entry("vgg13-imagenet", [3, 224], 0.5, torchvision_vgg::plain),
    entry("vgg16-imagenet", [3, 224], 0.5, torchvision_vgg::plain),
    entry("vgg19-imagenet", [3, 224], 0.5, torchvision_vgg::plain),
    entry("vgg11_bn", [3, 224], 0.5, torchvision_vgg::normalised),
    entry("vgg13_bn", [3, 224], 0.5, torchvision_vgg::normalised),
    entry("vgg16_bn", [3, 224], 0.5, torchvision_vgg::normalised),
    entry("vgg19_bn", [3, 224], 0.5, torchvision_vgg::normalised),
    entry("resnet18-imagenet", [3, 224], 0.0, |a, n| {
        resnet::build(a, n, Basic, [2, 2, 2, 2])
    }),
    entry("resnet34-imagenet", [3, 224], 0.0, |a, n| {
        resnet::build(a, n, Basic, [3, 4, 6, 3])
    }),
    entry("resnet50-imagenet", [3, 224], 0.0, |a, n| {
        resnet::build(a, n, Bottleneck, [3, 4, 6, 3])
    }),
    entry("resnet101-imagenet", [3, 224], 0.0, |a, n| {
        resnet::build(a, n, Bottleneck, [3, 4, 23, 3])
    }),
    entry("resnet152-imagenet", [3, 224], 0.0, |a, n| {
        resnet::build(a, n, Bottleneck, [3, 8, 36, 3])
    }),
    entry("googlenet", [3, 224], 0.2, googlenet::build),
    entry("inception_v3", [3, 299], 0.5, inception::build),
    entry("densenet121", [3, 224], 0.0, densenet::build),
    entry("efficientnet_b2b", [3, 224], 0.3, efficientnet::build),
    entry("cbam_resnet50", [3, 224], 0.0, pytorchcv::cbam),
    entry("bam_resnet50", [3, 224], 0.0, pytorchcv::bam),
    entry("resnet50-vggface2", [3, 224], 0.3, vggface::resnet50),
    entry("senet50-vggface2", [3, 224], 0.3, vggface::senet50),
    entry("resmasking", [3, 224], 0.0, resmasking::plain),
    entry("resmasking_dropout1", [3, 224], 0.4, resmasking::dropout1),
    entry("resmasking_dropout2", [3, 224], 0.5, resmasking::dropout2),
];

/// The names that [`build`] knows.
pub const NAMES: [&str; ZOO.len()] = names();

const fn names() -> [&'static str; ZOO.len()] {
    let mut names = [""; ZOO.len()];
    let mut i = 0;
    while i < ZOO.len() {
        names[i] = ZOO[i].name;
        i += 1;
    }
    names
}

fn published(name: &str) -> Option<&'static Published> {
    const { &ZOO }.iter().find(|entry| entry.name == name)
}

/// Builds an architecture for `classes` classes.
///
/// # Errors
/// When the name is unknown or a choice is out of range.
pub fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let entry =
        published(&arch.name).ok_or_else(|| GraphError::UnknownArchitecture(arch.name.clone()))?;
    if !(arch.width > 0.0 && arch.width <= 4.0) {
        return Err(arch.problem(format!("width is {}, expected above 0 up to 4", arch.width)));
    }
    let widths = [0, vgg::convolutions(&arch.name)];
    if !widths.contains(&arch.widths.len()) || arch.widths.iter().any(|w| !(1..=4096).contains(w)) {
        let found = &arch.widths;
        let problem = match widths {
            [_, 0] => "takes no widths: they are VGG's".to_owned(),
            [_, n] => format!(
                "widths is {found:?}, expected {n} from 1 to 4096, one for each convolution"
            ),
        };
        return Err(arch.problem(problem));
    }
    if !matches!(arch.channels, 1 | 3) {
        return Err(arch.problem(format!("channels is {}, expected 1 or 3", arch.channels)));
    }
    (entry.build)(arch, classes)
}

#[cfg(test)]
mod tests;
