//! 2-D convolution, forward and backward, as matrix products over gathered rows, channels last.
//!
//! Pixels are worked on in chunks and the kernel in blocks of taps, so that the gathered rows, a panel
//! of the weights and the sums of a chunk stay in the cache. Maps are `[batch, h, w, channels]`,
//! weights are `[out, in / groups, kh, kw]` as in PyTorch.

mod geometry;
mod pack;

use std::ops::Range;

use rayon::prelude::*;

use super::depthwise;
use super::element::Element;
use super::gather::{Band, Gather};
use super::product::{Product, odd_lines};
use super::scratch;
use super::wide::wide;
use super::winograd;
use pack::{DEPTH, pack};

pub use geometry::{ConvGeometry, Direction};
pub use pack::Packed;
pub(super) use pack::tap_blocks;

/// Numbers of the sums of one chunk: 1 MiB.
const SUMS: usize = 1 << 18;
/// Most pixels of a chunk in the forward and input-gradient passes.
const CHUNK: usize = 512;

/// `y = conv(x, weight) + bias`.
///
/// Shapes: `x [batch, h, w, inputs]`, `weight [outputs, inputs / groups, kh, kw]`, `bias [outputs]`,
/// `y [batch, oh, ow, outputs]`, which is overwritten. `packed` is work space kept between calls.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn forward<E: Product>(
    geo: &ConvGeometry,
    x: &[E],
    weight: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Packed<E>,
    y: &mut [E],
) {
    check(geo, x, y);
    run(geo, Direction::Forward, x, weight, bias, packed, y);
}

/// As [`forward`] without a bias, in sums of products of `x` and `weight` themselves and never of transformed ones: whole
/// numbers whose products' magnitudes add up to 2²⁴ at most give exact sums.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn forward_exact(
    geo: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    packed: &mut Packed<f32>,
    y: &mut [f32],
) {
    check(geo, x, y);
    directly(geo, Direction::Forward, x, weight, None, packed, y);
}

/// The gradient with respect to the input, `dx [batch, h, w, inputs]`, which is overwritten, from
/// `dy [batch, oh, ow, outputs]`.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn input_gradient<E: Product>(
    geo: &ConvGeometry,
    dy: &[E],
    weight: &[f32],
    packed: &mut Packed<E>,
    dx: &mut [E],
) {
    check(geo, dx, dy);
    run(geo, Direction::Backward, dy, weight, None, packed, dx);
}

/// That the maps on both sides have the lengths that the geometry says.
fn check<E>(geo: &ConvGeometry, input: &[E], output: &[E]) {
    assert_eq!(input.len(), geo.batch * geo.image_len(), "input length");
    assert_eq!(output.len(), geo.batch * geo.output_len(), "output length");
}

/// One pass, by the way that suits the convolution.
fn run<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[E],
    weight: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Packed<E>,
    target: &mut [E],
) {
    if winograd::fits(geo) && E::tiles_pay(geo) {
        winograd::pack::<E>(geo, direction, weight, &mut packed.tiled);
        winograd::pass(geo, direction, source, &packed.tiled, bias, target);
    } else {
        directly(geo, direction, source, weight, bias, packed, target);
    }
}

/// One pass in products of the numbers as they are.
fn directly<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[E],
    weight: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Packed<E>,
    target: &mut [E],
) {
    if depthwise::fits(geo) {
        depthwise::walk(&direction.gather(geo), source, weight, bias, target);
    } else {
        pack(geo, direction, weight, packed);
        walk(geo, direction, source, packed, bias, target);
    }
}

/// What the products of one pass share.
struct Products<'a, E: Product> {
    gather: Gather,
    source: &'a [E],
    packed: &'a [E::Packed],
    /// Runs of taps that are multiplied together.
    blocks: Vec<Range<usize>>,
    /// Channels of a group that are read.
    depth: usize,
    /// Distance between rows of sums.
    stride: usize,
}

impl<E: Product> Products<'_, E> {
    /// Sums up a group's channels for the pixels of a `band` among `pixels` of the target, whose maps have `run` each.
    fn add_up(
        &self,
        group: usize,
        band: &Band,
        run: usize,
        pixels: Range<usize>,
        sums: &mut [f32],
    ) {
        let first = pixels.start;
        let pieces = || band.pieces(run, pixels.len());
        let rows = pieces().map(|piece| piece.len()).sum();
        let mut fresh = true;
        for (at, block) in self.blocks.iter().enumerate() {
            let Some(taps) = seen::<E>(&band.taps, block, self.depth) else {
                continue;
            };
            let used = taps.len() * self.depth;
            let stride = E::row_stride(used);
            scratch::with::<E, _>(E::padded(rows) * stride, |a| {
                let mut row = 0;
                for piece in pieces() {
                    self.gather.fill(
                        self.source,
                        first + piece.start..first + piece.end,
                        taps.clone(),
                        [group * self.depth, self.depth],
                        &mut a[row * stride..],
                        [E::padded(used), stride],
                    );
                    row += piece.len();
                }
                let packed = &self.packed[group * self.blocks.len() + at];
                let begin = (taps.start - block.start) * self.depth;
                let packed = (packed, begin..begin + used);
                let sums = (&mut *sums, self.stride);
                E::multiply((a, stride), rows, packed, sums, fresh);
            });
            fresh = false;
        }
    }
}

/// Gathers, multiplies and stores, chunk by chunk of target pixels.
fn walk<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[E],
    packed: &Packed<E>,
    bias: Option<&[f32]>,
    target: &mut [E],
) {
    if target.is_empty() {
        return;
    }
    let gather = direction.gather(geo);
    let [depth, columns] = direction.channels(geo);
    let target_channels = columns * geo.groups;
    let pixels = gather.pixels(geo.batch);
    let sums_stride = odd_lines::<f32>(E::padded(columns));
    let share = pixels.div_ceil(rayon::current_num_threads());
    let chunk = (SUMS / sums_stride)
        .clamp(64, CHUNK)
        .min(share.next_multiple_of(32));
    // a chunk of whole images, if it holds any, is worked on in bands
    let image = gather.pixels(1);
    let (run, bands) = if image <= chunk {
        (image, gather.bands())
    } else {
        (chunk, vec![Band::whole(chunk, geo.taps())])
    };
    let chunk = chunk / run * run;
    let products = Products {
        gather,
        source,
        packed: &packed.blocks,
        blocks: tap_blocks(geo.taps(), depth, DEPTH).collect(),
        depth,
        stride: sums_stride,
    };
    target
        .par_chunks_mut(chunk * target_channels)
        .enumerate()
        .for_each(|(index, target)| {
            let first = index * chunk;
            let len = target.len() / target_channels;
            let sums_len = E::padded(len) * sums_stride + E::BLOCK;
            scratch::with::<f32, _>(sums_len, |sums| {
                for (group, band) in (0..geo.groups).flat_map(|g| bands.iter().map(move |b| (g, b)))
                {
                    products.add_up(group, band, run, first..first + len, sums);
                    let bias = bias.map(|b| &b[group * columns..(group + 1) * columns]);
                    let mut row = 0;
                    for piece in band.pieces(run, len) {
                        let place = group * columns..(group + 1) * columns;
                        let sums = &sums[row * sums_stride..];
                        row += piece.len();
                        let target =
                            &mut target[piece.start * target_channels..piece.end * target_channels];
                        store(sums, sums_stride, bias, place, target_channels, target);
                    }
                }
            });
        });
}

/// The taps of a block that a band sees, if any: some more where a product can't begin at the first.
fn seen<E: Product>(
    seen: &Range<usize>,
    block: &Range<usize>,
    depth: usize,
) -> Option<Range<usize>> {
    let (start, end) = (seen.start.max(block.start), seen.end.min(block.end));
    let begins = ((start - block.start) * depth).is_multiple_of(E::BLOCK);
    (start < end).then_some(if begins { start } else { block.start }..end)
}

wide! {
    /// Rounds the sums of a group, rows `stride` apart, into its channels of the target.
    fn store<'a, E: Element>(
        sums: &'a [f32],
        stride: usize,
        bias: Option<&'a [f32]>,
        place: Range<usize>,
        channels: usize,
        target: &'a mut [E],
    ) {
        for (target, sums) in target.chunks_exact_mut(channels).zip(sums.chunks(stride)) {
            let target = &mut target[place.start..place.end];
            match bias {
                Some(bias) => {
                    for ((t, s), b) in target.iter_mut().zip(sums).zip(bias) {
                        *t = E::from_f32(s + b);
                    }
                }
                None => {
                    for (t, &s) in target.iter_mut().zip(sums) {
                        *t = E::from_f32(s);
                    }
                }
            }
        }
    }

    fn add_rows<'a, E: Element>(rows: &'a [E], sums: &'a mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, v) in sums.iter_mut().zip(row) {
                *sum += v.to_f32();
            }
        }
    }
}

/// The gradient of the bias, `db [outputs]`, which is overwritten: `dy` summed over all pixels.
pub fn bias_gradient<E: Product>(dy: &[E], db: &mut [f32]) {
    let channels = db.len();
    if channels == 0 {
        return;
    }
    let sums: Vec<Vec<f32>> = dy
        .par_chunks(channels * CHUNK)
        .map(|chunk| {
            let mut sums = vec![0.0f32; channels];
            add_rows(chunk, &mut sums);
            sums
        })
        .collect();
    for (channel, db) in db.iter_mut().enumerate() {
        *db = sums.iter().map(|s| f64::from(s[channel])).sum::<f64>() as f32;
    }
}

#[cfg(test)]
mod tests;
