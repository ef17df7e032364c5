//! ResNet50 and SENet50 as they were trained on VGGFace2 (Cao et al., 2018; Hu et al., 2018), with the layer names of
//! keras_vggface and of its PyTorch counterparts (`conv2_1_1x1_reduce`).
//!
//! The stride is in the first 1×1 convolution of a block. Borders and ε are those of the original weights and of the
//! PyTorch files: the first pooling rounds up, to 56×56 of 224. keras_vggface rounds down, to 55×55, and has ε 1e-3
//! and 1e-4. Both read the mean-free face in 0 to 255.

use super::Architecture;
use super::builder::{GraphBuilder, STAGES};
use crate::graph::{Conv2d, Graph, GraphError, NodeId, Op};

const DEPTHS: [usize; 4] = [3, 4, 6, 3];
/// Channels of a map for each in the waist of its excitation.
const REDUCTION: usize = 16;

pub(super) fn resnet50(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, classes, false)
}

pub(super) fn senet50(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, classes, true)
}

fn build(arch: &Architecture, classes: usize, excited: bool) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let stem = Conv2d {
        stride: 2,
        ..Conv2d::square(arch.channels, arch.scale(64), 7)
    };
    let mut x = norm_relu(&mut b, "conv1_7x7_s2", x, stem);
    x = b.max_pool_ceil("pool1_3x3_s2", x, 3, 2);
    for (stage, ((width, stride), depth)) in (2..).zip(STAGES.into_iter().zip(DEPTHS)) {
        for i in 1..=depth {
            let stride = if i == 1 { stride } else { 1 };
            let name = format!("conv{stage}_{i}");
            let shape = [arch.scale(width), stride];
            x = block(&mut b, &name, x, shape, i == 1, excited);
        }
    }
    x = b.push("pool5_7x7_s1", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("classifier", x, classes);
    b.finish(arch.name.clone())
}

/// Convolution and BatchNorm.
fn norm(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = b.conv(name, from, conv);
    b.norm(format!("{name}_bn"), x, conv.outputs)
}

/// Convolution, BatchNorm and ReLU.
fn norm_relu(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = norm(b, name, from, conv);
    b.relu(format!("{name}_relu"), x)
}

fn block(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    [width, stride]: [usize; 2],
    project: bool,
    excited: bool,
) -> NodeId {
    let (inputs, outputs) = (b.channels(from), 4 * width);
    let pointed = |inputs, outputs| Conv2d {
        stride,
        ..Conv2d::square(inputs, outputs, 1)
    };
    let part = |part: &str| format!("{name}_{part}");
    let x = norm_relu(b, &part("1x1_reduce"), from, pointed(inputs, width));
    let x = norm_relu(b, &part("3x3"), x, Conv2d::square(width, width, 3));
    let mut x = norm(
        b,
        &part("1x1_increase"),
        x,
        Conv2d::square(width, outputs, 1),
    );
    if excited {
        x = excite(b, name, x);
    }
    let shortcut = if project {
        norm(b, &part("1x1_proj"), from, pointed(inputs, outputs))
    } else {
        from
    };
    let x = b.push(part("add"), Op::Add, &[x, shortcut]);
    b.relu(part("relu"), x)
}

/// Squeeze and excitation: a gate of every channel from the means of all.
fn excite(b: &mut GraphBuilder, name: &str, from: NodeId) -> NodeId {
    let channels = b.channels(from);
    let middle = (channels / REDUCTION).max(1);
    let conv = |inputs, outputs| Conv2d {
        bias: true,
        ..Conv2d::square(inputs, outputs, 1)
    };
    let x = b.pool_whole(format!("{name}_global_pool"), from, Op::AvgPool);
    let x = b.conv(format!("{name}_1x1_down"), x, conv(channels, middle));
    let x = b.relu(format!("{name}_1x1_down_relu"), x);
    let x = b.conv(format!("{name}_1x1_up"), x, conv(middle, channels));
    let x = b.push(format!("{name}_gate"), Op::Sigmoid, &[x]);
    b.push(format!("{name}_scale"), Op::Mul, &[from, x])
}
