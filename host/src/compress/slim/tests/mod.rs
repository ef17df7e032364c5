//! Slimming against the masked network, by hand and at random.

mod by_hand;
mod published;
mod random;

use super::testing::logits;
use super::{Keep, cut, masked};
use crate::graph::{Network, NodeId};

/// The cut network gives what the masked one gives, to 1e-4 of the largest logit or absolute.
fn assert_cut_equals_masked(network: &Network, keep: &Keep) {
    let small = logits(&cut(network, keep).unwrap());
    let zeroed = logits(&masked(network, keep).unwrap());
    let scale = zeroed.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
    for (a, b) in small.iter().zip(&zeroed) {
        assert!(
            (a - b).abs() <= 1e-4 * scale,
            "{}: cut {small:?}, masked {zeroed:?}",
            network.graph.name()
        );
    }
}

/// Indices of the channels of a node that stay.
fn kept(keep: &Keep, node: NodeId) -> Vec<usize> {
    let mask = keep.mask(node).iter().enumerate();
    mask.filter(|&(_, &stays)| stays).map(|(i, _)| i).collect()
}
