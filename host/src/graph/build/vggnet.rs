//! The small 48×48 grey network of the fourth reference system: four convolutions without batch
//! normalisation and two hidden layers of 1,024.

use super::Architecture;
use super::builder::{GraphBuilder, conv3x3};
use crate::graph::{Graph, GraphError, Op};

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, mut x) = GraphBuilder::new(arch.image());
    let mut channels = arch.channels;
    for (block, widths) in [&[32][..], &[64], &[128, 128]].into_iter().enumerate() {
        // each block is a `Sequential`: convolution and ReLU in turn, then the pooling
        let name = |part: usize| format!("vgg_block_{}.{part}", block + 1);
        for (i, &width) in widths.iter().enumerate() {
            let width = arch.scale(width);
            x = b.conv(name(2 * i), x, conv3x3(channels, width, 1, true));
            x = b.relu(name(2 * i + 1), x);
            channels = width;
        }
        x = b.halve(name(2 * widths.len()), x);
    }
    x = b.push("fc.0", Op::Flatten, &[x]);
    for part in [1, 4] {
        x = b.dense(format!("fc.{part}"), x, arch.scale(1024));
        x = b.relu(format!("fc.{}", part + 1), x);
        let dropout = Op::Dropout { p: arch.dropout };
        x = b.push(format!("fc.{}", part + 2), dropout, &[x]);
    }
    b.dense("fc.7", x, classes);
    b.finish(arch.name.clone())
}
