//! A small builder that the architectures share.

use crate::graph::shape::output_shape;
use crate::graph::{Border, Conv2d, Graph, GraphError, Node, NodeId, Op, Pool};

/// ε of PyTorch's BatchNorm2d.
const NORM_EPS: f32 = 1e-5;

/// Collects nodes; each method appends one and returns its id. Mistakes are told by [`GraphBuilder::finish`].
pub struct GraphBuilder {
    nodes: Vec<Node>,
    /// Of each node; empty where it does not fit what it reads.
    shapes: Vec<Vec<usize>>,
    eps: f32,
}

impl GraphBuilder {
    /// Starts with the image `[channels, height, width]`.
    pub fn new(shape: [usize; 3]) -> (Self, NodeId) {
        let mut builder = Self {
            nodes: Vec::new(),
            shapes: Vec::new(),
            eps: NORM_EPS,
        };
        let image = builder.push("pixels", Op::Input { shape }, &[]);
        (builder, image)
    }

    /// The ε of the batch normalisations from here on; PyTorch's 1e-5 before.
    pub fn norm_eps(&mut self, eps: f32) {
        self.eps = eps;
    }

    /// Appends any operator.
    pub fn push(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> NodeId {
        let read: Vec<&[usize]> = inputs.iter().map(|id| &self.shapes[id.0][..]).collect();
        self.shapes
            .push(output_shape(&op, &read).unwrap_or_default());
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Channels of a map, or features; 0 behind a node that does not fit.
    pub fn channels(&self, id: NodeId) -> usize {
        self.shapes[id.0].first().copied().unwrap_or(0)
    }

    /// Height of a map, which is its width in these networks; 0 where there is none.
    pub fn side(&self, id: NodeId) -> usize {
        self.shapes[id.0].get(1).copied().unwrap_or(0)
    }

    /// Appends a convolution.
    pub fn conv(&mut self, name: impl Into<String>, from: NodeId, conv: Conv2d) -> NodeId {
        self.push(name, Op::Conv2d(conv), &[from])
    }

    /// Appends a batch normalisation of `channels` channels.
    pub fn norm(&mut self, name: impl Into<String>, from: NodeId, channels: usize) -> NodeId {
        let op = Op::BatchNorm {
            channels,
            eps: self.eps,
        };
        self.push(name, op, &[from])
    }

    /// Appends a ReLU.
    pub fn relu(&mut self, name: impl Into<String>, from: NodeId) -> NodeId {
        self.push(name, Op::Relu, &[from])
    }

    /// Appends `x · sigmoid(x)`, called SiLU or swish: two nodes, the first `<name>.sigmoid`.
    pub fn silu(&mut self, name: &str, from: NodeId) -> NodeId {
        let gate = self.push(format!("{name}.sigmoid"), Op::Sigmoid, &[from]);
        self.push(name, Op::Mul, &[from, gate])
    }

    /// Appends a 2×2 max pooling with stride 2.
    pub fn halve(&mut self, name: impl Into<String>, from: NodeId) -> NodeId {
        self.push(name, Op::MaxPool(Pool::new(2, 2)), &[from])
    }

    /// Appends a max pooling with a border of `padding`.
    pub fn max_pool(
        &mut self,
        name: impl Into<String>,
        from: NodeId,
        [kernel, stride, padding]: [usize; 3],
    ) -> NodeId {
        let pool = Pool {
            padding: Border::all(padding),
            ..Pool::new(kernel, stride)
        };
        self.push(name, Op::MaxPool(pool), &[from])
    }

    /// Appends a max pooling whose last window may reach beyond the map (PyTorch's `ceil_mode`).
    pub fn max_pool_ceil(
        &mut self,
        name: impl Into<String>,
        from: NodeId,
        kernel: usize,
        stride: usize,
    ) -> NodeId {
        let over = self.side(from).saturating_sub(kernel) % stride;
        let beyond = if over == 0 { 0 } else { stride - over };
        let pool = Pool {
            // a window that would lie wholly outside is not made
            padding: Border {
                bottom: beyond.min(kernel - 1),
                right: beyond.min(kernel - 1),
                ..Border::NONE
            },
            ..Pool::new(kernel, stride)
        };
        self.push(name, Op::MaxPool(pool), &[from])
    }

    /// Appends a pooling of the whole map to one pixel, `[c, h, h]` to `[c, 1, 1]`.
    pub fn pool_whole(
        &mut self,
        name: impl Into<String>,
        from: NodeId,
        op: fn(Pool) -> Op,
    ) -> NodeId {
        let side = self.side(from);
        self.push(name, op(Pool::new(side, side)), &[from])
    }

    /// Appends a dropout, or nothing where `p` is 0.
    pub fn dropout(&mut self, name: impl Into<String>, from: NodeId, p: f32) -> NodeId {
        if p == 0.0 {
            return from;
        }
        self.push(name, Op::Dropout { p }, &[from])
    }

    /// Appends a linear layer of all features.
    pub fn dense(&mut self, name: impl Into<String>, from: NodeId, outputs: usize) -> NodeId {
        let inputs = self.channels(from);
        self.linear(name, from, inputs, outputs)
    }

    /// Appends a linear layer.
    pub fn linear(
        &mut self,
        name: impl Into<String>,
        from: NodeId,
        inputs: usize,
        outputs: usize,
    ) -> NodeId {
        self.push(name, Op::Linear { inputs, outputs }, &[from])
    }

    /// Checks and closes the graph.
    ///
    /// # Errors
    /// When the nodes do not fit together.
    pub fn finish(self, name: impl Into<String>) -> Result<Graph, GraphError> {
        Graph::new(name, self.nodes)
    }
}

/// A 3×3 convolution that keeps the size at stride 1.
pub(super) fn conv3x3(inputs: usize, outputs: usize, stride: usize, bias: bool) -> Conv2d {
    Conv2d {
        stride,
        bias,
        ..Conv2d::square(inputs, outputs, 3)
    }
}

/// Channels and stride of the four stages that residual networks share.
pub(super) const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch: `MaxPool2d(k, s, ceil_mode=True)` on a map of `side`.
    fn ceil(side: usize, kernel: usize, stride: usize) -> usize {
        let (mut b, x) = GraphBuilder::new([1, side, side]);
        let pooled = b.max_pool_ceil("pool", x, kernel, stride);
        b.side(pooled)
    }

    #[test]
    fn pooling_rounds_up_as_pytorch_does() {
        assert_eq!(ceil(112, 3, 2), 56);
        assert_eq!(ceil(56, 3, 2), 28);
        assert_eq!(ceil(13, 3, 2), 6);
        assert_eq!(ceil(14, 2, 2), 7);
        assert_eq!(ceil(7, 2, 2), 4);
        // a window that would start behind the map is not made
        assert_eq!(ceil(3, 1, 3), 1);
        assert_eq!(ceil(6, 2, 4), 2);
    }

    #[test]
    fn what_does_not_fit_is_told_at_the_end() {
        let (mut b, x) = GraphBuilder::new([1, 4, 4]);
        let x = b.conv("far", x, Conv2d::square(3, 4, 3));
        let x = b.norm("norm", x, 4);
        let x = b.pool_whole("whole", x, Op::MaxPool);
        let x = b.push("flat", Op::Flatten, &[x]);
        b.dense("head", x, 7);
        let error = b.finish("wrong").unwrap_err().to_string();
        assert!(
            error.contains("`far`: channels: reads 1, expected 3"),
            "{error}"
        );
    }
}
