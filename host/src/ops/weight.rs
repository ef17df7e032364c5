//! The gradient of a convolution with respect to its weights: a product over all pixels of the batch.

use std::ops::Range;

use rayon::prelude::*;

use super::conv::{ConvGeometry, tap_blocks};
use super::gather::Gather;
use super::product::{Product, odd_lines};
use super::transpose::{NOWHERE, transpose};
use super::{depthwise, scratch, shifted, winograd};

/// Numbers of the transposed gradients of one chunk: 1.5 MiB in bfloat16.
const GRADIENT_ROWS: usize = 3 << 18;
/// Input channels are shared out among threads in multiples of this.
const CHANNELS: usize = 32;
/// Most threads that share the input channels of the same pixels: each brings all output gradients
/// into the product's order for itself.
const SHARERS: usize = 4;

/// What one thread adds up: a share of the pixels, for a run of the input channels of every group.
pub struct Part {
    share: usize,
    shares: usize,
    pub(super) channels: Range<usize>,
}

impl Part {
    /// This part's share of `len` pixels.
    pub(super) fn of(&self, len: usize) -> Range<usize> {
        let each = len.div_ceil(self.shares);
        (self.share * each).min(len)..((self.share + 1) * each).min(len)
    }

    /// One part for each thread. Sharing channels costs no sums of partial results, which are as large
    /// as the weights, so that comes first.
    fn all(channels: usize, threads: usize) -> Vec<Self> {
        let blocks = channels.div_ceil(CHANNELS);
        let sharers = (1..=SHARERS.min(threads))
            .rev()
            .find(|n| threads.is_multiple_of(*n) && blocks.is_multiple_of(*n))
            .unwrap_or(1);
        let width = blocks / sharers * CHANNELS;
        let shares = threads / sharers;
        (0..shares)
            .flat_map(|share| {
                (0..sharers).map(move |sharer| Self {
                    share,
                    shares,
                    channels: sharer * width..((sharer + 1) * width).min(channels),
                })
            })
            .collect()
    }
}

/// Where a part adds up: `[group, outputs, taps, channels of the part]`.
pub struct Sums<'a> {
    pub(super) data: &'a mut [f32],
    /// From one output to the next.
    pub(super) stride: usize,
    /// From one tap to the next.
    pub(super) pitch: usize,
}

/// The gradient with respect to the weights, `dw [outputs, inputs / groups, kh, kw]`, which is
/// overwritten.
///
/// The work is split evenly over the threads and the parts are added in order, so a given thread count
/// always gives the same bits. `partials` is work space that is kept between calls.
///
/// # Panics
/// When a slice has another length than the geometry says, and on 2³² pixels or more.
pub fn gradient<E: Product>(
    geo: &ConvGeometry,
    x: &[E],
    dy: &[E],
    dw: &mut [f32],
    partials: &mut Vec<Vec<f32>>,
) {
    assert_eq!(x.len(), geo.batch * geo.image_len(), "input length");
    assert_eq!(dy.len(), geo.batch * geo.output_len(), "output length");
    assert_eq!(dw.len(), geo.weight_len(), "weight gradient");
    if let Some(tiled) = E::TILED.filter(|_| winograd::fits(geo)) {
        return tiled(geo, x, dy, dw, partials);
    }
    let pixels = |[h, w]: [usize; 2]| u32::try_from(geo.batch * h * w);
    assert!(
        pixels(geo.size).and(pixels(geo.output_size())).is_ok(),
        "more pixels than numbers for them"
    );
    if depthwise::fits(geo) {
        depthwise::weight_gradient(&Gather::forward(geo), x, dy, dw);
        return;
    }
    let [inputs, outputs] = [geo.group_inputs(), geo.group_outputs()];
    let taps = geo.taps();
    let shift = E::SHIFTED.filter(|_| shifted::fits(geo));
    let parts = Part::all(inputs, rayon::current_num_threads());
    let layout = |part: &Part| {
        let width = part.channels.len();
        let pitch = if shift.is_some() {
            E::padded(width)
        } else {
            width
        };
        (pitch, odd_lines::<f32>(E::padded(taps * pitch)))
    };
    partials.resize_with(parts.len().max(partials.len()), Vec::new);
    let partials = &mut partials[..parts.len()];
    partials
        .par_iter_mut()
        .zip(&parts)
        .for_each(|(data, part)| {
            let (pitch, stride) = layout(part);
            // one block more: the last columns are rounded up beyond the last row
            let len = geo.groups * E::padded(outputs) * stride + E::BLOCK;
            if data.len() < len {
                data.resize(len, 0.0);
            }
            let data = &mut data[..len];
            data.fill(0.0);
            let sums = Sums {
                data,
                stride,
                pitch,
            };
            match shift {
                Some(shifted) => shifted(geo, x, dy, part, sums),
                None => gathered(geo, x, dy, part, sums),
            }
        });
    dw.par_chunks_mut((inputs * taps).max(1))
        .enumerate()
        .for_each(|(output, dw)| {
            let row = output / outputs * E::padded(outputs) + output % outputs;
            for (sums, part) in partials.iter().zip(&parts) {
                let (pitch, stride) = layout(part);
                let sums = &sums[row * stride..];
                let dw = &mut dw[part.channels.start * taps..part.channels.end * taps];
                for (input, dw) in dw.chunks_exact_mut(taps).enumerate() {
                    for (tap, dw) in dw.iter_mut().enumerate() {
                        let sum = sums[tap * pitch + input];
                        *dw = if part.share == 0 { sum } else { *dw + sum };
                    }
                }
            }
        });
}

/// Columns of the weight gradient that are gathered at once: taps and channels of a part.
struct Columns {
    taps: Range<usize>,
    channels: Range<usize>,
}

fn column_blocks(taps: usize, channels: usize, most: usize) -> Vec<Columns> {
    tap_blocks(taps, channels, most)
        .flat_map(|taps| {
            (0..channels).step_by(most).map(move |first| Columns {
                taps: taps.clone(),
                channels: first..(first + most).min(channels),
            })
        })
        .collect()
}

/// Adds a part: transposed output gradients times gathered inputs, chunk by chunk of pixels.
fn gathered<E: Product>(geo: &ConvGeometry, x: &[E], dy: &[E], part: &Part, sums: Sums) {
    let gather = Gather::forward(geo);
    let pixels = part.of(gather.pixels(geo.batch));
    let [inputs, outputs] = [geo.group_inputs(), geo.group_outputs()];
    let group_len = E::padded(outputs) * sums.stride;
    let blocks = column_blocks(geo.taps(), part.channels.len(), E::COLUMNS);
    let chunk = (GRADIENT_ROWS / E::padded(outputs)).clamp(64, E::PIXELS) / 32 * 32;
    scratch::with::<u32, _>(chunk, |places| {
        for first in pixels.clone().step_by(chunk) {
            let count = chunk.min(pixels.end - first);
            let places = &mut places[..E::padded(count)];
            places.fill(NOWHERE);
            for (pixel, place) in (first as u32..(first + count) as u32).zip(places.iter_mut()) {
                *place = pixel;
            }
            let left_stride = E::row_stride(count);
            scratch::with::<E, _>(E::padded(outputs) * left_stride, |left| {
                for group in 0..geo.groups {
                    let part_of = group * outputs..(group + 1) * outputs;
                    transpose(dy, geo.outputs, part_of, places, left, left_stride);
                    for block in &blocks {
                        let width = block.taps.len() * block.channels.len();
                        let begin = group * inputs + part.channels.start + block.channels.start;
                        let right_stride = E::row_stride(width);
                        scratch::with::<E, _>(count * right_stride, |right| {
                            gather.fill(
                                x,
                                first..first + count,
                                block.taps.clone(),
                                [begin, block.channels.len()],
                                right,
                                [width, right_stride],
                            );
                            let column = block.taps.start * sums.pitch + block.channels.start;
                            E::accumulate(
                                (left, left_stride),
                                (right, right_stride),
                                [outputs, width, count],
                                (&mut sums.data[group * group_len + column..], sums.stride),
                            );
                        });
                    }
                }
            });
        }
    });
}
