//! ResNet50 with attention, as pytorchcv builds and names it.
//!
//! CBAM (Woo et al., 2018) stands in every unit before the sum, BAM (Park et al., 2018) before every unit that halves
//! the side. pytorchcv's BAM multiplies its channel and its place gate, where the paper adds them; its weights were
//! trained with the product.
//!
//! CBAM's two linear layers look at the mean and at the maximum of every channel with the same weights. They are 1×1
//! convolutions here, over a map of two pixels; an import gives the linear weights that shape.

use super::Architecture;
use super::builder::{GraphBuilder, STAGES};
use crate::graph::{Border, Conv2d, Graph, GraphError, NodeId, Op};

const DEPTHS: [usize; 4] = [3, 4, 6, 3];
/// Channels of a map for each of the small layers that make its gate.
const REDUCTION: usize = 16;

/// A unit: name, input, width, stride.
type Unit = fn(&mut GraphBuilder, &str, NodeId, [usize; 2]) -> NodeId;

/// CBAM-ResNet50.
pub(super) fn cbam(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, classes, cbam_unit)
}

/// BAM-ResNet50.
pub(super) fn bam(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    build(arch, classes, bam_unit)
}

fn build(arch: &Architecture, classes: usize, unit: Unit) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let stem = Conv2d {
        stride: 2,
        ..Conv2d::square(arch.channels, arch.scale(64), 7)
    };
    let mut x = norm_relu(&mut b, "features.init_block.conv", x, stem);
    x = b.max_pool("features.init_block.pool", x, [3, 2, 1]);
    for (stage, ((width, stride), depth)) in (1..).zip(STAGES.into_iter().zip(DEPTHS)) {
        for i in 1..=depth {
            let stride = if i == 1 { stride } else { 1 };
            let name = format!("features.stage{stage}.unit{i}");
            x = unit(&mut b, &name, x, [arch.scale(width), stride]);
        }
    }
    x = b.push("features.final_pool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("output", x, classes);
    b.finish(arch.name.clone())
}

/// Convolution and BatchNorm.
fn norm(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = b.conv(format!("{name}.conv"), from, conv);
    b.norm(format!("{name}.bn"), x, conv.outputs)
}

/// Convolution, BatchNorm and ReLU.
fn norm_relu(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = norm(b, name, from, conv);
    b.relu(format!("{name}.activ"), x)
}

/// The three convolutions of a bottleneck, the stride in the middle, and its shortcut.
fn bottleneck(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    [width, stride]: [usize; 2],
) -> [NodeId; 2] {
    let (inputs, outputs) = (b.channels(from), 4 * width);
    let identity = if stride != 1 || inputs != outputs {
        let conv = Conv2d {
            stride,
            ..Conv2d::square(inputs, outputs, 1)
        };
        norm(b, &format!("{name}.identity_conv"), from, conv)
    } else {
        from
    };
    let body = |i| format!("{name}.body.conv{i}");
    let x = norm_relu(b, &body(1), from, Conv2d::square(inputs, width, 1));
    let middle = Conv2d {
        stride,
        ..Conv2d::square(width, width, 3)
    };
    let x = norm_relu(b, &body(2), x, middle);
    let x = norm(b, &body(3), x, Conv2d::square(width, outputs, 1));
    [x, identity]
}

fn close(b: &mut GraphBuilder, name: &str, [x, identity]: [NodeId; 2]) -> NodeId {
    let x = b.push(format!("{name}.add"), Op::Add, &[x, identity]);
    b.relu(format!("{name}.activ"), x)
}

fn cbam_unit(b: &mut GraphBuilder, name: &str, from: NodeId, shape: [usize; 2]) -> NodeId {
    let [x, identity] = bottleneck(b, name, from, shape);
    let x = channel_gate(b, &format!("{name}.cbam.ch_gate"), x);
    let x = place_gate(b, &format!("{name}.cbam.sp_gate"), x);
    close(b, name, [x, identity])
}

/// `x · sigmoid(mlp(mean) + mlp(max))`.
fn channel_gate(b: &mut GraphBuilder, name: &str, from: NodeId) -> NodeId {
    let channels = b.channels(from);
    let middle = (channels / REDUCTION).max(1);
    let dense = |inputs, outputs| Conv2d {
        bias: true,
        ..Conv2d::square(inputs, outputs, 1)
    };
    let part = |part: &str| format!("{name}.{part}");
    let mean = b.pool_whole(part("avg_pool"), from, Op::AvgPool);
    let max = b.pool_whole(part("max_pool"), from, Op::MaxPool);
    let x = b.push(part("both"), Op::Beside, &[mean, max]);
    let x = b.conv(part("mlp.fc1"), x, dense(channels, middle));
    let x = b.relu(part("mlp.activ"), x);
    let x = b.conv(part("mlp.fc2"), x, dense(middle, channels));
    // the sum of two is twice their mean
    let half = b.push(part("half"), Op::GlobalAvgPool, &[x]);
    let x = b.push(part("sum"), Op::Add, &[half, half]);
    let x = b.push(part("sigmoid"), Op::Sigmoid, &[x]);
    b.push(part("mul"), Op::Mul, &[from, x])
}

/// `x · sigmoid(norm(conv7×7([max, mean over the channels])))`.
fn place_gate(b: &mut GraphBuilder, name: &str, from: NodeId) -> NodeId {
    let part = |part: &str| format!("{name}.{part}");
    let max = b.push(part("max"), Op::ChannelMax, &[from]);
    let mean = b.push(part("mean"), Op::ChannelMean, &[from]);
    let x = b.push(part("concat"), Op::Concat, &[max, mean]);
    let x = norm(b, &part("conv"), x, Conv2d::square(2, 1, 7));
    let x = b.push(part("sigmoid"), Op::Sigmoid, &[x]);
    b.push(part("mul"), Op::Mul, &[from, x])
}

fn bam_unit(b: &mut GraphBuilder, name: &str, from: NodeId, shape: [usize; 2]) -> NodeId {
    let from = if shape[1] == 1 {
        from
    } else {
        attend(b, &format!("{name}.bam"), from)
    };
    let name = format!("{name}.res_unit");
    let ends = bottleneck(b, &name, from, shape);
    close(b, &name, ends)
}

/// `x · (1 + sigmoid(channels · places))`.
fn attend(b: &mut GraphBuilder, name: &str, from: NodeId) -> NodeId {
    let part = |part: &str| format!("{name}.{part}");
    let middle = (b.channels(from) / REDUCTION).max(1);
    let channels = attended_channels(b, &part("ch_att"), from, middle);
    let places = attended_places(b, &part("sp_att"), from, middle);
    let both = b.push(part("product"), Op::Mul, &[channels, places]);
    let gate = b.push(part("sigmoid"), Op::Sigmoid, &[both]);
    let gated = b.push(part("mul"), Op::Mul, &[from, gate]);
    b.push(part("add"), Op::Add, &[from, gated])
}

fn attended_channels(b: &mut GraphBuilder, name: &str, from: NodeId, middle: usize) -> NodeId {
    let channels = b.channels(from);
    let x = b.push(format!("{name}.pool"), Op::GlobalAvgPool, &[from]);
    let x = b.dense(format!("{name}.init_fc.fc"), x, middle);
    let x = b.norm(format!("{name}.init_fc.bn"), x, middle);
    let x = b.relu(format!("{name}.init_fc.activ"), x);
    b.dense(format!("{name}.final_fc"), x, channels)
}

fn attended_places(b: &mut GraphBuilder, name: &str, from: NodeId, middle: usize) -> NodeId {
    let point = |inputs, outputs| Conv2d {
        bias: true,
        ..Conv2d::square(inputs, outputs, 1)
    };
    let first = point(b.channels(from), middle);
    let mut x = norm_relu(b, &format!("{name}.init_conv"), from, first);
    for i in 1..=2 {
        let dilated = Conv2d {
            dilation: 4,
            padding: Border::all(4),
            bias: true,
            ..Conv2d::square(middle, middle, 3)
        };
        x = norm_relu(b, &format!("{name}.dil_convs.conv{i}"), x, dilated);
    }
    b.conv(format!("{name}.final_conv"), x, point(middle, 1))
}
