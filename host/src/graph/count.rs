//! Parameters, multiply-adds and activation memory of a graph.

use serde::Serialize;

use super::{Graph, NodeId, Op};

/// What a network costs for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Trained numbers: weights, biases, γ and β; not the running statistics.
    pub parameters: u64,
    /// Multiply-adds of convolutions and linear layers.
    pub multiply_adds: u64,
    /// Bytes of the two largest neighbouring activations in 32-bit floats: what has to lie in memory
    /// at once at least.
    pub activation_bytes: u64,
}

impl Counts {
    /// Counts a graph.
    pub fn of(graph: &Graph) -> Self {
        let mut counts = Self::default();
        for spec in graph.tensors() {
            if spec.role.trained() {
                counts.parameters += spec.shape.iter().map(|&d| d as u64).product::<u64>();
            }
        }
        for (id, node) in graph.iter() {
            counts.multiply_adds += multiply_adds(graph, id);
            let floats = |id: NodeId| graph.shape(id).iter().map(|&d| d as u64).product::<u64>();
            let here = floats(id) + node.inputs.iter().map(|&i| floats(i)).sum::<u64>();
            counts.activation_bytes = counts.activation_bytes.max(here * 4);
        }
        counts
    }
}

/// Multiply-adds of one node for one image.
pub fn multiply_adds(graph: &Graph, id: NodeId) -> u64 {
    match &graph.node(id).op {
        Op::Conv2d(c) => {
            let outputs: u64 = graph.shape(id).iter().map(|&d| d as u64).product();
            outputs * (c.inputs / c.groups * c.kernel[0] * c.kernel[1]) as u64
        }
        Op::ConvTranspose2d(c) => {
            // blocks do not overlap: an output is one inner product over the channels
            let outputs: u64 = graph.shape(id).iter().map(|&d| d as u64).product();
            outputs * c.inputs as u64
        }
        Op::Linear { inputs, outputs } => (inputs * outputs) as u64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Architecture, build};
    use super::*;

    #[test]
    fn vgg19_costs_what_the_peers_measurement_says() {
        let graph = build(&Architecture::published("vgg19"), 7).unwrap();
        let counts = Counts::of(&graph);
        // peers.md section 3: 675.7 M multiply-adds at 3×44×44
        assert_eq!(counts.multiply_adds / 100_000, 6757);
    }
}
