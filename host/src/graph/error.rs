//! What can be wrong with a graph or its tensors.

/// An error in a graph's structure or its tensors.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A node cannot work on what it is given.
    #[error("node `{node}`: {problem}")]
    Node {
        /// The node's name.
        node: String,
        /// What does not fit, expected against found.
        problem: String,
    },
    /// A tensor that the graph needs is not there.
    #[error("tensor `{0}` is missing")]
    MissingTensor(String),
    /// A tensor that no node reads.
    #[error("tensor `{0}` belongs to no node of the graph")]
    ExtraTensor(String),
    /// A tensor of another shape than its node needs.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The tensor's name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape its node needs.
        expected: Vec<usize>,
    },
    /// A network that cannot be averaged with the first.
    #[error("network {number} has another structure than the first")]
    Unlike {
        /// Its number, from 1.
        number: usize,
    },
    /// Nothing in the graph drops features.
    #[error("the network has no dropout to change")]
    NoDropout,
    /// No architecture of this name.
    #[error("no architecture `{0}`; known: {known}", known = super::build::NAMES.join(", "))]
    UnknownArchitecture(String),
}
