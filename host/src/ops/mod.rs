//! The numeric kernels of the CPU training path, on plain slices.
//!
//! Everything here is free of candle and of the graph: a kernel takes slices and a geometry and
//! can be tested on its own. Maps lie channels last, `[batch, h, w, channels]`, in any
//! [`element::Element`]; weights, statistics and sums are `f32`. [`crate::graph::exec`] joins the
//! kernels to a network.

pub mod bf16;
pub mod blocks;
pub mod broadcast;
pub mod channel;
pub mod conv;
mod depthwise;
pub mod dropout;
pub mod element;
mod gather;
pub mod lanes;
pub mod layout;
pub mod linear;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod product;
pub mod scratch;
mod shifted;
mod transpose;
pub mod weight;
pub(crate) mod wide;
mod winograd;
