//! Small convolutional networks on a CPU: 32-bit floats, and 8-bit integers as ONNX quantises them.
//!
//! A [`Builder`] takes layer after layer and makes a [`Network`], whose weights are packed for the instructions that
//! this processor has ([`Isa`]). A [`Workspace`] holds the maps in between, for as many pictures as were asked for at
//! most. Once it is warm, a run takes no memory from the heap.
//!
//! ```
//! use fer_kernels::{Builder, Isa, Shape, Window};
//!
//! let input = Shape { height: 2, width: 2, channels: 1 };
//! let mut builder = Builder::new(Isa::best(), input)?;
//! let edges = Window { kernel: [3, 3], stride: [1, 1], pads: [1; 4] };
//! let map = builder.conv(builder.input(), edges, &[1.0; 9], &[0.5], true)?;
//! let network = builder.finish(map)?;
//! let mut sums = [0.0; 4];
//! network.run(&mut network.workspace(), &[1.0, 2.0, 3.0, 4.0], &mut sums)?;
//! assert_eq!(sums, [10.5; 4]);
//! # Ok::<(), fer_kernels::Error>(())
//! ```
//!
//! The same layers of integers give the same numbers with every kind of instructions, bit by bit; those of floats differ in
//! how often they round.

mod aligned;
mod float;
mod isa;
mod map;
mod network;
mod pixels;
mod pointwise;
mod pool;
mod prefetch;
mod quant;

pub use isa::Isa;
pub use map::{Shape, Window};
pub use network::{Builder, Bytes, Element, Error, Map, Network, Workspace};
pub use quant::Integers;
