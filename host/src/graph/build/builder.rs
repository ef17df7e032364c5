//! A small builder that the architectures share.

use crate::graph::{Conv2d, Graph, GraphError, Node, NodeId, Op, Pool};

/// ε of PyTorch's BatchNorm2d.
const NORM_EPS: f32 = 1e-5;

/// Collects nodes; each method appends one and returns its id.
pub struct GraphBuilder {
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// Starts with the image `[channels, height, width]`.
    pub fn new(shape: [usize; 3]) -> (Self, NodeId) {
        let node = Node {
            name: "pixels".into(),
            op: Op::Input { shape },
            inputs: Vec::new(),
        };
        (Self { nodes: vec![node] }, NodeId(0))
    }

    /// Appends any operator.
    pub fn push(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> NodeId {
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Appends a convolution.
    pub fn conv(&mut self, name: impl Into<String>, from: NodeId, conv: Conv2d) -> NodeId {
        self.push(name, Op::Conv2d(conv), &[from])
    }

    /// Appends a batch normalisation of `channels` channels.
    pub fn norm(&mut self, name: impl Into<String>, from: NodeId, channels: usize) -> NodeId {
        let op = Op::BatchNorm {
            channels,
            eps: NORM_EPS,
        };
        self.push(name, op, &[from])
    }

    /// Appends a ReLU.
    pub fn relu(&mut self, name: impl Into<String>, from: NodeId) -> NodeId {
        self.push(name, Op::Relu, &[from])
    }

    /// Appends a 2×2 max pooling with stride 2.
    pub fn halve(&mut self, name: impl Into<String>, from: NodeId) -> NodeId {
        let pool = Pool {
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        self.push(name, Op::MaxPool(pool), &[from])
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
        inputs,
        outputs,
        kernel: 3,
        stride,
        padding: 1,
        groups: 1,
        bias,
    }
}
