//! Building the smaller network: channel counts in the graph, slices of every tensor.

use super::channels::Mixing;
use super::keep::Keep;
use crate::graph::{
    Array, Conv2d, ConvTranspose2d, Graph, GraphError, Network, Node, NodeId, Op, Weights,
};

/// The graph with the dropped channels gone; names, order and the image stay.
///
/// # Errors
/// When the mask is of another graph, or a layer has no channel left.
pub(super) fn cut_graph(graph: &Graph, keep: &Keep) -> Result<Graph, GraphError> {
    keep.check(graph)?;
    let nodes = graph.iter().map(|(id, node)| Node {
        name: node.name.clone(),
        op: cut_op(node, id, keep),
        inputs: node.inputs.clone(),
    });
    Graph::new(graph.name(), nodes.collect())
}

fn cut_op(node: &Node, id: NodeId, keep: &Keep) -> Op {
    match &node.op {
        Op::Conv2d(conv) => {
            let outputs = keep.kept(id);
            Op::Conv2d(Conv2d {
                inputs: keep.kept(node.inputs[0]),
                outputs,
                groups: match Mixing::of(conv) {
                    Mixing::Depthwise => outputs,
                    Mixing::Full | Mixing::Blocks => conv.groups,
                },
                ..*conv
            })
        }
        Op::ConvTranspose2d(conv) => Op::ConvTranspose2d(ConvTranspose2d {
            inputs: keep.kept(node.inputs[0]),
            outputs: keep.kept(id),
            ..*conv
        }),
        Op::BatchNorm { eps, .. } => Op::BatchNorm {
            channels: keep.kept(id),
            eps: *eps,
        },
        Op::Linear { .. } => Op::Linear {
            inputs: keep.kept(node.inputs[0]),
            outputs: keep.kept(id),
        },
        op => op.clone(),
    }
}

/// The network with the dropped channels gone from every tensor that carries them: rows of the layer
/// that gives them with bias and BatchNorm, columns of the layers that read them.
///
/// # Errors
/// When the mask or the tensors are of another graph, or a layer has no channel left.
pub fn cut(network: &Network, keep: &Keep) -> Result<Network, GraphError> {
    network.graph.check_weights(&network.weights)?;
    let graph = cut_graph(&network.graph, keep)?;
    let mut weights = Weights::new();
    for (id, node) in network.graph.iter() {
        let columns = match &node.op {
            Op::Conv2d(conv) if Mixing::of(conv) != Mixing::Full => None,
            Op::Conv2d(_) | Op::Linear { .. } => Some(keep.mask(node.inputs[0])),
            _ => None,
        };
        for spec in node.tensors() {
            let tensor = &network.weights[&spec.name];
            if let (Op::ConvTranspose2d(_), 4) = (&node.op, spec.shape.len()) {
                // inputs first
                let rows = keep.mask(node.inputs[0]);
                weights.insert(spec.name, slice(tensor, rows, Some(keep.mask(id))));
                continue;
            }
            // vectors (bias, γ, β, statistics) have rows only
            let columns = columns.filter(|_| spec.shape.len() > 1);
            weights.insert(spec.name, slice(tensor, keep.mask(id), columns));
        }
    }
    Network::new(graph, weights)
}

/// The rows (first dimension) and columns (second) that stay.
fn slice(tensor: &Array, rows: &[bool], columns: Option<&[bool]>) -> Array {
    let mut shape = tensor.shape().to_vec();
    let row_len: usize = shape[1..].iter().product();
    shape[0] = rows.iter().filter(|&&stays| stays).count();
    let mut data = Vec::new();
    let kept = |row: &usize| rows[*row];
    match columns {
        None => {
            for row in (0..rows.len()).filter(kept) {
                data.extend_from_slice(&tensor.data()[row * row_len..][..row_len]);
            }
        }
        Some(columns) => {
            let cell_len = row_len / columns.len();
            shape[1] = columns.iter().filter(|&&stays| stays).count();
            for row in (0..rows.len()).filter(kept) {
                let cells = tensor.data()[row * row_len..][..row_len].chunks_exact(cell_len);
                for (cell, _) in cells.zip(columns).filter(|&(_, &stays)| stays) {
                    data.extend_from_slice(cell);
                }
            }
        }
    }
    Array::new(shape, data)
}
