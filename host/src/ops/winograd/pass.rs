//! The forward pass and the input gradient.

use rayon::prelude::*;

use super::super::conv::{ConvGeometry, Direction};
use super::super::scratch;
use super::transform::{Lanes, input_points, kernel_points, output_pixels};
use super::{COLUMNS, LANES, Layout, POINTS, Points, Tiles};

/// Bytes of a chunk's transformed inputs: most of a second-level cache.
const CHUNK_BYTES: usize = 3 << 18;
/// Fewest tiles of a chunk: for each, all kernels come from memory once.
const FEWEST: usize = 48;
/// Most tiles of a chunk, so that there are several for each thread.
const MOST: usize = 144;
/// Rows of kernels that are transformed before they are put in order.
const STEP: usize = 32;

/// Transforms the kernels to `[column block][point][depth][COLUMNS]`, in the order of the format, zero where there is nothing.
///
/// # Panics
/// When the weights have another length than the geometry says.
pub(in crate::ops) fn pack<E: Points>(
    geo: &ConvGeometry,
    direction: Direction,
    weight: &[f32],
    packed: &mut Vec<E::Kernel>,
) {
    assert_eq!(weight.len(), geo.weight_len(), "weight length");
    let [depth, columns] = direction.channels(geo);
    let point = point_len::<E>(depth);
    packed.resize(
        columns.div_ceil(COLUMNS) * POINTS * point,
        E::Kernel::default(),
    );
    packed
        .par_chunks_exact_mut(POINTS * point)
        .enumerate()
        .for_each(|(block, kernels)| {
            scratch::with::<f32, _>(POINTS * STEP * COLUMNS, |points| {
                for first in (0..depth).step_by(STEP) {
                    for column in (0..COLUMNS).step_by(LANES) {
                        for d in 0..STEP {
                            let lanes = block * COLUMNS + column;
                            let taps =
                                kernels_at(weight, direction, [depth, columns], [first + d, lanes]);
                            kernel_points(&taps, points, STEP * COLUMNS, d * COLUMNS + column);
                        }
                    }
                    let begin = first * COLUMNS / E::KERNEL_ROWS;
                    let rows = points.chunks_exact(STEP * COLUMNS);
                    for (rows, kernels) in rows.zip(kernels.chunks_exact_mut(point)) {
                        let len = (kernels.len() - begin).min(STEP * COLUMNS / E::KERNEL_ROWS);
                        E::keep(
                            &rows[..len * E::KERNEL_ROWS],
                            &mut kernels[begin..begin + len],
                        );
                    }
                }
            });
        });
}

/// Kernel numbers of a point in a block of columns.
fn point_len<E: Points>(depth: usize) -> usize {
    depth.next_multiple_of(E::DEPTH) * COLUMNS / E::KERNEL_ROWS
}

/// The kernels of [`LANES`] columns at a depth, tap by tap, zero where there are none.
fn kernels_at(
    weight: &[f32],
    direction: Direction,
    [depth, columns]: [usize; 2],
    [d, column]: [usize; 2],
) -> [Lanes; 9] {
    let mut kernels = [[0.0; LANES]; 9];
    let count = columns.saturating_sub(column).min(LANES);
    for lane in (0..count).filter(|_| d < depth) {
        let begin = match direction {
            Direction::Forward => ((column + lane) * depth + d) * 9,
            Direction::Backward => (d * columns + column + lane) * 9,
        };
        for (tap, &value) in weight[begin..begin + 9].iter().enumerate() {
            // the way back reads the kernel turned around
            let tap = match direction {
                Direction::Forward => tap,
                Direction::Backward => 8 - tap,
            };
            kernels[tap][lane] = value;
        }
    }
    kernels
}

/// The convolution with kernels that [`pack`] transformed: `source [batch, h, w, depth]` to
/// `target [batch, h, w, columns]`.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub(in crate::ops) fn pass<E: Points>(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[E],
    packed: &[E::Kernel],
    bias: Option<&[f32]>,
    target: &mut [E],
) {
    let [depth, columns] = direction.channels(geo);
    let tiles = Tiles::of(geo.size);
    let [h, w] = geo.size;
    let image_len = h * w * depth;
    let tile_bytes = size_of::<E>() * POINTS * depth;
    let mut rest = target;
    let chunks: Vec<_> = tiles
        .chunks(geo.batch, (CHUNK_BYTES / tile_bytes).clamp(FEWEST, MOST))
        .map(|rows| {
            let lines = tiles.pixel_row(rows.end) - tiles.pixel_row(rows.start);
            (rows, rest.split_off_mut(..lines * w * columns))
        })
        .collect();
    let point = point_len::<E>(depth);
    chunks.into_par_iter().for_each(|(rows, target)| {
        let target = target.expect("a chunk's pixels lie in the target");
        let count = rows.len() * tiles.across;
        let room = count.next_multiple_of(E::TILES);
        let inputs = E::inputs(depth, room);
        let sums = Layout::new::<f32>(COLUMNS, COLUMNS, room);
        scratch::with::<E, _>(inputs.len(), |v| {
            for (at, row) in rows.clone().enumerate() {
                let image = &source[row / tiles.rows * image_len..][..image_len];
                let first = at * tiles.across;
                input_points(image, row % tiles.rows, tiles, depth, v, inputs, first);
            }
            scratch::with::<f32, _>(sums.len(), |m| {
                // block by block: its sums stay in the cache from the products to the last transform
                for (block, kernels) in packed.chunks_exact(POINTS * point).enumerate() {
                    let points = v
                        .chunks_exact(inputs.point)
                        .zip(m.chunks_exact_mut(sums.point));
                    for ((v, m), u) in points.zip(kernels.chunks_exact(point)) {
                        E::multiply_tiles(v, inputs, count, u, m);
                    }
                    let first = block * COLUMNS;
                    let block = first..columns.min(first + COLUMNS);
                    let mut begin = 0;
                    for (at, row) in rows.clone().enumerate() {
                        let lines = tiles.pixel_row(row + 1) - tiles.pixel_row(row);
                        let pixels = &mut target[begin..begin + lines * w * columns];
                        begin += pixels.len();
                        let first = at * tiles.across;
                        output_pixels(
                            (m, sums),
                            first,
                            tiles,
                            block.clone(),
                            bias,
                            columns,
                            pixels,
                        );
                    }
                }
            });
        });
    });
}
