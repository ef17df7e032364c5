//! ResNet in the 44-pixel form of the first reference system (He et al., 2016; no pooling behind the first
//! convolution).

use super::Architecture;
use super::builder::{GraphBuilder, STAGES, conv3x3};
use super::resnet::{Block, Names, residual};
use crate::graph::{Graph, GraphError, Op, Pool};

/// How the last map becomes features.
#[derive(Clone, Copy)]
pub(super) enum Pooling {
    /// The reference's 4×4 average, which sees the top left of the 6×6 map only. Kept so that
    /// published weights give published results.
    TopLeft4x4,
    /// The mean of the whole map.
    Global,
}

/// The reference's names, with `shortcut` and `linear`.
const NAMES: Names = Names {
    shortcut: "shortcut",
};

pub(super) fn build(
    arch: &Architecture,
    classes: usize,
    block: Block,
    depths: [usize; 4],
    pooling: Pooling,
) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let channels = arch.scale(64);
    let mut x = b.conv("conv1", x, conv3x3(arch.channels, channels, 1, false));
    x = b.norm("bn1", x, channels);
    x = b.relu("relu1", x);
    for (stage, ((width, stride), depth)) in STAGES.into_iter().zip(depths).enumerate() {
        for i in 0..depth {
            let stride = if i == 0 { stride } else { 1 };
            let name = format!("layer{}.{i}", stage + 1);
            x = residual(&mut b, &name, x, block, [arch.scale(width), stride], NAMES);
        }
    }
    x = match pooling {
        Pooling::TopLeft4x4 => {
            let pooled = b.push("pool", Op::AvgPool(Pool::new(4, 4)), &[x]);
            b.push("flatten", Op::Flatten, &[pooled])
        }
        Pooling::Global => b.push("pool", Op::GlobalAvgPool, &[x]),
    };
    x = b.push("dropout", Op::Dropout { p: arch.dropout }, &[x]);
    b.dense("linear", x, classes);
    b.finish(arch.name.clone())
}
