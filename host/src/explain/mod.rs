//! Why a network decides as it does: maps of what counted in a face.
//!
//! | method | needs | shows |
//! | --- | --- | --- |
//! | [`Layer::grad_cam`], [`Layer::grad_cam_plus_plus`] | a layer and gradients | where a layer speaks for a class |
//! | [`occlude`] | any network that can be run | how far a probability falls when a part is covered |
//! | [`Layer::channel_mean`], [`Layer::channel_max`] | a layer | where a layer, or a mask, is active |
//!
//! Output and gradient are those of one tensor in the forward pass that decides
//! ([`Observer`](crate::graph::exec::Observer)).

mod cam;
mod explainer;
mod heat;
mod layers;
mod occlusion;
mod regions;

pub use cam::Layer;
pub use explainer::{Class, Explainer, Explanation, Method, Seen};
pub use heat::{Grid, Heat, Region, uniform_share};
pub use layers::{default_layer, find_layer, grid, maps};
pub use occlusion::{Covered, Fill, Occlusion, OcclusionMap, occlude};
pub use regions::EYES_AND_MOUTH;

use crate::graph::exec::ExecError;

/// Why a decision cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No node of that name.
    #[error("{graph} has no layer `{name}`; {hint}")]
    UnknownLayer {
        /// The network's name.
        graph: String,
        /// What was asked for.
        name: String,
        /// Names that are alike, or some that exist.
        hint: String,
    },
    /// A node that gives no map.
    #[error("layer `{name}` gives {shape:?}, expected a map [channels, rows, columns]")]
    NoMap {
        /// The node.
        name: String,
        /// What it gives.
        shape: Vec<usize>,
    },
    /// A network without any map behind its input.
    #[error("{graph} has no layer that gives a map")]
    NoLayer {
        /// The network's name.
        graph: String,
    },
    /// A face of another size than the network reads.
    #[error("a face of {found} pixels, expected {expected}")]
    Tile {
        /// Pixels given.
        found: usize,
        /// Pixels of a tile.
        expected: usize,
    },
    /// A class that the network does not know.
    #[error("class {found}, the network has {classes}")]
    Class {
        /// The number asked for.
        found: usize,
        /// How many there are.
        classes: usize,
    },
    /// The network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

#[cfg(test)]
mod tests;
