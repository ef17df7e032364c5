//! The trained numbers and their gradients, in graph order.

use crate::graph::{Array, Graph, Network, Node, NodeId, Role, Weights};

/// One tensor with its gradient.
#[derive(Clone, Debug)]
pub struct Param {
    /// `<node>.<tensor>`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// The numbers.
    pub value: Vec<f32>,
    /// The loss gradient of the last backward pass; empty for what is not trained.
    pub grad: Vec<f32>,
    /// Whether it stays as it is, although its role is to be trained. A frozen normalisation uses its
    /// running statistics and keeps them.
    pub frozen: bool,
}

impl Param {
    /// Whether the optimiser changes it.
    pub fn trained(&self) -> bool {
        self.role.trained() && !self.frozen
    }
}

/// All tensors of a network in graph order.
#[derive(Clone, Debug)]
pub struct Params {
    list: Vec<Param>,
    /// Where each node's tensors start in `list`; one more at the end.
    starts: Vec<usize>,
}

impl Params {
    /// Takes a network's numbers.
    pub fn new(network: &Network) -> Self {
        let mut list = Vec::new();
        let mut starts = vec![0];
        for node in network.graph.nodes() {
            for spec in Node::tensors(node) {
                let value = network.weights[&spec.name].data().to_vec();
                let grad = vec![0.0; if spec.role.trained() { value.len() } else { 0 }];
                list.push(Param {
                    name: spec.name,
                    shape: spec.shape,
                    role: spec.role,
                    value,
                    grad,
                    frozen: false,
                });
            }
            starts.push(list.len());
        }
        Self { list, starts }
    }

    /// The same tensors with other numbers, in graph order, and no gradients.
    pub(crate) fn with_values(&self, values: &[Vec<f32>]) -> Self {
        let pairs = self.list.iter().zip(values);
        let list = pairs.map(|(param, value)| Param {
            name: param.name.clone(),
            shape: param.shape.clone(),
            value: value.clone(),
            grad: Vec::new(),
            ..*param
        });
        Self {
            list: list.collect(),
            starts: self.starts.clone(),
        }
    }

    /// Freezes the tensors of the nodes at which `frozen`, by node, is true; those behind its end are
    /// trained.
    pub fn freeze(&mut self, frozen: &[bool]) {
        for (ends, _) in self.starts.windows(2).zip(frozen).filter(|(_, f)| **f) {
            for param in &mut self.list[ends[0]..ends[1]] {
                param.frozen = true;
                param.grad = Vec::new();
            }
        }
    }

    /// Whether a node has tensors, and they are frozen.
    pub(super) fn frozen(&self, node: NodeId) -> bool {
        self.of(node).first().is_some_and(|param| param.frozen)
    }

    /// The numbers as named tensors.
    pub fn weights(&self) -> Weights {
        self.list
            .iter()
            .map(|p| (p.name.clone(), Array::new(p.shape.clone(), p.value.clone())))
            .collect()
    }

    /// The network that these numbers make of `graph`.
    pub fn network(&self, graph: &Graph) -> Network {
        Network {
            graph: graph.clone(),
            weights: self.weights(),
        }
    }

    /// Every tensor in graph order.
    pub fn iter(&self) -> std::slice::Iter<'_, Param> {
        self.list.iter()
    }

    /// Every tensor in graph order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Param> {
        self.list.iter_mut()
    }

    /// A node's tensors in the order of [`Node::tensors`].
    pub fn of(&self, node: NodeId) -> &[Param] {
        &self.list[self.starts[node.0]..self.starts[node.0 + 1]]
    }

    /// A node's tensors, to be changed.
    pub fn of_mut(&mut self, node: NodeId) -> &mut [Param] {
        &mut self.list[self.starts[node.0]..self.starts[node.0 + 1]]
    }
}
