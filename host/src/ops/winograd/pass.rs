//! The forward pass and the input gradient.

use rayon::prelude::*;

use super::super::conv::{ConvGeometry, Direction};
use super::super::scratch;
use super::product::{ROWS, multiply};
use super::transform::{input_points, kernel_points, output_pixels};
use super::{COLUMNS, LANES, Layout, POINTS, Tiles};

/// Bytes between the transforms of a chunk: most of a second-level cache.
const CHUNK_BYTES: usize = 3 << 19;
/// Fewest tiles of a chunk: for each, all kernels come from memory once.
const FEWEST: usize = 48;
/// Most tiles of a chunk, so that there are several for each thread.
const MOST: usize = 144;

/// Transforms the kernels to `[column block][point][depth][COLUMNS]`, zero where there is nothing.
///
/// # Panics
/// When the weights have another length than the geometry says.
pub(in crate::ops) fn pack(
    geo: &ConvGeometry,
    direction: Direction,
    weight: &[f32],
    packed: &mut Vec<f32>,
) {
    assert_eq!(weight.len(), geo.weight_len(), "weight length");
    let [depth, columns] = direction.channels(geo);
    let padded = depth.next_multiple_of(LANES);
    let point = padded * COLUMNS;
    packed.resize(columns.div_ceil(COLUMNS) * POINTS * point, 0.0);
    packed
        .par_chunks_exact_mut(POINTS * point)
        .enumerate()
        .for_each(|(block, points)| {
            for first in (0..COLUMNS).step_by(LANES) {
                let column = block * COLUMNS + first;
                let count = columns.saturating_sub(column).min(LANES);
                for d in 0..padded {
                    let mut kernels = [[0.0; LANES]; 9];
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
                    kernel_points(&kernels, points, point, d * COLUMNS + first);
                }
            }
        });
}

/// The convolution with kernels that [`pack`] transformed: `source [batch, h, w, depth]` to
/// `target [batch, h, w, columns]`.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub(in crate::ops) fn pass(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    target: &mut [f32],
) {
    let [depth, columns] = direction.channels(geo);
    let tiles = Tiles::of(geo.size);
    let [h, w] = geo.size;
    let image_len = h * w * depth;
    let tile_bytes = size_of::<f32>() * POINTS * (depth + columns);
    let mut rest = target;
    let chunks: Vec<_> = tiles
        .chunks(geo.batch, (CHUNK_BYTES / tile_bytes).clamp(FEWEST, MOST))
        .map(|rows| {
            let lines = tiles.pixel_row(rows.end) - tiles.pixel_row(rows.start);
            (rows, rest.split_off_mut(..lines * w * columns))
        })
        .collect();
    let point = depth.next_multiple_of(LANES) * COLUMNS;
    chunks.into_par_iter().for_each(|(rows, target)| {
        let mut target = target.expect("a chunk's pixels lie in the target");
        let count = (rows.len() * tiles.across).next_multiple_of(ROWS);
        let left = Layout::new(LANES, depth, count);
        let sums = Layout::new(COLUMNS, columns, count);
        scratch::with::<f32, _>(left.len(), |v| {
            scratch::with::<f32, _>(sums.len(), |m| {
                for (at, row) in rows.clone().enumerate() {
                    let image = &source[row / tiles.rows * image_len..][..image_len];
                    let first = at * tiles.across;
                    input_points(image, row % tiles.rows, tiles, depth, v, left, first);
                }
                let points = v
                    .chunks_exact(left.point)
                    .zip(m.chunks_exact_mut(sums.point));
                for (at, (v, m)) in points.enumerate() {
                    let v = &v[..depth.next_multiple_of(LANES) * count];
                    let blocks = packed.chunks_exact(POINTS * point);
                    for (u, m) in blocks.zip(m.chunks_exact_mut(count * COLUMNS)) {
                        multiply(v, &u[at * point..][..point], m);
                    }
                }
                for (at, row) in rows.enumerate() {
                    let lines = tiles.pixel_row(row + 1) - tiles.pixel_row(row);
                    let pixels = target
                        .split_off_mut(..lines * w * columns)
                        .expect("a row's pixels lie in the chunk");
                    let first = at * tiles.across;
                    output_pixels(m, sums, first, tiles, bias, columns, pixels);
                }
            });
        });
    });
}
