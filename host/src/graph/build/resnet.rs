//! ResNet in its ImageNet form with torchvision's names (He et al., 2016): 7×7 convolution and pooling first.
//!
//! The stride of a bottleneck is in its 3×3 convolution, as in torchvision. No weights come with it: ImageNet's are
//! imported.

use super::Architecture;
use super::builder::{GraphBuilder, STAGES, conv3x3};
use crate::graph::{Conv2d, Graph, GraphError, NodeId, Op};

/// What a residual block holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1 to the width, 3×3, 1×1 to four times the width.
    Bottleneck,
}

impl Block {
    /// Output channels of a block of `width`.
    pub(super) fn outputs(self, width: usize) -> usize {
        match self {
            Self::Basic => width,
            Self::Bottleneck => 4 * width,
        }
    }
}

/// What systems call the parts of a block.
#[derive(Clone, Copy)]
pub(super) struct Names {
    /// The projection beside the convolutions, a `Sequential` of convolution and BatchNorm.
    pub shortcut: &'static str,
}

/// torchvision's names.
pub(super) const TORCHVISION: Names = Names {
    shortcut: "downsample",
};

pub(super) fn build(
    arch: &Architecture,
    classes: usize,
    block: Block,
    depths: [usize; 4],
) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    let mut x = stem(&mut b, arch, x);
    for (stage, depth) in depths.into_iter().enumerate() {
        x = layer(&mut b, arch, x, block, stage, depth);
    }
    x = b.push("avgpool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("fc", x, classes);
    b.finish(arch.name.clone())
}

/// Everything before the first stage: a quarter of the image's side is left.
pub(super) fn stem(b: &mut GraphBuilder, arch: &Architecture, image: NodeId) -> NodeId {
    let channels = arch.scale(64);
    let conv = Conv2d {
        stride: 2,
        ..Conv2d::square(arch.channels, channels, 7)
    };
    let mut x = b.conv("conv1", image, conv);
    x = b.norm("bn1", x, channels);
    x = b.relu("relu", x);
    b.max_pool("maxpool", x, [3, 2, 1])
}

/// A stage, `layer1` to `layer4` for `stage` 0 to 3.
pub(super) fn layer(
    b: &mut GraphBuilder,
    arch: &Architecture,
    mut x: NodeId,
    block: Block,
    stage: usize,
    depth: usize,
) -> NodeId {
    let (width, stride) = STAGES[stage];
    for i in 0..depth {
        let stride = if i == 0 { stride } else { 1 };
        let name = format!("layer{}.{i}", stage + 1);
        x = residual(b, &name, x, block, [arch.scale(width), stride], TORCHVISION);
    }
    x
}

/// Convolutions around a shortcut, which is projected where the shape changes.
pub(super) fn residual(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    block: Block,
    [width, stride]: [usize; 2],
    names: Names,
) -> NodeId {
    let (inputs, outputs) = (b.channels(from), block.outputs(width));
    let project = stride != 1 || inputs != outputs;
    residual_with(b, name, from, block, [width, stride], names, project)
}

/// [`residual`] with a shortcut that is projected or not.
pub(super) fn residual_with(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    block: Block,
    [width, stride]: [usize; 2],
    names: Names,
    project: bool,
) -> NodeId {
    let (inputs, outputs) = (b.channels(from), block.outputs(width));
    let convs = match block {
        Block::Basic => vec![
            conv3x3(inputs, width, stride, false),
            conv3x3(width, width, 1, false),
        ],
        Block::Bottleneck => vec![
            Conv2d::square(inputs, width, 1),
            conv3x3(width, width, stride, false),
            Conv2d::square(width, outputs, 1),
        ],
    };
    let last = convs.len();
    let mut x = from;
    for (i, conv) in (1..).zip(convs) {
        x = b.conv(format!("{name}.conv{i}"), x, conv);
        x = b.norm(format!("{name}.bn{i}"), x, conv.outputs);
        if i < last {
            x = b.relu(format!("{name}.relu{i}"), x);
        }
    }
    let shortcut = if project {
        let conv = Conv2d {
            stride,
            ..Conv2d::square(inputs, outputs, 1)
        };
        let part = |i| format!("{name}.{}.{i}", names.shortcut);
        let projected = b.conv(part(0), from, conv);
        b.norm(part(1), projected, outputs)
    } else {
        from
    };
    x = b.push(format!("{name}.add"), Op::Add, &[x, shortcut]);
    b.relu(format!("{name}.relu{last}"), x)
}
