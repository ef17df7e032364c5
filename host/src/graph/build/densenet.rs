//! DenseNet121 with torchvision's names (Huang et al., 2017): every layer reads what all before it in the block gave.

use super::Architecture;
use super::builder::GraphBuilder;
use crate::graph::{Conv2d, Graph, GraphError, NodeId, Op, Pool};

/// Channels that a layer adds.
const GROWTH: usize = 32;
/// Layers of each block.
const DEPTHS: [usize; 4] = [6, 12, 24, 16];

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let stem = Conv2d {
        stride: 2,
        ..Conv2d::square(arch.channels, arch.scale(2 * GROWTH), 7)
    };
    let mut x = b.conv("features.conv0", x, stem);
    x = b.norm("features.norm0", x, stem.outputs);
    x = b.relu("features.relu0", x);
    x = b.max_pool("features.pool0", x, [3, 2, 1]);
    for (block, depth) in (1..).zip(DEPTHS) {
        for layer in 1..=depth {
            let name = format!("features.denseblock{block}.denselayer{layer}");
            let added = dense_layer(&mut b, &name, x, arch.scale(GROWTH));
            x = b.push(format!("{name}.concat"), Op::Concat, &[x, added]);
        }
        if block < DEPTHS.len() {
            x = transition(&mut b, &format!("features.transition{block}"), x);
        }
    }
    let channels = b.channels(x);
    x = b.norm("features.norm5", x, channels);
    x = b.relu("relu", x);
    x = b.push("avgpool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("classifier", x, classes);
    b.finish(arch.name.clone())
}

/// Normalisation, ReLU and convolution, numbered `part`.
fn unit(b: &mut GraphBuilder, name: &str, part: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = b.norm(format!("{name}.norm{part}"), from, conv.inputs);
    let x = b.relu(format!("{name}.relu{part}"), x);
    b.conv(format!("{name}.conv{part}"), x, conv)
}

fn dense_layer(b: &mut GraphBuilder, name: &str, from: NodeId, growth: usize) -> NodeId {
    let narrow = Conv2d::square(b.channels(from), 4 * growth, 1);
    let x = unit(b, name, "1", from, narrow);
    unit(b, name, "2", x, Conv2d::square(4 * growth, growth, 3))
}

/// Half the channels, half the side.
fn transition(b: &mut GraphBuilder, name: &str, from: NodeId) -> NodeId {
    let channels = b.channels(from);
    let x = unit(b, name, "", from, Conv2d::square(channels, channels / 2, 1));
    b.push(format!("{name}.pool"), Op::AvgPool(Pool::new(2, 2)), &[x])
}
