//! VGG with batch normalisation (Simonyan & Zisserman, 2015) as the reference systems train it on
//! 44×44 crops: no hidden fully connected layers, one dropout before the classifier.

use super::Architecture;
use super::builder::{GraphBuilder, conv3x3};
use crate::graph::{Graph, GraphError, Op, Pool};

/// Channels of a convolution, or 0 for a pooling; of the configuration that a name begins with.
pub(super) fn layout(name: &str) -> &'static [usize] {
    match name.get(..5).unwrap_or(name) {
        "vgg11" => &[64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
        "vgg13" => &[
            64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0,
        ],
        "vgg16" => &[
            64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0,
        ],
        _ => &[
            64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512,
            512, 0,
        ],
    }
}

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, mut x) = GraphBuilder::new(arch.image());
    let mut channels = arch.channels;
    // numbered as in a PyTorch `Sequential`
    let mut index = 0;
    let mut name = || {
        let name = format!("features.{index}");
        index += 1;
        name
    };
    for &width in layout(&arch.name) {
        if width == 0 {
            x = b.halve(name(), x);
            continue;
        }
        let width = arch.scale(width);
        x = b.conv(name(), x, conv3x3(channels, width, 1, true));
        x = b.norm(name(), x, width);
        x = b.relu(name(), x);
        channels = width;
    }
    // the reference ends in a 1×1 average of a 1×1 map; kept so that names and shapes line up
    x = b.push(name(), Op::AvgPool(Pool::new(1, 1)), &[x]);
    x = b.push("flatten", Op::Flatten, &[x]);
    x = b.push("dropout", Op::Dropout { p: arch.dropout }, &[x]);
    b.dense("classifier", x, classes);
    b.finish(arch.name.clone())
}
