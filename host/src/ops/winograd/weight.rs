//! The weight gradient: the adjoint of the forward pass, summed over all tiles.

use rayon::prelude::*;

use super::super::conv::ConvGeometry;
use super::super::scratch;
use super::product::accumulate;
use super::transform::{gradient_points, input_points, kernel_gradient};
use super::{COLUMNS, LANES, Layout, POINTS, Tiles};

/// Bytes of both transformed sides of a chunk.
const CHUNK_BYTES: usize = 3 << 20;
/// Fewest tiles of a chunk: for each, all sums go through the processor once.
const FEWEST: usize = 96;
/// Most numbers of all partial sums together.
const SUMS: usize = 1 << 26;

/// The gradient with respect to the weights, `dw [outputs, inputs, 3, 3]`, which is overwritten, from
/// `x [batch, h, w, inputs]` and `dy [batch, h, w, outputs]`.
///
/// Each thread adds up its share of the tiles, and the shares are added in order. `partials` is work
/// space that is kept between calls.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub(in crate::ops) fn gradient(
    geo: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    partials: &mut Vec<Vec<f32>>,
) {
    let [inputs, outputs] = [geo.inputs, geo.outputs];
    let tiles = Tiles::of(geo.size);
    let tile_bytes = size_of::<f32>() * POINTS * (inputs + outputs);
    let chunks: Vec<_> = tiles
        .chunks(geo.batch, (CHUNK_BYTES / tile_bytes).max(FEWEST))
        .collect();
    // [point][input block][output block][LANES][COLUMNS]
    let blocks = [inputs.div_ceil(LANES), outputs.div_ceil(COLUMNS)];
    let block = LANES * COLUMNS;
    let len = POINTS * blocks[0] * blocks[1] * block;
    let shares = rayon::current_num_threads().clamp(1, (SUMS / len).max(1));
    let each = chunks.len().div_ceil(shares).max(1);
    let shares: Vec<_> = chunks.chunks(each).collect();
    partials.resize_with(shares.len().max(partials.len()), Vec::new);
    let partials = &mut partials[..shares.len()];
    partials
        .par_iter_mut()
        .zip(&shares)
        .for_each(|(sums, chunks)| {
            sums.clear();
            sums.resize(len, 0.0);
            for rows in *chunks {
                let count = rows.len() * tiles.across;
                let left = Layout::new::<f32>(LANES, inputs, count);
                let right = Layout::new::<f32>(COLUMNS, outputs, count);
                scratch::with::<f32, _>(left.len(), |v| {
                    scratch::with::<f32, _>(right.len(), |z| {
                        transform(geo, tiles, rows, [x, dy], (v, left), (z, right));
                        for (point, sums) in sums.chunks_exact_mut(len / POINTS).enumerate() {
                            let v = v[point * left.point..].chunks_exact(count * LANES);
                            let sums = sums.chunks_exact_mut(blocks[1] * block);
                            for (v, sums) in v.zip(sums) {
                                let z = z[point * right.point..].chunks_exact(count * COLUMNS);
                                for (z, sums) in z.zip(sums.chunks_exact_mut(block)) {
                                    accumulate(v, z, sums);
                                }
                            }
                        }
                    });
                });
            }
        });
    turn_back([inputs, outputs], blocks[1], partials, len, dw);
}

/// Both sides of a chunk to their points.
fn transform(
    geo: &ConvGeometry,
    tiles: Tiles,
    rows: &std::ops::Range<usize>,
    [x, dy]: [&[f32]; 2],
    (v, left): (&mut [f32], Layout),
    (z, right): (&mut [f32], Layout),
) {
    let [h, w] = geo.size;
    let image_len = h * w * geo.inputs;
    for (at, row) in rows.clone().enumerate() {
        let image = &x[row / tiles.rows * image_len..][..image_len];
        let first = at * tiles.across;
        input_points(image, row % tiles.rows, tiles, geo.inputs, v, left, first);
        let lines = tiles.pixel_row(row)..tiles.pixel_row(row + 1);
        let stride = w * geo.outputs;
        let pixels = &dy[lines.start * stride..lines.end * stride];
        gradient_points(pixels, tiles, geo.outputs, z, right, first);
    }
}

/// Adds the shares and transforms the sums to kernels.
fn turn_back(
    [inputs, outputs]: [usize; 2],
    blocks: usize,
    partials: &mut [Vec<f32>],
    len: usize,
    dw: &mut [f32],
) {
    let Some((sums, more)) = partials.split_first_mut() else {
        return dw.fill(0.0);
    };
    for part in more {
        sums.par_chunks_mut(1 << 14)
            .zip(part.par_chunks(1 << 14))
            .for_each(|(sums, part)| sums.iter_mut().zip(part).for_each(|(s, p)| *s += p));
    }
    let (point, sums) = (len / POINTS, &*sums);
    dw.par_chunks_mut(LANES * inputs * 9)
        .enumerate()
        .for_each(|(at, dw)| {
            let output = at * LANES;
            for input in 0..inputs {
                let row =
                    ((input / LANES * blocks + output / COLUMNS) * LANES + input % LANES) * COLUMNS;
                let mut kernels = [[0.0; LANES]; 9];
                kernel_gradient(&sums[row..], point, output % COLUMNS, &mut kernels);
                let rows = dw.chunks_exact_mut(inputs * 9);
                for (lane, dw) in rows.enumerate().take(outputs - output) {
                    let dw = &mut dw[input * 9..][..9];
                    for (dw, values) in dw.iter_mut().zip(&kernels) {
                        *dw = values[lane];
                    }
                }
            }
        });
}
