//! Networks as data: the graph, the builders that make one, and the passes over it.

mod array;
mod average;
pub mod build;
pub mod count;
mod error;
pub mod exec;
mod extent;
pub mod fold;
mod grow;
pub mod head;
pub mod init;
mod ir;
mod shape;

pub use array::{Array, Weights};
pub use average::average;
pub use error::GraphError;
pub use extent::Border;
pub use grow::grow;
pub use ir::{Conv2d, ConvTranspose2d, Graph, Node, NodeId, Op, Pool, Role, TensorSpec};

/// A graph with its tensors: everything that is needed to run it.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The structure.
    pub graph: Graph,
    /// The numbers, exactly those that the graph names.
    pub weights: Weights,
}

impl Network {
    /// Joins a graph and its tensors.
    ///
    /// # Errors
    /// When the tensors are not exactly those that the graph needs.
    pub fn new(graph: Graph, weights: Weights) -> Result<Self, GraphError> {
        graph.check_weights(&weights)?;
        Ok(Self { graph, weights })
    }
}
