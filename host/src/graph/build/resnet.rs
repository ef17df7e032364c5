//! ResNet18 in the CIFAR form of the reference (He et al., 2016; no stem pooling).

use super::Architecture;
use super::builder::{GraphBuilder, conv3x3};
use crate::graph::{Conv2d, Graph, GraphError, NodeId, Op, Pool};

/// How the last map becomes features.
#[derive(Clone, Copy)]
pub(super) enum Pooling {
    /// The reference's 4×4 average, which sees the top left of the 6×6 map only. Kept so that
    /// published weights give published results.
    TopLeft4x4,
    /// The mean of the whole map.
    Global,
}

pub(super) fn resnet18(
    arch: &Architecture,
    classes: usize,
    pooling: Pooling,
) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new([arch.channels, 44, 44]);
    let mut channels = arch.scale(64);
    let mut x = b.conv("conv1", x, conv3x3(arch.channels, channels, 1, false));
    x = b.norm("bn1", x, channels);
    x = b.relu("relu1", x);
    for (layer, (width, stride)) in [(64, 1), (128, 2), (256, 2), (512, 2)]
        .into_iter()
        .enumerate()
    {
        let width = arch.scale(width);
        for block in 0..2 {
            let stride = if block == 0 { stride } else { 1 };
            let name = format!("layer{}.{block}", layer + 1);
            x = basic_block(&mut b, &name, x, channels, width, stride);
            channels = width;
        }
    }
    x = match pooling {
        Pooling::TopLeft4x4 => {
            let pool = Pool {
                kernel: 4,
                stride: 4,
                padding: 0,
            };
            let pooled = b.push("pool", Op::AvgPool(pool), &[x]);
            b.push("flatten", Op::Flatten, &[pooled])
        }
        Pooling::Global => b.push("pool", Op::GlobalAvgPool, &[x]),
    };
    x = b.push("dropout", Op::Dropout { p: arch.dropout }, &[x]);
    b.linear("linear", x, channels, classes);
    b.finish(arch.name.clone())
}

/// Two 3×3 convolutions around a shortcut, which is projected where the shape changes.
fn basic_block(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    inputs: usize,
    outputs: usize,
    stride: usize,
) -> NodeId {
    let mut x = b.conv(
        format!("{name}.conv1"),
        from,
        conv3x3(inputs, outputs, stride, false),
    );
    x = b.norm(format!("{name}.bn1"), x, outputs);
    x = b.relu(format!("{name}.relu1"), x);
    x = b.conv(
        format!("{name}.conv2"),
        x,
        conv3x3(outputs, outputs, 1, false),
    );
    x = b.norm(format!("{name}.bn2"), x, outputs);
    let shortcut = if stride != 1 || inputs != outputs {
        let conv = Conv2d {
            kernel: 1,
            padding: 0,
            ..conv3x3(inputs, outputs, stride, false)
        };
        let projected = b.conv(format!("{name}.shortcut.0"), from, conv);
        b.norm(format!("{name}.shortcut.1"), projected, outputs)
    } else {
        from
    };
    x = b.push(format!("{name}.add"), Op::Add, &[x, shortcut]);
    b.relu(format!("{name}.relu2"), x)
}
