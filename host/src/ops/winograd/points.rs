//! How the number formats keep and multiply transformed numbers.

use super::super::bf16;
use super::super::conv::ConvGeometry;
use super::super::element::{Bf16, Element};
use super::super::product::{pairs_of, unit};
use super::product::{ROWS, multiply};
use super::{COLUMNS, LANES, Layout};

/// A number format in which tiles are multiplied.
pub trait Points: Element {
    /// What kernels are kept as.
    type Kernel: Copy + Default + Send + Sync + std::fmt::Debug;
    /// Rows of a kernel's numbers in one of those.
    const KERNEL_ROWS: usize;
    /// Depth is rounded up to a multiple of this, with zeros.
    const DEPTH: usize;
    /// Tiles are rounded up to a multiple of this; what is added is ignored.
    const TILES: usize;

    /// Whether tiles are faster than products of gathered rows, for a convolution that they compute.
    fn tiles_pay(geo: &ConvGeometry) -> bool;

    /// Where the inputs of so many tiles lie.
    fn inputs(depth: usize, tiles: usize) -> Layout;

    /// Brings rows of [`COLUMNS`] numbers into the order of [`Points::multiply_tiles`].
    fn keep(rows: &[f32], kernels: &mut [Self::Kernel]);

    /// `m = v · u` for a point of `tiles` tiles: `v` in the order of [`Points::inputs`], `u` as [`Points::keep`] leaves it,
    /// `m [tile][COLUMNS]`.
    ///
    /// # Panics
    /// When a slice is shorter than the rounded sizes need.
    fn multiply_tiles(v: &[Self], order: Layout, tiles: usize, u: &[Self::Kernel], m: &mut [f32]);
}

impl Points for f32 {
    type Kernel = Self;
    const KERNEL_ROWS: usize = 1;
    const DEPTH: usize = LANES;
    const TILES: usize = ROWS;

    fn tiles_pay(_: &ConvGeometry) -> bool {
        true
    }

    fn inputs(depth: usize, tiles: usize) -> Layout {
        Layout::new::<Self>(LANES, depth, tiles)
    }

    fn keep(rows: &[f32], kernels: &mut [f32]) {
        kernels.copy_from_slice(rows);
    }

    fn multiply_tiles(v: &[f32], order: Layout, tiles: usize, u: &[f32], m: &mut [f32]) {
        let tiles = tiles.next_multiple_of(ROWS);
        multiply(&v[..order.channels * tiles], u, &mut m[..tiles * COLUMNS]);
    }
}

impl Points for Bf16 {
    /// A pair of rows.
    type Kernel = u32;
    const KERNEL_ROWS: usize = 2;
    const DEPTH: usize = bf16::DEPTH;
    const TILES: usize = bf16::BLOCK;

    fn tiles_pay(geo: &ConvGeometry) -> bool {
        // a matrix unit multiplies faster than memory could feed transforms; on small maps the tiles hang over the edge
        !bf16::has_matrix_unit() && geo.size.iter().all(|&side| side > 4)
    }

    fn inputs(depth: usize, tiles: usize) -> Layout {
        let depth = depth.next_multiple_of(bf16::DEPTH);
        Layout::new::<Self>(depth, depth, tiles)
    }

    fn keep(rows: &[f32], kernels: &mut [u32]) {
        pairs_of(rows, COLUMNS, kernels);
    }

    fn multiply_tiles(v: &[Self], order: Layout, tiles: usize, u: &[u32], m: &mut [f32]) {
        let unit = unit();
        for tile in (0..tiles).step_by(bf16::BLOCK) {
            let v = (&v[tile * order.block..], order.block);
            let m = (&mut m[tile * COLUMNS..], COLUMNS);
            let wanted = [tiles - tile, COLUMNS];
            unit.multiply(v, u, order.channels / bf16::DEPTH, m, wanted, true);
        }
    }
}

const _: () = assert!(COLUMNS == bf16::BLOCK);
