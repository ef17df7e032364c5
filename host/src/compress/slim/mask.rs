//! The cut network at its old size: what pruning does to the output, before anything is removed.

use super::keep::Keep;
use crate::graph::{Array, GraphError, Network, NodeId, Op};

/// Zeroes γ and β of the channels that `keep` drops; every shape stays.
///
/// # Errors
/// When the mask or the tensors are of another graph.
pub fn masked(network: &Network, keep: &Keep) -> Result<Network, GraphError> {
    keep.check(&network.graph)?;
    network.graph.check_weights(&network.weights)?;
    let mut masked = network.clone();
    for (index, node) in network.graph.nodes().iter().enumerate() {
        if !matches!(node.op, Op::BatchNorm { .. }) {
            continue;
        }
        for tensor in ["weight", "bias"] {
            let name = format!("{}.{tensor}", node.name);
            if let Some(values) = masked.weights.get_mut(&name).map(Array::data_mut) {
                for (value, &stays) in values.iter_mut().zip(keep.mask(NodeId(index))) {
                    if !stays {
                        *value = 0.0;
                    }
                }
            }
        }
    }
    Ok(masked)
}
