//! Which channels of a network are left.

use crate::graph::{Graph, GraphError, NodeId};

/// For each node of a graph, which of its output channels (or features) stay. Comes from
/// [`Channels::keep`](super::Channels::keep), so that tied channels agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    masks: Vec<Vec<bool>>,
}

impl Keep {
    pub(super) fn new(masks: Vec<Vec<bool>>) -> Self {
        Self { masks }
    }

    /// Which channels of a node stay.
    ///
    /// # Panics
    /// When the id is of another graph.
    pub fn mask(&self, node: NodeId) -> &[bool] {
        &self.masks[node.0]
    }

    /// How many channels of a node stay.
    ///
    /// # Panics
    /// When the id is of another graph.
    pub fn kept(&self, node: NodeId) -> usize {
        self.mask(node).iter().filter(|&&stays| stays).count()
    }

    /// Checks that there is one mask a node and one entry a channel.
    pub(super) fn check(&self, graph: &Graph) -> Result<(), GraphError> {
        for (id, node) in graph.iter() {
            let expected = graph.shape(id)[0];
            let found = self.masks.get(id.0).map_or(0, Vec::len);
            if found != expected {
                return Err(GraphError::Node {
                    node: node.name.clone(),
                    problem: format!(
                        "the mask is of another graph: it has {found} channels, expected {expected}"
                    ),
                });
            }
        }
        Ok(())
    }
}
