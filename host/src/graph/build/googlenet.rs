//! GoogLeNet with torchvision's names (Szegedy et al., 2015), with batch normalisation as there.
//!
//! torchvision's third branch has 3×3 kernels where the paper has 5×5, a known slip that its weights were trained
//! with. Its two classifiers in the middle only help training and are left out; an import leaves out their tensors.

use super::Architecture;
use super::builder::GraphBuilder;
use crate::graph::{Border, Conv2d, Graph, GraphError, NodeId, Op, Pool};

/// One block: outputs of the first branch, narrowing and outputs of the second and the third, outputs of the fourth.
type Widths = [usize; 6];

/// A pooling behind a block: its number and window.
type Behind = Option<(usize, usize)>;

/// The blocks by name.
const BLOCKS: [(&str, Widths, Behind); 9] = [
    ("inception3a", [64, 96, 128, 16, 32, 32], None),
    ("inception3b", [128, 128, 192, 32, 96, 64], Some((3, 3))),
    ("inception4a", [192, 96, 208, 16, 48, 64], None),
    ("inception4b", [160, 112, 224, 24, 64, 64], None),
    ("inception4c", [128, 128, 256, 24, 64, 64], None),
    ("inception4d", [112, 144, 288, 32, 64, 64], None),
    ("inception4e", [256, 160, 320, 32, 128, 128], Some((4, 2))),
    ("inception5a", [256, 160, 320, 32, 128, 128], None),
    ("inception5b", [384, 192, 384, 48, 128, 128], None),
];

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    b.norm_eps(1e-3);
    let stem = Conv2d {
        stride: 2,
        ..Conv2d::square(arch.channels, arch.scale(64), 7)
    };
    let mut x = unit(&mut b, "conv1", x, stem);
    x = b.max_pool_ceil("maxpool1", x, 3, 2);
    let conv = Conv2d::square(b.channels(x), arch.scale(64), 1);
    x = unit(&mut b, "conv2", x, conv);
    let conv = Conv2d::square(b.channels(x), arch.scale(192), 3);
    x = unit(&mut b, "conv3", x, conv);
    x = b.max_pool_ceil("maxpool2", x, 3, 2);
    for (name, widths, pool) in BLOCKS {
        x = inception(&mut b, name, x, widths.map(|width| arch.scale(width)));
        if let Some((number, side)) = pool {
            x = b.max_pool_ceil(format!("maxpool{number}"), x, side, 2);
        }
    }
    x = b.push("avgpool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("fc", x, classes);
    b.finish(arch.name.clone())
}

/// Convolution, BatchNorm and ReLU; also what Inception v3 is made of.
pub(super) fn unit(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = b.conv(format!("{name}.conv"), from, conv);
    let x = b.norm(format!("{name}.bn"), x, conv.outputs);
    b.relu(format!("{name}.relu"), x)
}

fn inception(b: &mut GraphBuilder, name: &str, from: NodeId, widths: Widths) -> NodeId {
    let [first, narrow2, second, narrow3, third, fourth] = widths;
    let inputs = b.channels(from);
    let branch = |part: &str| format!("{name}.branch{part}");
    let one = unit(b, &branch("1"), from, Conv2d::square(inputs, first, 1));
    let mut wide = |part: usize, narrow, outputs| {
        let part = |i| branch(&format!("{part}.{i}"));
        let x = unit(b, &part(0), from, Conv2d::square(inputs, narrow, 1));
        unit(b, &part(1), x, Conv2d::square(narrow, outputs, 3))
    };
    let two = wide(2, narrow2, second);
    let three = wide(3, narrow3, third);
    let pool = Pool {
        padding: Border::all(1),
        ..Pool::new(3, 1)
    };
    let four = b.push(branch("4.0"), Op::MaxPool(pool), &[from]);
    let four = unit(b, &branch("4.1"), four, Conv2d::square(inputs, fourth, 1));
    b.push(
        format!("{name}.concat"),
        Op::Concat,
        &[one, two, three, four],
    )
}
