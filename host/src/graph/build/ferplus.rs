//! The VGG13 of FER+ (Barsoum et al., 2016): 64×64 grey, no batch normalisation, dropout behind every pooling.
//!
//! The reference is written in CNTK, whose tensors have no PyTorch names; these are a `Sequential`'s. Its task has
//! eight classes and its dropout is 0.25 on maps, 0.5 on features: half of what is chosen, and what is chosen.

use super::Architecture;
use super::builder::{GraphBuilder, conv3x3};
use crate::graph::{Graph, GraphError, Op};

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, mut x) = GraphBuilder::new(arch.image());
    let mut index = 0;
    let mut name = || {
        let name = format!("features.{index}");
        index += 1;
        name
    };
    for (width, depth) in [(64, 2), (128, 2), (256, 3), (256, 3)] {
        for _ in 0..depth {
            let conv = conv3x3(b.channels(x), arch.scale(width), 1, true);
            x = b.conv(name(), x, conv);
            x = b.relu(name(), x);
        }
        x = b.halve(name(), x);
        x = b.dropout(name(), x, arch.dropout / 2.0);
    }
    x = b.push("flatten", Op::Flatten, &[x]);
    for first in [0, 3] {
        x = b.dense(format!("classifier.{first}"), x, arch.scale(1024));
        x = b.relu(format!("classifier.{}", first + 1), x);
        x = b.dropout(format!("classifier.{}", first + 2), x, arch.dropout);
    }
    b.dense("classifier.6", x, classes);
    b.finish(arch.name.clone())
}
