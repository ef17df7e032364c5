//! What can be decided about a graph before it runs: which nodes share a buffer, which ReLU is part
//! of the node before it, and when a buffer is read for the last time.

use crate::graph::{Graph, NodeId, Op, Pool};
use crate::ops::broadcast::{BroadcastMul, Side};

/// Decisions by node.
#[derive(Debug)]
pub(super) struct Plan {
    holder: Vec<NodeId>,
    fused_relu: Vec<bool>,
    last_reader: Vec<NodeId>,
}

/// A map's shape as an array.
///
/// # Panics
/// When the shape is not a map's, which shape inference rules out for the nodes that ask.
pub(super) fn map(shape: &[usize]) -> [usize; 3] {
    shape.try_into().expect("shape inference gave a map")
}

/// Channels and pixels of a map; a vector is one pixel.
pub(super) fn layout(shape: &[usize]) -> (usize, usize) {
    match *shape {
        [channels, h, w] => (channels, h * w),
        _ => (shape.iter().product(), 1),
    }
}

/// Numbers of a map with `shape` that stay together where `op` joins maps: a pixel's channels or a row's pixels.
pub(super) fn run(op: &Op, shape: &[usize]) -> usize {
    match (op, shape) {
        (Op::Beside, &[channels, _, width]) => channels * width,
        _ => layout(shape).0,
    }
}

/// The product of two shapes.
pub(super) fn product(shapes: [&[usize]; 2]) -> BroadcastMul {
    BroadcastMul {
        sides: shapes.map(|shape| {
            let (channels, pixels) = layout(shape);
            Side { channels, pixels }
        }),
    }
}

impl Plan {
    /// Decides for `graph`. The outputs of `shown` are kept: no ReLU is fused into one of them, and
    /// their buffers are never read for the last time.
    pub(super) fn new(graph: &Graph, shown: &[NodeId]) -> Self {
        let consumers = graph.consumers();
        let nodes = graph.nodes().len();
        let mut holder: Vec<NodeId> = (0..nodes).map(NodeId).collect();
        let mut fused_relu = vec![false; nodes];
        for (id, node) in graph.iter() {
            let Some(&from) = node.inputs.first() else {
                continue;
            };
            match node.op {
                // channels last and channel by channel are the same for a single pixel
                Op::Flatten if layout(graph.shape(from)).1 == 1 => holder[id.0] = holder[from.0],
                Op::AvgPool(pool) if pool == Pool::new(1, 1) => holder[id.0] = holder[from.0],
                Op::Relu
                    if consumers[from.0].len() == 1
                        && can_fuse(&graph.node(from).op)
                        && !shown.contains(&from) =>
                {
                    fused_relu[from.0] = true;
                    holder[id.0] = from;
                }
                _ => {}
            }
        }
        let mut last_reader: Vec<NodeId> = (0..nodes).map(NodeId).collect();
        for (id, node) in graph.iter() {
            for input in &node.inputs {
                last_reader[holder[input.0].0] = id;
            }
        }
        for id in shown {
            last_reader[holder[id.0].0] = NodeId(nodes);
        }
        Self {
            holder,
            fused_relu,
            last_reader,
        }
    }

    /// Every node with a buffer of its own and nothing fused, so that nodes can be run one by one.
    pub(super) fn separate(graph: &Graph) -> Self {
        let nodes = graph.nodes().len();
        Self {
            holder: (0..nodes).map(NodeId).collect(),
            fused_relu: vec![false; nodes],
            // nothing is given back early
            last_reader: (0..nodes).map(NodeId).collect(),
        }
    }

    /// The node whose buffer holds this node's output.
    pub(super) fn holder(&self, id: NodeId) -> NodeId {
        self.holder[id.0]
    }

    /// Whether this node's output is another node's buffer, so that there is nothing to compute.
    pub(super) fn is_alias(&self, id: NodeId) -> bool {
        self.holder[id.0] != id
    }

    /// Whether the node applies a ReLU to its own output.
    pub(super) fn relu(&self, id: NodeId) -> bool {
        self.fused_relu[id.0]
    }

    /// Whether nobody reads the buffer of `holder` after `reader`.
    pub(super) fn done_after(&self, holder: NodeId, reader: NodeId) -> bool {
        self.last_reader[holder.0] == reader
    }
}

fn can_fuse(op: &Op) -> bool {
    matches!(
        op,
        Op::BatchNorm { .. } | Op::Conv2d(_) | Op::Add | Op::Linear { .. }
    )
}
