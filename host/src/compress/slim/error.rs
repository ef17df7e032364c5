//! What can keep a network from being slimmed.

use super::budget::Budget;
use crate::graph::GraphError;

/// An error in slimming.
#[derive(Debug, thiserror::Error)]
pub enum SlimError {
    /// The network has no channel that a BatchNorm scale could silence.
    #[error(
        "`{graph}` has no channel to cut: slimming ranks channels by the scale of the BatchNorm \
         behind their convolution, and no channel of this network can be silenced by one"
    )]
    NothingPrunable {
        /// The graph's name.
        graph: String,
    },
    /// The fraction to cut is out of range.
    #[error("the fraction of channels to cut is {0}, expected 0 to 1 (half of them: 0.5)")]
    Percent(f64),
    /// A fraction to keep is out of range.
    #[error("the fraction of {what} to keep is {fraction}, expected above 0 up to 1")]
    Fraction {
        /// What is counted.
        what: &'static str,
        /// The fraction.
        fraction: f64,
    },
    /// Widths can't be multiples of zero.
    #[error("channels are to be kept in multiples of 0, expected at least 1")]
    NoMultiple,
    /// The floor is zero, which would let a layer vanish.
    #[error("a convolution must keep at least 1 channel, the floor is 0")]
    NoFloor,
    /// The budget is smaller than the smallest network that the floor allows.
    #[error(
        "{budget} of {before} {what} cannot be reached: with every prunable layer cut to \
         {narrowest} channels, {smallest} are left"
    )]
    Unreachable {
        /// What is counted.
        what: &'static str,
        /// What was asked for.
        budget: Budget,
        /// The count before.
        before: u64,
        /// The smallest count that can be reached.
        smallest: u64,
        /// Channels that every convolution keeps: the floor, as a whole multiple.
        narrowest: usize,
    },
    /// A scale that cannot be ranked.
    #[error("`{tensor}`[{channel}] is {value}; a network that diverged cannot be slimmed")]
    NotFinite {
        /// The γ tensor.
        tensor: String,
        /// Index of the scale.
        channel: usize,
        /// The scale.
        value: f32,
    },
    /// The graph and its tensors, or the graph and the mask, do not fit.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
