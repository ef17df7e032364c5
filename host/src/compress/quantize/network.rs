//! A network with 8-bit layers: structure, integers, and how every value is coded.

use std::collections::{BTreeMap, BTreeSet};

use fer_models::Preprocess;

use super::affine::Affine;
use super::demand::{Place, has_weights, places};
use super::error::QuantizeError;
use super::layer::Layer;
use crate::graph::fold::fold;
use crate::graph::{Array, Graph, Network, NodeId, Op};

/// The range of each node's value, for the nodes that have one of their own.
pub(super) type Ranges = BTreeMap<NodeId, (f32, f32)>;

/// A quantized network, or one quantized in part.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    network: Network,
    places: Vec<Place>,
    codes: Vec<Option<Affine>>,
    layers: BTreeMap<NodeId, Layer>,
}

impl Quantized {
    /// Quantizes every convolution and linear layer but those in `keep`. `network` is folded and its
    /// convolutions have biases.
    pub(super) fn new(
        network: &Network,
        input: &Preprocess,
        ranges: &Ranges,
        keep: &BTreeSet<NodeId>,
    ) -> Result<Self, QuantizeError> {
        let graph = &network.graph;
        let integer = graph
            .iter()
            .filter(|(id, node)| has_weights(&node.op) && !keep.contains(id))
            .map(|(id, _)| id)
            .collect();
        let places = places(graph, &integer);
        let mut codes: Vec<Option<Affine>> = Vec::with_capacity(places.len());
        for (id, node) in graph.iter() {
            codes.push(match places[id.0] {
                Place::Float | Place::Rectified(_) => None,
                Place::SharedWith(from) => codes[from.0],
                Place::Coded => {
                    let (low, high) = match node.op {
                        Op::Input { .. } => (input.normalise(0.0), input.normalise(255.0)),
                        _ => ranges[&id],
                    };
                    let affine = Affine::covering(low, high);
                    Some(affine.ok_or_else(|| QuantizeError::NotFinite {
                        node: node.name.clone(),
                    })?)
                }
            });
        }
        let mut layers = BTreeMap::new();
        for &id in &integer {
            let node = graph.node(id);
            let tensor = |suffix: &str| &network.weights[&format!("{}.{suffix}", node.name)];
            let input = codes[node.inputs[0].0].expect("an integer layer's input is coded");
            let layer = Layer::new(tensor("weight"), tensor("bias").data(), input);
            let layer = layer.ok_or_else(|| QuantizeError::Weights {
                node: node.name.clone(),
            })?;
            layers.insert(id, layer);
        }
        Ok(Self {
            network: network.clone(),
            places,
            codes,
            layers,
        })
    }

    /// The folded network, with the numbers that were rounded.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The layers with 8-bit weights.
    pub fn layers(&self) -> &BTreeMap<NodeId, Layer> {
        &self.layers
    }

    /// How a node's value is coded; `None` where it is float.
    pub fn codes(&self, id: NodeId) -> Option<Affine> {
        self.codes[id.0]
    }

    pub(super) fn place(&self, id: NodeId) -> Place {
        self.places[id.0]
    }

    /// Exchanges an 8-bit layer's bias.
    pub(super) fn set_bias(&mut self, id: NodeId, bias: &[f32]) {
        let name = format!("{}.bias", self.network.graph.node(id).name);
        let tensor = self.network.weights.get_mut(&name);
        tensor
            .expect("every layer has a bias")
            .data_mut()
            .copy_from_slice(bias);
        let layer = self.layers.get_mut(&id);
        layer.expect("an 8-bit layer").set_bias(bias);
    }

    /// Whether some convolutions or linear layers are float.
    pub fn is_mixed(&self) -> bool {
        layers_of(&self.network.graph).any(|id| !self.layers.contains_key(&id))
    }
}

/// Convolutions and linear layers.
pub(super) fn layers_of(graph: &Graph) -> impl Iterator<Item = NodeId> {
    let weighted = graph.iter().filter(|(_, node)| has_weights(&node.op));
    weighted.map(|(id, _)| id)
}

/// A network as it is quantized: folded, every convolution with a bias, zero where it had none.
pub(super) fn prepared(network: &Network) -> Network {
    let Network { graph, mut weights } = fold(network);
    let mut nodes = graph.nodes().to_vec();
    for node in &mut nodes {
        if let Op::Conv2d(conv) = &mut node.op
            && !conv.bias
        {
            conv.bias = true;
            let zeros = Array::new([conv.outputs], vec![0.0; conv.outputs]);
            weights.insert(format!("{}.bias", node.name), zeros);
        }
    }
    let graph = Graph::new(graph.name(), nodes).expect("a bias changes no shape");
    Network { graph, weights }
}
