//! The intermediate representation: a network is data.
//!
//! A [`Graph`] is a list of named nodes in topological order over a small closed set of operators.
//! It holds no numbers: the tensors lie in [`Weights`], named `<node>.<tensor>` as PyTorch names them
//! (`features.0.weight`, `layer1.0.bn1.running_mean`).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::array::Weights;
use super::error::GraphError;
use super::extent::{Border, side};
use super::shape::infer;

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

/// A 2-D convolution; its tensors are `weight [outputs, inputs / groups, height, width]` and,
/// with `bias`, `bias [outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    #[serde(with = "side")]
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: usize,
    /// Zero pixels added around the map.
    pub padding: Border,
    /// Distance between the pixels that neighbouring taps of the kernel read.
    #[serde(default = "near", skip_serializing_if = "is_near")]
    pub dilation: usize,
    /// Channel groups; 1 is an ordinary, `inputs` a depthwise convolution.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

fn near() -> usize {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_near(dilation: &usize) -> bool {
    *dilation == 1
}

impl Conv2d {
    /// A convolution with a square kernel and no bias that, where `side` is odd, keeps the map's size.
    pub const fn square(inputs: usize, outputs: usize, side: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel: [side; 2],
            stride: 1,
            padding: Border::all(side / 2),
            dilation: 1,
            groups: 1,
            bias: false,
        }
    }
}

/// A transposed convolution whose stride is its kernel: every pixel becomes a block of pixels of its own. Tensors
/// `weight [inputs, outputs, kernel, kernel]` and, with `bias`, `bias [outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2d {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel, and step between blocks.
    pub kernel: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

/// A square pooling window; left-over rows and columns are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Side of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Border added around the map, narrower than the window.
    pub padding: Border,
}

impl Pool {
    /// Windows of `kernel` pixels every `stride` pixels, without a border.
    pub const fn new(kernel: usize, stride: usize) -> Self {
        Self {
            kernel,
            stride,
            padding: Border::NONE,
        }
    }
}

/// What a node does. Shapes below leave out the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// The image, `[channels, height, width]`, normalised as the manifest says.
    Input {
        /// Channels, height, width.
        shape: [usize; 3],
    },
    /// Convolution of one map.
    Conv2d(Conv2d),
    /// Transposed convolution of one map.
    ConvTranspose2d(ConvTranspose2d),
    /// Batch normalisation of a map or of features; tensors `weight`, `bias`, `running_mean`, `running_var`.
    BatchNorm {
        /// Channels.
        channels: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// `max(0, x)`.
    Relu,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Largest value of each window.
    MaxPool(Pool),
    /// Mean of each window, the padding counted as zeros.
    AvgPool(Pool),
    /// Mean of each channel: `[c, h, w]` to `[c]`.
    GlobalAvgPool,
    /// Mean over the channels: `[c, h, w]` to `[1, h, w]`.
    ChannelMean,
    /// Largest channel of each pixel: `[c, h, w]` to `[1, h, w]`.
    ChannelMax,
    /// `eˣ / Σ eˣ` over the channels of each pixel, or over features.
    Softmax,
    /// Sum of two equal shapes.
    Add,
    /// Product. Either side is repeated over the pixels where it has one, `[c]` or `[c, 1, 1]`, and over the
    /// channels where it has one, `[1, h, w]`.
    Mul,
    /// Maps of equal size one behind the other in the channels, or vectors one behind the other.
    Concat,
    /// Maps of equal channels and height side by side: `[c, h, w₁]`, `[c, h, w₂]` to `[c, h, w₁ + w₂]`.
    Beside,
    /// Inner product; tensors `weight [outputs, inputs]`, `bias [outputs]`.
    Linear {
        /// Input features.
        inputs: usize,
        /// Output features.
        outputs: usize,
    },
    /// Zeroes features with probability `p` in training and scales the rest by `1 / (1 − p)`.
    Dropout {
        /// Probability of a zero, in `[0, 1)`.
        p: f32,
    },
    /// `[c, h, w]` to `[c·h·w]`, channel by channel.
    Flatten,
}

impl Op {
    /// Whether it multiplies by weights: a convolution or a linear layer, into which a BatchNorm behind it can go.
    pub fn has_weights(&self) -> bool {
        matches!(
            self,
            Self::Conv2d(_) | Self::ConvTranspose2d(_) | Self::Linear { .. }
        )
    }
}

/// One operator with its name and the nodes it reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique in the graph; the prefix of its tensors' names.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// The nodes it reads, all before it.
    pub inputs: Vec<NodeId>,
}

/// A network without its numbers: nodes in topological order, the input first, the logits last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawGraph")]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    #[serde(skip)]
    shapes: Vec<Vec<usize>>,
}

/// What stands in a file, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGraph {
    name: String,
    nodes: Vec<Node>,
}

impl TryFrom<RawGraph> for Graph {
    type Error = GraphError;

    fn try_from(raw: RawGraph) -> Result<Self, GraphError> {
        Self::new(raw.name, raw.nodes)
    }
}

impl Graph {
    /// Checks names, order and shapes.
    ///
    /// # Errors
    /// Names the node that does not fit, and what it was given.
    pub fn new(name: impl Into<String>, nodes: Vec<Node>) -> Result<Self, GraphError> {
        let shapes = infer(&nodes)?;
        Ok(Self {
            name: name.into(),
            nodes,
            shapes,
        })
    }

    /// The same graph that drops features with probability `p`: a narrow network wants less of it than the wide one
    /// that it was cut out of.
    ///
    /// # Errors
    /// When nothing in it drops features, or `p` is not in `[0, 1)`.
    pub fn with_dropout(mut self, p: f32) -> Result<Self, GraphError> {
        let mut dropouts = 0;
        for node in &mut self.nodes {
            if let Op::Dropout { p: old } = &mut node.op {
                *old = p;
                dropouts += 1;
            }
        }
        if dropouts == 0 {
            return Err(GraphError::NoDropout);
        }
        Self::new(self.name, self.nodes)
    }

    /// The architecture's name, such as `vgg19`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Nodes with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(i, n)| (NodeId(i), n))
    }

    /// A node by id.
    ///
    /// # Panics
    /// When the id is of another graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// A node's output shape without the batch: `[c, h, w]` or `[features]`.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// The image shape `[channels, height, width]`.
    pub fn input_shape(&self) -> [usize; 3] {
        match self.nodes[0].op {
            Op::Input { shape } => shape,
            _ => unreachable!("`infer` accepts graphs that start with their input only"),
        }
    }

    /// The node that gives the logits.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() - 1)
    }

    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.shapes[self.nodes.len() - 1][0]
    }

    /// What the last linear layer reads, before a dropout: the features that a decision is made from. None where the
    /// graph ends in something else.
    pub fn features(&self) -> Option<NodeId> {
        let last = self.node(self.output());
        if !matches!(last.op, Op::Linear { .. }) {
            return None;
        }
        let mut id = last.inputs[0];
        while matches!(self.node(id).op, Op::Dropout { .. }) {
            id = self.node(id).inputs[0];
        }
        Some(id)
    }

    /// The nodes that read each node.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for (id, node) in self.iter() {
            for input in &node.inputs {
                consumers[input.0].push(id);
            }
        }
        consumers
    }

    /// Name, shape and role of every tensor the graph needs, in node order.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        self.nodes.iter().flat_map(Node::tensors).collect()
    }

    /// Checks that `weights` holds exactly the graph's tensors in their shapes.
    ///
    /// # Errors
    /// Names the first tensor that is missing, extra or of another shape.
    pub fn check_weights(&self, weights: &Weights) -> Result<(), GraphError> {
        let specs = self.tensors();
        for spec in &specs {
            let tensor = weights
                .get(&spec.name)
                .ok_or_else(|| GraphError::MissingTensor(spec.name.clone()))?;
            if tensor.shape() != spec.shape {
                return Err(GraphError::TensorShape {
                    name: spec.name.clone(),
                    found: tensor.shape().to_vec(),
                    expected: spec.shape.clone(),
                });
            }
        }
        let known: HashSet<&String> = specs.iter().map(|spec| &spec.name).collect();
        if let Some(extra) = weights.keys().find(|name| !known.contains(name)) {
            return Err(GraphError::ExtraTensor(extra.clone()));
        }
        Ok(())
    }
}

/// What a tensor is for: the optimiser treats the roles differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Convolution or linear weights: trained, decayed.
    Weight,
    /// Convolution or linear bias: trained.
    Bias,
    /// BatchNorm's γ: trained, and what sparsity training shrinks.
    NormScale,
    /// BatchNorm's β: trained.
    NormShift,
    /// BatchNorm's running mean: a statistic, not trained.
    RunningMean,
    /// BatchNorm's running variance: a statistic, not trained.
    RunningVar,
}

impl Role {
    /// Whether the optimiser changes it.
    pub fn trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

/// One tensor that a graph needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// `<node>.<tensor>`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

impl Node {
    /// The tensors this node needs, its weight first.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let spec = |suffix: &str, shape: &[usize], role| TensorSpec {
            name: format!("{}.{suffix}", self.name),
            shape: shape.to_vec(),
            role,
        };
        match &self.op {
            Op::Conv2d(c) => {
                let shape = [c.outputs, c.inputs / c.groups, c.kernel[0], c.kernel[1]];
                let mut specs = vec![spec("weight", &shape, Role::Weight)];
                if c.bias {
                    specs.push(spec("bias", &[c.outputs], Role::Bias));
                }
                specs
            }
            Op::ConvTranspose2d(c) => {
                let shape = [c.inputs, c.outputs, c.kernel, c.kernel];
                let mut specs = vec![spec("weight", &shape, Role::Weight)];
                if c.bias {
                    specs.push(spec("bias", &[c.outputs], Role::Bias));
                }
                specs
            }
            Op::Linear { inputs, outputs } => vec![
                spec("weight", &[*outputs, *inputs], Role::Weight),
                spec("bias", &[*outputs], Role::Bias),
            ],
            Op::BatchNorm { channels, .. } => vec![
                spec("weight", &[*channels], Role::NormScale),
                spec("bias", &[*channels], Role::NormShift),
                spec("running_mean", &[*channels], Role::RunningMean),
                spec("running_var", &[*channels], Role::RunningVar),
            ],
            _ => Vec::new(),
        }
    }
}
