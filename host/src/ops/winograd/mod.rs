//! 3×3 convolutions of maps that keep their size, with 2.25 times fewer multiplications: Winograd's
//! F(2×2, 3×3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016).
//!
//! A map is cut into tiles of 2×2 outputs. The 4×4 inputs of each tile and every 3×3 kernel are
//! transformed to 16 numbers, whose products over the channels are 16 ordinary matrix products; a last
//! transform makes 4 outputs of 16 sums. The weight gradient is the same backwards: transformed inputs
//! times transformed output gradients, summed over the tiles. Tiles are worked on a few rows at a
//! time, so that what lies between the transforms stays in the cache. Sums are `f32`; in bfloat16, what is
//! multiplied is rounded once more than without tiles.

mod pass;
mod points;
mod product;
mod transform;
mod weight;

pub(super) use pass::{pack, pass};
pub(super) use points::Points;
pub(super) use weight::gradient;

use std::ops::Range;

use super::conv::ConvGeometry;
use super::product::odd_lines;

/// Numbers of a transformed tile or kernel.
const POINTS: usize = 16;
/// Numbers that are transformed at once, and channels of a block on the left of a product.
const LANES: usize = 16;
/// Channels of a block on the right of a product, and of its sums.
const COLUMNS: usize = 32;

/// Whether tiles compute this convolution.
pub(super) fn fits(geo: &ConvGeometry) -> bool {
    geo.kernel == [3, 3]
        && geo.stride == 1
        && geo.dilation == 1
        && [geo.before, geo.after] == [[1; 2]; 2]
        && geo.groups == 1
        && geo.inputs >= COLUMNS
        && geo.outputs >= COLUMNS
}

/// The tiles of a map.
#[derive(Clone, Copy)]
struct Tiles {
    size: [usize; 2],
    rows: usize,
    across: usize,
}

impl Tiles {
    fn of([h, w]: [usize; 2]) -> Self {
        Self {
            size: [h, w],
            rows: h.div_ceil(2),
            across: w.div_ceil(2),
        }
    }

    /// Pixel rows above tile row `row`, counted over all images.
    fn pixel_row(&self, row: usize) -> usize {
        row / self.rows * self.size[0] + row % self.rows * 2
    }

    /// All tile rows of a batch in runs of about `tiles` tiles.
    fn chunks(&self, batch: usize, tiles: usize) -> impl Iterator<Item = Range<usize>> {
        let (all, each) = (batch * self.rows, (tiles / self.across).max(1));
        (0..all)
            .step_by(each)
            .map(move |first| first..(first + each).min(all))
    }
}

/// Where transformed numbers lie: `[point][channel block][tile][channel in block]`.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Channels of a block.
    block: usize,
    /// Channels, rounded up to whole blocks.
    channels: usize,
    /// Tiles that there is room for.
    tiles: usize,
    /// Numbers of a point.
    point: usize,
}

impl Layout {
    /// For numbers of type `T`.
    fn new<T>(block: usize, channels: usize, tiles: usize) -> Self {
        let channels = channels.next_multiple_of(block);
        Self {
            block,
            channels,
            tiles,
            // the sixteen points of a tile should not fall into one set of the cache
            point: odd_lines::<T>(channels * tiles),
        }
    }

    fn len(&self) -> usize {
        POINTS * self.point
    }

    /// Where [`LANES`] channels from `channel` on of a tile are, in each point.
    fn at(&self, tile: usize, channel: usize) -> usize {
        (channel / self.block * self.tiles + tile) * self.block + channel % self.block
    }
}
