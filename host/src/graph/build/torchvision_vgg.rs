//! AlexNet (Krizhevsky et al., 2012, in the one-column form of 2014) and VGG (Simonyan & Zisserman, 2015) in their
//! ImageNet form with torchvision's names: three linear layers behind the convolutions.
//!
//! torchvision averages the last map to 6×6 or 7×7, which at 224 pixels it already is. Here the linear layers are as
//! wide as the map of the chosen image size, so published weights fit at 224 pixels only. Without batch normalisation
//! a deep VGG hardly learns from scratch: import weights, or take the `_bn` form.

use super::Architecture;
use super::builder::GraphBuilder;
use super::vgg::features;
use crate::graph::{Border, Conv2d, Graph, GraphError, NodeId, Op};

/// VGG without batch normalisation.
pub(super) fn plain(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    vgg(arch, classes, false)
}

/// VGG with batch normalisation (`vgg11_bn` to `vgg19_bn`).
pub(super) fn normalised(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    vgg(arch, classes, true)
}

fn vgg(arch: &Architecture, classes: usize, norms: bool) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let (x, _) = features(&mut b, arch, x, norms);
    let mut x = b.push("flatten", Op::Flatten, &[x]);
    for first in [0, 3] {
        x = hidden(&mut b, arch, x, first);
        x = b.dropout(format!("classifier.{}", first + 2), x, arch.dropout);
    }
    b.dense("classifier.6", x, classes);
    b.finish(arch.name.clone())
}

/// A linear layer of 4,096 and its ReLU, numbered from `first` on.
fn hidden(b: &mut GraphBuilder, arch: &Architecture, from: NodeId, first: usize) -> NodeId {
    let x = b.dense(format!("classifier.{first}"), from, arch.scale(4096));
    b.relu(format!("classifier.{}", first + 1), x)
}

/// AlexNet.
pub(super) fn alexnet(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, mut x) = GraphBuilder::new(arch.image());
    let mut index = 0;
    // side, stride, padding, outputs, whether a pooling follows
    for (side, stride, padding, outputs, pooled) in [
        (11, 4, 2, 64, true),
        (5, 1, 2, 192, true),
        (3, 1, 1, 384, false),
        (3, 1, 1, 256, false),
        (3, 1, 1, 256, true),
    ] {
        let conv = Conv2d {
            stride,
            padding: Border::all(padding),
            bias: true,
            ..Conv2d::square(b.channels(x), arch.scale(outputs), side)
        };
        x = b.conv(format!("features.{index}"), x, conv);
        x = b.relu(format!("features.{}", index + 1), x);
        index += 2;
        if pooled {
            x = b.max_pool(format!("features.{index}"), x, [3, 2, 0]);
            index += 1;
        }
    }
    x = b.push("flatten", Op::Flatten, &[x]);
    for first in [0, 3] {
        x = b.dropout(format!("classifier.{first}"), x, arch.dropout);
        x = hidden(&mut b, arch, x, first + 1);
    }
    b.dense("classifier.6", x, classes);
    b.finish(arch.name.clone())
}
