//! EfficientNet b2 as pytorchcv's `efficientnet_b2b` (Tan & Le, 2019): TensorFlow's padding and ε 1e-3, so that
//! weights that were trained there fit. pytorchcv's own size is 260 pixels; the reference system feeds it 224.

use super::Architecture;
use super::builder::GraphBuilder;
use crate::graph::{Border, Conv2d, Graph, GraphError, NodeId, Op};

/// Units of a stage that are alike.
struct Run {
    outputs: usize,
    units: usize,
    kernel: usize,
}

const fn run(outputs: usize, units: usize, kernel: usize) -> Run {
    Run {
        outputs,
        units,
        kernel,
    }
}

/// Stages two to five; the first unit of each halves the side.
const STAGES: [&[Run]; 4] = [
    &[run(24, 3, 3)],
    &[run(48, 3, 5)],
    &[run(88, 4, 3), run(120, 4, 5)],
    &[run(208, 5, 5), run(352, 2, 3)],
];

/// Channels in the middle of a unit for each at its ends.
const EXPANSION: usize = 6;

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    b.norm_eps(1e-3);
    let stem = Conv2d {
        stride: 2,
        ..Conv2d::square(arch.channels, arch.scale(32), 3)
    };
    let mut x = unit(&mut b, "features.init_block.conv", x, stem);
    for i in 1..=2 {
        x = separable(
            &mut b,
            &format!("features.stage1.unit{i}"),
            x,
            arch.scale(16),
        );
    }
    for (stage, runs) in (2..).zip(STAGES) {
        let units = runs
            .iter()
            .flat_map(|run| std::iter::repeat_n(run, run.units));
        for (i, run) in (1..).zip(units) {
            let stride = if i == 1 { 2 } else { 1 };
            let name = format!("features.stage{stage}.unit{i}");
            x = inverted(
                &mut b,
                &name,
                x,
                arch.scale(run.outputs),
                [run.kernel, stride],
            );
        }
    }
    let last = Conv2d::square(b.channels(x), arch.scale(1408), 1);
    x = unit(&mut b, "features.final_block", x, last);
    x = b.push("features.final_pool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("output.dropout", x, arch.dropout);
    b.dense("output.fc", x, classes);
    b.finish(arch.name.clone())
}

/// TensorFlow's `SAME`: the output is the side over the stride, rounded up, and the odd pixel of the border lies
/// below and to the right.
fn tensorflow_same(conv: Conv2d, side: usize) -> Conv2d {
    let kernel = conv.kernel[0];
    let outputs = side.div_ceil(conv.stride);
    let border = ((outputs.saturating_sub(1)) * conv.stride + kernel).saturating_sub(side);
    Conv2d {
        padding: Border {
            top: border / 2,
            left: border / 2,
            bottom: border - border / 2,
            right: border - border / 2,
        },
        ..conv
    }
}

/// Convolution and BatchNorm.
fn linear(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let conv = tensorflow_same(conv, b.side(from));
    let x = b.conv(format!("{name}.conv"), from, conv);
    b.norm(format!("{name}.bn"), x, conv.outputs)
}

/// Convolution, BatchNorm and SiLU.
fn unit(b: &mut GraphBuilder, name: &str, from: NodeId, conv: Conv2d) -> NodeId {
    let x = linear(b, name, from, conv);
    b.silu(&format!("{name}.activ"), x)
}

fn depthwise(channels: usize, [kernel, stride]: [usize; 2]) -> Conv2d {
    Conv2d {
        stride,
        groups: channels,
        ..Conv2d::square(channels, channels, kernel)
    }
}

/// Squeeze and excitation with a waist of `middle` channels.
fn excite(b: &mut GraphBuilder, name: &str, from: NodeId, middle: usize) -> NodeId {
    let channels = b.channels(from);
    let conv = |inputs, outputs| Conv2d {
        bias: true,
        ..Conv2d::square(inputs, outputs, 1)
    };
    let x = b.pool_whole(format!("{name}.pool"), from, Op::AvgPool);
    let x = b.conv(format!("{name}.conv1"), x, conv(channels, middle));
    let x = b.silu(&format!("{name}.activ"), x);
    let x = b.conv(format!("{name}.conv2"), x, conv(middle, channels));
    let x = b.push(format!("{name}.sigmoid"), Op::Sigmoid, &[x]);
    b.push(format!("{name}.mul"), Op::Mul, &[from, x])
}

fn shortcut(b: &mut GraphBuilder, name: &str, from: NodeId, x: NodeId, stride: usize) -> NodeId {
    if stride == 1 && b.channels(from) == b.channels(x) {
        b.push(format!("{name}.add"), Op::Add, &[x, from])
    } else {
        x
    }
}

/// A unit of the first stage: depthwise and pointwise.
fn separable(b: &mut GraphBuilder, name: &str, from: NodeId, outputs: usize) -> NodeId {
    let inputs = b.channels(from);
    let x = unit(
        b,
        &format!("{name}.dw_conv"),
        from,
        depthwise(inputs, [3, 1]),
    );
    let x = excite(b, &format!("{name}.se"), x, (inputs / 4).max(1));
    let conv = Conv2d::square(inputs, outputs, 1);
    let x = linear(b, &format!("{name}.pw_conv"), x, conv);
    shortcut(b, name, from, x, 1)
}

/// An inverted residual unit: wide in the middle.
fn inverted(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    outputs: usize,
    [kernel, stride]: [usize; 2],
) -> NodeId {
    let inputs = b.channels(from);
    let middle = EXPANSION * inputs;
    let conv = Conv2d::square(inputs, middle, 1);
    let x = unit(b, &format!("{name}.conv1"), from, conv);
    let conv = depthwise(middle, [kernel, stride]);
    let x = unit(b, &format!("{name}.conv2"), x, conv);
    let waist = middle / (4 * EXPANSION);
    let x = excite(b, &format!("{name}.se"), x, waist.max(1));
    let conv = Conv2d::square(middle, outputs, 1);
    let x = linear(b, &format!("{name}.conv3"), x, conv);
    shortcut(b, name, from, x, stride)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_pixel_of_the_border_lies_below() {
        let border = |side, kernel, stride| {
            let conv = depthwise(1, [kernel, stride]);
            tensorflow_same(conv, side).padding.list()
        };
        assert_eq!(border(224, 3, 2), [0, 0, 1, 1]);
        assert_eq!(border(113, 3, 2), [1; 4]);
        assert_eq!(border(56, 5, 2), [1, 1, 2, 2]);
        assert_eq!(border(14, 5, 1), [2; 4]);
        assert_eq!(border(7, 1, 1), [0; 4]);
    }
}
