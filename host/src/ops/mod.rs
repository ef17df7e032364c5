//! The numeric kernels of the CPU training path, on plain slices.
//!
//! Everything here is free of candle and of the graph: a kernel takes `NCHW` slices and a geometry and
//! is tested on its own. [`crate::graph::exec`] wraps the kernels as differentiable candle operators.

pub mod conv;
mod im2col;
pub mod lanes;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod scratch;
