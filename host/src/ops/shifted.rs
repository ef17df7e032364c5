//! The weight gradient of a convolution that keeps a map's size, without gathering.
//!
//! Both maps are read as one stream of pixels: the first rows of several images one behind the other, then their second rows, and
//! so on, each row followed by as many zeros as the map is padded with. A tap is then a fixed distance in the stream, so the
//! input is brought into pair order once for all taps instead of once for each: once for even distances and once for odd ones,
//! because pairs begin at even places. And the places at which a tap reads nothing but the padding above or below the images
//! lie together, at one end of the stream, and are left out.

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
/// Fewest input channels: with less, a block is mostly empty.
const CHANNELS: usize = 16;

/// Whether this way is open and pays: stride 1, the output as large as the input, and not too many zeros
/// between the rows.
pub(super) fn fits(geo: &ConvGeometry) -> bool {
    let width = geo.size[1];
    let p = geo.before[0];
    geo.groups == 1
        && geo.stride == 1
        && geo.dilation == 1
        && [geo.before, geo.after] == [[p; 2]; 2]
        && geo.kernel.iter().all(|&k| k == 2 * p + 1)
        && geo.inputs >= CHANNELS
        && 2 * (width + p) <= 3 * width
}

/// The order in which the pixels of some images are read.
struct Stream {
    size: [usize; 2],
    padding: usize,
    /// The images, by their numbers in the batch.
    images: Range<usize>,
}

impl Stream {
    /// All images of a batch, as many in a stream as make a chunk.
    fn all(geo: &ConvGeometry) -> impl Iterator<Item = Self> {
        let ([height, width], padding) = (geo.size, geo.before[0]);
        let most = (CHUNK / (height * (width + padding))).max(1);
        let (size, batch) = (geo.size, geo.batch);
        (0..batch).step_by(most).map(move |first| Self {
            size,
            padding,
            images: first..(first + most).min(batch),
        })
    }

    /// Places of a row of one image.
    fn width(&self) -> usize {
        self.size[1] + self.padding
    }

    /// Places of a row of all images.
    fn line(&self) -> usize {
        self.images.len() * self.width()
    }

    fn len(&self) -> usize {
        self.size[0] * self.line()
    }

    /// The farthest that a tap looks back or ahead.
    fn reach(&self) -> usize {
        self.padding * self.line() + self.padding
    }

    /// How far a tap looks ahead, counted from the first tap.
    fn shift(&self, [ky, kx]: [usize; 2]) -> usize {
        ky * self.line() + kx
    }

    /// The places at which taps of a row of the kernel read more than the padding above or below.
    fn seeing(&self, ky: usize) -> Range<usize> {
        let first = self.padding.saturating_sub(ky);
        let end = (self.size[0] + self.padding).saturating_sub(ky);
        let end = end.min(self.size[0]);
        first * self.line()..end.max(first) * self.line()
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
            let (row, x) = (at / self.width(), at % self.width());
            let (y, image) = (row / self.images.len(), row % self.images.len());
            let next = (at + self.width() - x).min(end);
            let pixel = (((self.images.start + image) * h + y) * w) as u32;
            let last = (at + w.saturating_sub(x)).min(next);
            let places = &mut places[at + self.reach() - first..last + self.reach() - first];
            for (x, place) in (x as u32..).zip(places) {
                *place = pixel + x;
            }
            at = next;
        }
    }
}

/// Adds a part's share of the pixels to its sums.
///
/// # Panics
/// Where the processor doesn't multiply bfloat16.
pub(super) fn part(geo: &ConvGeometry, x: &[Bf16], dy: &[Bf16], part: &Part, mut sums: Sums) {
    let unit =
        Unit::new().expect("bfloat16 engines are made only where the processor multiplies it");
    let share = part.of(Stream::all(geo).map(|stream| stream.len()).sum());
    let mut begin = 0;
    for stream in Stream::all(geo) {
        let end = begin + stream.len();
        let here = share.start.clamp(begin, end) - begin..share.end.clamp(begin, end) - begin;
        for first in here.clone().step_by(CHUNK) {
            let places = first..(first + CHUNK).min(here.end);
            chunk(geo, [x, dy], part, &stream, places, &unit, &mut sums);
        }
        begin = end;
    }
}

/// Adds some places of a stream.
fn chunk(
    geo: &ConvGeometry,
    [x, dy]: [&[Bf16]; 2],
    part: &Part,
    stream: &Stream,
    chunk: Range<usize>,
    unit: &Unit,
    sums: &mut Sums,
) {
    let depth = chunk.len().next_multiple_of(bf16::DEPTH);
    let blocks = part.channels.len().div_ceil(bf16::BLOCK);
    let span = depth + 2 * stream.reach();
    // a phase: the pairs that begin at even places, or at odd ones
    let phase = span / 2 * bf16::BLOCK;
    let left_stride = odd_lines::<Bf16>(depth);
    let lefts = geo.outputs.next_multiple_of(bf16::BLOCK);
    scratch::with::<u32, _>(span + 1, |places| {
        scratch::with::<u32, _>(blocks * 2 * phase, |right| {
            scratch::with::<Bf16, _>(lefts * left_stride, |left| {
                stream.pixels(chunk.start + stream.reach(), &mut places[..depth]);
                places[chunk.len()..depth].fill(NOWHERE);
                transpose(
                    dy,
                    geo.outputs,
                    0..geo.outputs,
                    &places[..depth],
                    left,
                    left_stride,
                );
                stream.pixels(chunk.start, places);
                interleave(x, geo.inputs, part.channels.clone(), places, phase, right);
                for tap in 0..geo.taps() {
                    let tap_at = [tap / geo.kernel[1], tap % geo.kernel[1]];
                    let shift = stream.shift(tap_at);
                    // in whole steps: what they read beyond is zero on the right side
                    let seeing = stream.seeing(tap_at[0]);
                    let low = seeing.start.saturating_sub(chunk.start) / bf16::DEPTH * bf16::DEPTH;
                    let high = seeing.end.saturating_sub(chunk.start);
                    let high = high.next_multiple_of(bf16::DEPTH).min(depth);
                    if low >= high {
                        continue;
                    }
                    for block in 0..blocks {
                        let pair = (shift + low) / 2 * bf16::BLOCK;
                        let panel = &right[(2 * block + shift % 2) * phase + pair..];
                        let column = tap * sums.pitch + block * bf16::BLOCK;
                        let columns = part.channels.len() - block * bf16::BLOCK;
                        for row in (0..geo.outputs).step_by(bf16::BLOCK) {
                            let left = (&left[row * left_stride + low..], left_stride);
                            let to = (&mut sums.data[row * sums.stride + column..], sums.stride);
                            let wanted = [geo.outputs - row, columns];
                            unit.multiply(
                                left,
                                panel,
                                (high - low) / bf16::DEPTH,
                                to,
                                wanted,
                                false,
                            );
                        }
                    }
                }
            });
        });
    });
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
            images: 5..7,
        };
        let mut all = vec![0; stream.len() + 2 * stream.reach()];
        stream.pixels(0, &mut all);
        let mut seen = Vec::new();
        for (place, &pixel) in all.iter().enumerate() {
            if pixel == NOWHERE {
                continue;
            }
            seen.push(pixel);
            let (image, y, x) = (pixel / 12, pixel % 12 / 4, pixel % 4);
            for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                let (ny, nx) = (y as usize + ky, x as usize + kx);
                let inside = (1..=3).contains(&ny) && (1..=4).contains(&nx);
                let want = if inside {
                    image * 12 + (ny as u32 - 1) * 4 + nx as u32 - 1
                } else {
                    NOWHERE
                };
                let at = place - stream.reach();
                assert_eq!(all[at + stream.shift([ky, kx])], want, "{pixel} {ky} {kx}");
                // what a row of taps doesn't see is padding
                let above = !(1..=3).contains(&ny);
                assert_eq!(stream.seeing(ky).contains(&at), !above, "{pixel} {ky}");
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (60..84).collect::<Vec<_>>());
        // any part of it is what it is in the whole
        for first in 0..all.len() - 7 {
            let mut part = [0; 7];
            stream.pixels(first, &mut part);
            assert_eq!(part, all[first..first + 7]);
        }
    }

    #[test]
    fn streams_hold_every_image_once() {
        let geo = |size, batch| ConvGeometry {
            batch,
            size,
            inputs: 16,
            outputs: 16,
            kernel: [3, 3],
            stride: 1,
            before: [1, 1],
            after: [1, 1],
            dilation: 1,
            groups: 1,
        };
        for (size, batch) in [([2, 2], 300), ([5, 5], 100), ([44, 44], 3), ([1, 90], 1)] {
            let geo = geo(size, batch);
            let images = Stream::all(&geo).flat_map(|stream| stream.images);
            assert_eq!(images.collect::<Vec<_>>(), (0..batch).collect::<Vec<_>>());
        }
    }
}
