//! The 48×48 grey ResNet18 of the fourth reference system: every convolution has a bias, and the shortcut's has no
//! batch normalisation.

use super::Architecture;
use super::builder::{GraphBuilder, STAGES, conv3x3};
use crate::graph::{Conv2d, Graph, GraphError, NodeId, Op};

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let channels = arch.scale(64);
    let conv = Conv2d {
        stride: 2,
        bias: true,
        ..Conv2d::square(arch.channels, channels, 7)
    };
    // the reference's `Sequential` numbers its first layers
    let mut x = b.conv("0", x, conv);
    x = b.norm("1", x, channels);
    x = b.relu("2", x);
    x = b.max_pool("3", x, [3, 2, 1]);
    for (stage, (width, stride)) in STAGES.into_iter().enumerate() {
        for i in 0..2 {
            let name = format!("resnet_block{}.{i}", stage + 1);
            let stride = if i == 0 { stride } else { 1 };
            x = block(&mut b, &name, x, arch.scale(width), stride);
        }
    }
    x = b.push("global_avg_pool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("fc.1", x, classes);
    b.finish(arch.name.clone())
}

fn block(b: &mut GraphBuilder, name: &str, from: NodeId, width: usize, stride: usize) -> NodeId {
    let inputs = b.channels(from);
    let mut x = b.conv(
        format!("{name}.conv1"),
        from,
        conv3x3(inputs, width, stride, true),
    );
    x = b.norm(format!("{name}.bn1"), x, width);
    x = b.relu(format!("{name}.relu1"), x);
    x = b.conv(format!("{name}.conv2"), x, conv3x3(width, width, 1, true));
    x = b.norm(format!("{name}.bn2"), x, width);
    let shortcut = if stride == 1 {
        from
    } else {
        let conv = Conv2d {
            stride,
            bias: true,
            ..Conv2d::square(inputs, width, 1)
        };
        b.conv(format!("{name}.conv3"), from, conv)
    };
    x = b.push(format!("{name}.add"), Op::Add, &[x, shortcut]);
    b.relu(format!("{name}.relu2"), x)
}
