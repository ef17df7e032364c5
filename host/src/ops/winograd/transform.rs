//! The transforms between maps or kernels and their points, sixteen channels at a time.
//!
//! All of it is written out, line by line: a closure over a whole line isn't inlined for certain, and then it is
//! compiled for narrow vectors and hands its lanes over in memory.

use std::ops::Range;

use super::super::element::Element;
use super::super::wide::wide;
use super::{COLUMNS, LANES, Layout, Tiles};

pub(super) type Lanes = [f32; LANES];

wide! {
    /// `G g Gᵀ` of sixteen kernels, to `[point][depth][COLUMNS]` from `at` on.
    pub(super) fn kernel_points<'a>(
        kernels: &'a [Lanes; 9],
        points: &'a mut [f32],
        point_len: usize,
        at: usize,
    ) {
        let [a, b, c] = [
            kernel(kernels[0], kernels[3], kernels[6]),
            kernel(kernels[1], kernels[4], kernels[7]),
            kernel(kernels[2], kernels[5], kernels[8]),
        ];
        for y in 0..4 {
            put(kernel(a[y], b[y], c[y]), &mut points[4 * y * point_len + at..], point_len);
        }
    }

    /// `Bᵀ d B` of every tile of one tile row of an image, from `first` on; zero in channels that there are not.
    pub(super) fn input_points<'a, E: Element>(
        image: &'a [E],
        row: usize,
        tiles: Tiles,
        channels: usize,
        points: &'a mut [E],
        layout: Layout,
        first: usize,
    ) {
        let [h, w] = tiles.size;
        let line = |dy: usize| match (2 * row + dy).checked_sub(1) {
            Some(y) if y < h => &image[y * w * channels..(y + 1) * w * channels],
            _ => &[],
        };
        let lines = [line(0), line(1), line(2), line(3)];
        for channel in (0..layout.channels).step_by(LANES) {
            let here = channel.min(channels)..channels.min(channel + LANES);
            let begin = layout.at(first, channel);
            // what a tile sees on the right, the next one sees on the left
            let mut left = [column(lines, None, channels, &here), column(lines, Some(0), channels, &here)];
            for tile in 0..tiles.across {
                let x = 2 * tile + 1;
                let [a, b] = left;
                let c = column(lines, Some(x), channels, &here);
                let d = column(lines, Some(x + 1), channels, &here);
                left = [c, d];
                let points = &mut points[begin + tile * layout.block..];
                for y in 0..4 {
                    put(input(a[y], b[y], c[y], d[y]), &mut points[4 * y * layout.point..], layout.point);
                }
            }
        }
    }

    /// `A d Aᵀ` of the output gradients of every tile of one tile row, given that row's pixels.
    pub(super) fn gradient_points<'a>(
        pixels: &'a [f32],
        tiles: Tiles,
        channels: usize,
        points: &'a mut [f32],
        layout: Layout,
        first: usize,
    ) {
        let w = tiles.size[1];
        let (upper, lower) = pixels.split_at(w * channels);
        for channel in (0..channels).step_by(LANES) {
            let here = channel..channels.min(channel + LANES);
            let begin = layout.at(first, channel);
            for tile in 0..tiles.across {
                let [x, next] = [Some(2 * tile), Some(2 * tile + 1)];
                let a = gradient(pixel(upper, x, channels, &here), pixel(lower, x, channels, &here));
                let b = gradient(pixel(upper, next, channels, &here), pixel(lower, next, channels, &here));
                let points = &mut points[begin + tile * layout.block..];
                for y in 0..4 {
                    put(gradient(a[y], b[y]), &mut points[4 * y * layout.point..], layout.point);
                }
            }
        }
    }

    /// `Aᵀ m A + bias` of a block of channels of every tile of one tile row, from `first` on, to that row's pixels of
    /// `channels` numbers; of the last tiles of an odd map only what lies on it.
    pub(super) fn output_pixels<'a, E: Element>(
        sums: (&'a [f32], Layout),
        first: usize,
        tiles: Tiles,
        block: Range<usize>,
        bias: Option<&'a [f32]>,
        channels: usize,
        pixels: &'a mut [E],
    ) {
        let ((points, layout), w) = (sums, tiles.size[1]);
        for channel in block.clone().step_by(LANES) {
            let here = channel..block.end.min(channel + LANES);
            let shift = bias.map_or([0.0; LANES], |bias| load(&bias[here.clone()]));
            let begin = layout.at(first, channel - block.start);
            for tile in 0..tiles.across {
                let points = &points[begin + tile * layout.block..];
                let a = output(get(points, layout.point, 0));
                let b = output(get(points, layout.point, 1));
                let c = output(get(points, layout.point, 2));
                let d = output(get(points, layout.point, 3));
                for x in 0..(w - 2 * tile).min(2) {
                    let pair = output([a[x], b[x], c[x], d[x]]);
                    for (y, values) in pair.into_iter().enumerate() {
                        let to = (y * w + 2 * tile + x) * channels;
                        if let Some(to) = pixels.get_mut(to + here.start..to + here.end) {
                            store(&add(values, shift), to);
                        }
                    }
                }
            }
        }
    }

    /// `Gᵀ u G` of sixteen columns of a row of gradient sums: `sums` are points of `[COLUMNS]`,
    /// `point_len` apart.
    pub(super) fn kernel_gradient<'a>(
        sums: &'a [f32],
        point_len: usize,
        first: usize,
        kernels: &'a mut [Lanes; 9],
    ) {
        let sums = &sums[first..];
        let a = kernel_back(get(sums, point_len, 0));
        let b = kernel_back(get(sums, point_len, 1));
        let c = kernel_back(get(sums, point_len, 2));
        let d = kernel_back(get(sums, point_len, 3));
        for x in 0..3 {
            let column = kernel_back([a[x], b[x], c[x], d[x]]);
            for (y, values) in column.into_iter().enumerate() {
                kernels[3 * y + x] = values;
            }
        }
    }
}

const _: () = assert!(COLUMNS.is_multiple_of(LANES));

/// A line of `Bᵀ d`.
#[inline(always)]
fn input(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> [Lanes; 4] {
    [sub(a, c), add(b, c), sub(c, b), sub(b, d)]
}

/// A line of `G g`.
#[inline(always)]
fn kernel(a: Lanes, b: Lanes, c: Lanes) -> [Lanes; 4] {
    let (side, middle) = (half(add(a, c)), half(b));
    [a, add(side, middle), sub(side, middle), c]
}

/// A line of `A d`.
#[inline(always)]
fn gradient(a: Lanes, b: Lanes) -> [Lanes; 4] {
    [a, add(a, b), sub(a, b), sub([0.0; LANES], b)]
}

/// A line of `Aᵀ m`.
#[inline(always)]
fn output([a, b, c, d]: [Lanes; 4]) -> [Lanes; 2] {
    [add(add(a, b), c), sub(sub(b, c), d)]
}

/// A line of `Gᵀ u`.
#[inline(always)]
fn kernel_back([a, b, c, d]: [Lanes; 4]) -> [Lanes; 3] {
    let side = half(add(b, c));
    [add(a, side), half(sub(b, c)), add(d, side)]
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|l| a[l] + b[l])
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|l| a[l] - b[l])
}

#[inline(always)]
fn half(a: Lanes) -> Lanes {
    std::array::from_fn(|l| 0.5 * a[l])
}

/// `Bᵀ d` of the column of pixels at `x` of four lines, zero beyond the map.
#[inline(always)]
fn column<E: Element>(
    lines: [&[E]; 4],
    x: Option<usize>,
    channels: usize,
    here: &Range<usize>,
) -> [Lanes; 4] {
    input(
        pixel(lines[0], x, channels, here),
        pixel(lines[1], x, channels, here),
        pixel(lines[2], x, channels, here),
        pixel(lines[3], x, channels, here),
    )
}

/// Some channels of the pixel at `x` of a line, zero beyond the map.
#[inline(always)]
fn pixel<E: Element>(line: &[E], x: Option<usize>, channels: usize, here: &Range<usize>) -> Lanes {
    let from = x.and_then(|x| line.get(x * channels + here.start..x * channels + here.end));
    from.map_or([0.0; LANES], load)
}

/// A line of four points.
#[inline(always)]
fn get(points: &[f32], point_len: usize, y: usize) -> [Lanes; 4] {
    let points = &points[4 * y * point_len..];
    [
        load(&points[..LANES]),
        load(&points[point_len..point_len + LANES]),
        load(&points[2 * point_len..2 * point_len + LANES]),
        load(&points[3 * point_len..3 * point_len + LANES]),
    ]
}

/// Stores a line of four points.
#[inline(always)]
fn put<E: Element>(line: [Lanes; 4], points: &mut [E], point_len: usize) {
    for (x, values) in line.iter().enumerate() {
        store(values, &mut points[x * point_len..x * point_len + LANES]);
    }
}

#[inline(always)]
fn load<E: Element>(from: &[E]) -> Lanes {
    let mut to = [0.0; LANES];
    match <&[E; LANES]>::try_from(from) {
        Ok(whole) => {
            for (t, f) in to.iter_mut().zip(whole) {
                *t = f.to_f32();
            }
        }
        Err(_) => {
            for (t, f) in to.iter_mut().zip(from) {
                *t = f.to_f32();
            }
        }
    }
    to
}

#[inline(always)]
fn store<E: Element>(from: &Lanes, to: &mut [E]) {
    match <&mut [E; LANES]>::try_from(&mut *to) {
        Ok(whole) => {
            for (t, f) in whole.iter_mut().zip(from) {
                *t = E::from_f32(*f);
            }
        }
        Err(_) => {
            for (t, f) in to.iter_mut().zip(from) {
                *t = E::from_f32(*f);
            }
        }
    }
}
