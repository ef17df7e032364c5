//! VGG with batch normalisation (Simonyan & Zisserman, 2015) as the reference systems train it on
//! 44×44 crops: no hidden fully connected layers, one dropout before the classifier.

use super::Architecture;
use super::builder::{GraphBuilder, conv3x3};
use crate::graph::{Graph, GraphError, NodeId, Op, Pool};

/// Channels of a convolution, or 0 for a pooling; of the configuration that a name begins with.
fn layout(name: &str) -> &'static [usize] {
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

/// Convolutions of a VGG; none for any other name.
pub(super) fn convolutions(name: &str) -> usize {
    if !name.starts_with("vgg") || name == "vggnet" {
        return 0;
    }
    layout(name).iter().filter(|&&width| width > 0).count()
}

/// The convolutions and poolings of a VGG, numbered as in a PyTorch `Sequential`; also the next number.
pub(super) fn features(
    b: &mut GraphBuilder,
    arch: &Architecture,
    mut x: NodeId,
    norms: bool,
) -> (NodeId, usize) {
    let mut widths = arch.widths.iter();
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
        let width = widths.next().unwrap_or(&width);
        let conv = conv3x3(b.channels(x), arch.scale(*width), 1, true);
        x = b.conv(name(), x, conv);
        if norms {
            x = b.norm(name(), x, conv.outputs);
        }
        x = b.relu(name(), x);
    }
    (x, index)
}

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let (x, next) = features(&mut b, arch, x, true);
    // the reference ends in a 1×1 average of a 1×1 map; kept so that names and shapes line up
    let x = b.push(
        format!("features.{next}"),
        Op::AvgPool(Pool::new(1, 1)),
        &[x],
    );
    let x = b.push("flatten", Op::Flatten, &[x]);
    let x = b.push("dropout", Op::Dropout { p: arch.dropout }, &[x]);
    b.dense("classifier", x, classes);
    b.finish(arch.name.clone())
}
