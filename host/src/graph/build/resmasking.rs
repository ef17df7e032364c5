//! The Residual Masking Network (Pham et al., 2020): ResNet34 with a small U-Net behind every stage that says which
//! places of which channels matter, `x · (1 + mask)`.
//!
//! The mask is a softmax over the *channels* of each pixel, as in the reference: it adds up to 1 over the channels, so
//! the mean gain is 1 + 1/C. (A sigmoid stands there in a comment.) The maps must be divisible by the U-Net's
//! poolings, hence sides in multiples of 32. The reference as it is published trains from scratch, about 65 %; its
//! 74.14 % began with ImageNet's ResNet34. Nothing is loaded here either: import weights and train `--from` them.

use super::Architecture;
use super::builder::GraphBuilder;
use super::resnet::{Block, TORCHVISION, layer, residual_with, stem};
use crate::graph::{ConvTranspose2d, Graph, GraphError, NodeId, Op};

/// Blocks of ResNet34's stages.
const DEPTHS: [usize; 4] = [3, 4, 6, 3];
/// Levels of the U-Net behind each stage.
const LEVELS: [usize; 4] = [4, 3, 2, 1];

/// A linear classifier (`resmasking`).
pub(super) fn plain(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, |b, x| {
        let x = b.dropout("dropout", x, arch.dropout);
        b.dense("fc", x, classes);
    })
}

/// Dropout and a linear classifier (`resmasking_dropout1`).
pub(super) fn dropout1(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, |b, x| {
        let x = b.dropout("fc.0", x, arch.dropout);
        b.dense("fc.1", x, classes);
    })
}

/// A hidden layer of 128 before the classifier (`resmasking_dropout2`).
pub(super) fn dropout2(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, |b, x| {
        let x = b.dense("fc.0", x, arch.scale(128));
        let x = b.relu("fc.1", x);
        let x = b.dropout("fc.2", x, arch.dropout);
        b.dense("fc.3", x, classes);
    })
}

fn build(
    arch: &Architecture,
    head: impl FnOnce(&mut GraphBuilder, NodeId),
) -> Result<Graph, GraphError> {
    let side = arch.side();
    if side == 0 || !side.is_multiple_of(32) {
        return Err(arch.problem(format!("image side {side}, expected a multiple of 32")));
    }
    let (mut b, x) = GraphBuilder::new(arch.image());
    let mut x = stem(&mut b, arch, x);
    for (stage, (depth, levels)) in DEPTHS.into_iter().zip(LEVELS).enumerate() {
        x = layer(&mut b, arch, x, Block::Basic, stage, depth);
        let name = format!("mask{}", stage + 1);
        let mask = mask(&mut b, &name, x, levels);
        let marked = b.push(format!("{name}.mul"), Op::Mul, &[x, mask]);
        x = b.push(format!("{name}.add"), Op::Add, &[x, marked]);
    }
    x = b.push("avgpool", Op::GlobalAvgPool, &[x]);
    head(&mut b, x);
    b.finish(arch.name.clone())
}

/// A U-Net of `levels` levels: down, doubling the channels, and up again to a softmax over the channels.
fn mask(b: &mut GraphBuilder, name: &str, from: NodeId, levels: usize) -> NodeId {
    let channels = b.channels(from);
    // blocks and the modules of their shortcuts are numbered through
    let block = |b: &mut GraphBuilder, number: usize, x: NodeId, outputs: usize| {
        let name = format!("{name}.conv{number}");
        residual_with(b, &name, x, Block::Basic, [outputs, 1], TORCHVISION, true)
    };
    let mut skips = Vec::new();
    let mut x = from;
    for level in 1..=levels {
        if level > 1 {
            skips.push(x);
            x = b.halve(format!("{name}.down_pooling{}", level - 1), x);
        }
        x = block(b, level, x, channels << level);
    }
    for (number, skip) in (levels + 1..).zip(skips.into_iter().rev()) {
        let outputs = b.channels(skip);
        x = up(b, &format!("{name}.up_pool{number}"), x, outputs);
        x = b.push(format!("{name}.cat{number}"), Op::Concat, &[x, skip]);
        x = block(b, number, x, outputs);
    }
    x = block(b, 2 * levels, x, channels);
    b.push(format!("{name}.softmax"), Op::Softmax, &[x])
}

/// Twice the side: transposed convolution, BatchNorm, ReLU.
fn up(b: &mut GraphBuilder, name: &str, from: NodeId, outputs: usize) -> NodeId {
    let conv = ConvTranspose2d {
        inputs: b.channels(from),
        outputs,
        kernel: 2,
        bias: true,
    };
    let x = b.push(format!("{name}.0"), Op::ConvTranspose2d(conv), &[from]);
    let x = b.norm(format!("{name}.1"), x, outputs);
    b.relu(format!("{name}.2"), x)
}
