//! The weight gradient of a convolution that keeps a map's size, without gathering.
//!
//! Both maps are read as one stream of pixels, each row followed by as many zeros as the map is padded
//! with and each image by as many rows of zeros. A tap is then a fixed distance in the stream, so the
//! input is brought into pair order once for all taps instead of once for each: once for even
//! distances and once for odd ones, because pairs begin at even places.

use std::ops::Range;

use super::bf16::{self, Unit};
use super::conv::ConvGeometry;
use super::element::Bf16;
use super::product::{odd_lines, pairs};
use super::scratch::{self, Shelf};
use super::transpose::{NOWHERE, transpose};
use super::weight::{Part, Sums};
use super::wide::wide;

/// Places of the stream that are multiplied at once: many, so that sums are seldom loaded and stored, but
/// both sides stay in the second-level cache.
const CHUNK: usize = 1024;
/// Fewest input channels: with less, a tile is mostly empty.
const CHANNELS: usize = 16;

/// Whether this way is open and pays: stride 1, the output as large as the input, and not too many zeros
/// between the pixels.
pub(super) fn fits(geo: &ConvGeometry) -> bool {
    let [h, w] = geo.size;
    let p = geo.before[0];
    geo.groups == 1
        && geo.stride == 1
        && geo.dilation == 1
        && [geo.before, geo.after] == [[p; 2]; 2]
        && geo.kernel.iter().all(|&k| k == 2 * p + 1)
        && geo.inputs >= CHANNELS
        && 2 * (h + p) * (w + p) <= 3 * h * w
}

/// The order in which pixels are read.
struct Stream {
    size: [usize; 2],
    padding: usize,
    images: usize,
}

impl Stream {
    fn width(&self) -> usize {
        self.size[1] + self.padding
    }

    fn len(&self) -> usize {
        self.images * (self.size[0] + self.padding) * self.width()
    }

    /// The farthest that a tap looks back or ahead.
    fn reach(&self) -> usize {
        self.padding * self.width() + self.padding
    }

    /// The pixels that lie at the places from `first` on; the stream begins at `reach`.
    fn pixels(&self, first: usize, places: &mut [u32]) {
        places.fill(NOWHERE);
        let [h, w] = self.size;
        let begin = first.saturating_sub(self.reach());
        let end = (first + places.len())
            .saturating_sub(self.reach())
            .min(self.len());
        let mut at = begin;
        while at < end {
            let (line, x) = (at / self.width(), at % self.width());
            let (image, y) = (line / (h + self.padding), line % (h + self.padding));
            let next = (at + self.width() - x).min(end);
            if y < h {
                let pixel = ((image * h + y) * w) as u32;
                let last = (at + w.saturating_sub(x)).min(next);
                let places = &mut places[at + self.reach() - first..last + self.reach() - first];
                for (x, place) in (x as u32..).zip(places) {
                    *place = pixel + x;
                }
            }
            at = next;
        }
    }
}

/// Adds a part's share of the stream to its sums.
///
/// # Panics
/// Where the processor doesn't multiply bfloat16.
pub(super) fn part(geo: &ConvGeometry, x: &[Bf16], dy: &[Bf16], part: &Part, sums: Sums) {
    let unit =
        Unit::new().expect("bfloat16 engines are made only where the processor multiplies it");
    let stream = Stream {
        size: geo.size,
        padding: geo.before[0],
        images: geo.batch,
    };
    let share = part.of(stream.len());
    let blocks = part.channels.len().div_ceil(bf16::BLOCK);
    let span = CHUNK + 2 * stream.reach();
    // a phase: the pairs that begin at even places, or at odd ones
    let phase = span / 2 * bf16::BLOCK;
    let left_stride = odd_lines::<Bf16>(CHUNK);
    let lefts = geo.outputs.next_multiple_of(bf16::BLOCK);
    scratch::with::<u32, _>(span + 1, |places| {
        scratch::with::<u32, _>(blocks * 2 * phase, |right| {
            scratch::with::<Bf16, _>(lefts * left_stride, |left| {
                for first in share.clone().step_by(CHUNK) {
                    let count = CHUNK.min(share.end - first);
                    let depth = count.next_multiple_of(bf16::DEPTH);
                    stream.pixels(first + stream.reach(), &mut places[..depth]);
                    places[count..depth].fill(NOWHERE);
                    transpose(
                        dy,
                        geo.outputs,
                        0..geo.outputs,
                        &places[..depth],
                        left,
                        left_stride,
                    );
                    let span = depth + 2 * stream.reach();
                    stream.pixels(first, &mut places[..span + 1]);
                    let places = &places[..span + 1];
                    interleave(x, geo.inputs, part.channels.clone(), places, phase, right);
                    for (tap, shift) in shifts(geo, &stream).enumerate() {
                        for block in 0..blocks {
                            let panel =
                                &right[(2 * block + shift % 2) * phase + shift / 2 * bf16::BLOCK..];
                            let column = tap * sums.pitch + block * bf16::BLOCK;
                            let columns = part.channels.len() - block * bf16::BLOCK;
                            for row in (0..geo.outputs).step_by(bf16::BLOCK) {
                                let left = (&left[row * left_stride..], left_stride);
                                let sums =
                                    (&mut sums.data[row * sums.stride + column..], sums.stride);
                                let wanted = [geo.outputs - row, columns];
                                unit.multiply(
                                    left,
                                    panel,
                                    depth / bf16::DEPTH,
                                    sums,
                                    wanted,
                                    false,
                                );
                            }
                        }
                    }
                }
            });
        });
    });
}

/// How far each tap lies from the first.
fn shifts(geo: &ConvGeometry, stream: &Stream) -> impl Iterator<Item = usize> {
    let (width, [kh, kw]) = (stream.width(), geo.kernel);
    (0..kh).flat_map(move |ky| (0..kw).map(move |kx| ky * width + kx))
}

wide! {
    /// Brings the channels of the pixels at `places` into pair order:
    /// `[block of 32 channels][even, odd][pair][32 channels]`, `phase` numbers each.
    fn interleave<'a>(
        x: &'a [Bf16],
        channels: usize,
        part: Range<usize>,
        places: &'a [u32],
        phase: usize,
        right: &'a mut [u32],
    ) {
        let none = [Bf16::ZERO; bf16::BLOCK];
        for (block, right) in right.chunks_exact_mut(2 * phase).enumerate() {
            let first = part.start + block * bf16::BLOCK;
            let count = part.end.saturating_sub(first).min(bf16::BLOCK);
            let row = |place: u32| match place {
                NOWHERE => &none[..count],
                pixel => &x[pixel as usize * channels + first..][..count],
            };
            let (even, odd) = right.split_at_mut(phase);
            let outs = even.chunks_exact_mut(bf16::BLOCK).zip(odd.chunks_exact_mut(bf16::BLOCK));
            let mut a = row(places[0]);
            for (two, (even, odd)) in places[1..].chunks_exact(2).zip(outs) {
                let (b, c) = (row(two[0]), row(two[1]));
                pairs(a, b, even);
                pairs(b, c, odd);
                a = c;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_is_a_fixed_distance_in_the_stream() {
        let stream = Stream {
            size: [3, 4],
            padding: 1,
            images: 2,
        };
        let mut all = vec![0; stream.len() + 2 * stream.reach()];
        stream.pixels(0, &mut all);
        let at = |image: usize, y: usize, x: usize| {
            stream.reach() + (image * 4 + y) * stream.width() + x
        };
        for (image, y, x) in [(0, 0, 0), (0, 2, 3), (1, 0, 0), (1, 1, 2), (1, 2, 3)] {
            for (dy, dx) in [(-1, -1), (-1, 0), (0, 1), (1, 0), (1, 1)] {
                let (ny, nx) = (y as isize + dy, x as isize + dx);
                let inside = (0..3).contains(&ny) && (0..4).contains(&nx);
                let want = if inside {
                    (image as isize * 12 + ny * 4 + nx) as u32
                } else {
                    NOWHERE
                };
                let step = dy * stream.width() as isize + dx;
                let place = at(image, y, x).checked_add_signed(step).unwrap();
                assert_eq!(all[place], want, "{image} {y} {x} {dy} {dx}");
            }
        }
        // any part of it is what it is in the whole
        for first in 0..all.len() - 7 {
            let mut part = [0; 7];
            stream.pixels(first, &mut part);
            assert_eq!(part, all[first..first + 7]);
        }
    }
}
