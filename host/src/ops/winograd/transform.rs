//! The transforms between maps or kernels and their points, sixteen channels at a time.

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
        let turn = |g: [Lanes; 3]| -> [Lanes; 4] {
            let side = each(|l| 0.5 * (g[0][l] + g[2][l]));
            [
                g[0],
                each(|l| side[l] + 0.5 * g[1][l]),
                each(|l| side[l] - 0.5 * g[1][l]),
                g[2],
            ]
        };
        let columns: [[Lanes; 4]; 3] =
            std::array::from_fn(|x| turn([kernels[x], kernels[3 + x], kernels[6 + x]]));
        for y in 0..4 {
            let row = turn(across(&columns, y));
            for (x, values) in row.iter().enumerate() {
                let at = (4 * y + x) * point_len + at;
                points[at..at + LANES].copy_from_slice(values);
            }
        }
    }

    /// `Bᵀ d B` of every tile of one tile row of an image, from `first` on.
    pub(super) fn input_points<'a>(
        image: &'a [f32],
        row: usize,
        tiles: Tiles,
        channels: usize,
        points: &'a mut [f32],
        layout: Layout,
        first: usize,
    ) {
        let [h, w] = tiles.size;
        for tile in 0..tiles.across {
            for channel in (0..channels).step_by(LANES) {
                let count = LANES.min(channels - channel);
                let mut d = [[[0.0; LANES]; 4]; 4];
                for (dy, line) in d.iter_mut().enumerate() {
                    let y = (2 * row + dy).wrapping_sub(1);
                    for (dx, to) in line.iter_mut().enumerate() {
                        let x = (2 * tile + dx).wrapping_sub(1);
                        if y < h && x < w {
                            let from = (y * w + x) * channels + channel;
                            load(&image[from..from + count], to);
                        }
                    }
                }
                let turn = |d: [Lanes; 4]| -> [Lanes; 4] {
                    [
                        each(|l| d[0][l] - d[2][l]),
                        each(|l| d[1][l] + d[2][l]),
                        each(|l| d[2][l] - d[1][l]),
                        each(|l| d[1][l] - d[3][l]),
                    ]
                };
                let columns: [[Lanes; 4]; 4] =
                    std::array::from_fn(|x| turn([d[0][x], d[1][x], d[2][x], d[3][x]]));
                for y in 0..4 {
                    let line = turn(across(&columns, y));
                    put(&line, y, points, layout, layout.at(first + tile, channel));
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
        let h = pixels.len() / (w * channels).max(1);
        for tile in 0..tiles.across {
            for channel in (0..channels).step_by(LANES) {
                let count = LANES.min(channels - channel);
                let mut d = [[[0.0; LANES]; 2]; 2];
                for (y, line) in d.iter_mut().enumerate() {
                    for (dx, to) in line.iter_mut().enumerate() {
                        let x = 2 * tile + dx;
                        if y < h && x < w {
                            let from = (y * w + x) * channels + channel;
                            load(&pixels[from..from + count], to);
                        }
                    }
                }
                let turn = |d: [Lanes; 2]| -> [Lanes; 4] {
                    [
                        d[0],
                        each(|l| d[0][l] + d[1][l]),
                        each(|l| d[0][l] - d[1][l]),
                        each(|l| -d[1][l]),
                    ]
                };
                let columns: [[Lanes; 4]; 2] = std::array::from_fn(|x| turn([d[0][x], d[1][x]]));
                for y in 0..4 {
                    let line = turn(across(&columns, y));
                    put(&line, y, points, layout, layout.at(first + tile, channel));
                }
            }
        }
    }

    /// `Aᵀ m A + bias` of every tile of one tile row, to that row's pixels; of the last tiles of an odd
    /// map only what lies on it.
    pub(super) fn output_pixels<'a>(
        points: &'a [f32],
        layout: Layout,
        first: usize,
        tiles: Tiles,
        bias: Option<&'a [f32]>,
        channels: usize,
        pixels: &'a mut [f32],
    ) {
        let w = tiles.size[1];
        for tile in 0..tiles.across {
            for channel in (0..channels).step_by(LANES) {
                let count = LANES.min(channels - channel);
                let at = layout.at(first + tile, channel);
                let turn = |m: [Lanes; 4]| -> [Lanes; 2] {
                    [
                        each(|l| m[0][l] + m[1][l] + m[2][l]),
                        each(|l| m[1][l] - m[2][l] - m[3][l]),
                    ]
                };
                let lines: [[Lanes; 2]; 4] = std::array::from_fn(|y| {
                    turn(std::array::from_fn(|x| {
                        let mut values = [0.0; LANES];
                        let at = (4 * y + x) * layout.point + at;
                        values.copy_from_slice(&points[at..at + LANES]);
                        values
                    }))
                });
                let mut shift = [0.0; LANES];
                if let Some(bias) = bias {
                    load(&bias[channel..channel + count], &mut shift);
                }
                for x in 0..2 {
                    let pair = turn(across(&lines, x));
                    for (y, values) in pair.iter().enumerate() {
                        let to = (y * w + 2 * tile + x) * channels + channel;
                        if 2 * tile + x < w && to < pixels.len() {
                            store(&each(|l| values[l] + shift[l]), &mut pixels[to..to + count]);
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
        let turn = |u: [Lanes; 4]| -> [Lanes; 3] {
            [
                each(|l| u[0][l] + 0.5 * (u[1][l] + u[2][l])),
                each(|l| 0.5 * (u[1][l] - u[2][l])),
                each(|l| u[3][l] + 0.5 * (u[1][l] + u[2][l])),
            ]
        };
        let lines: [[Lanes; 3]; 4] = std::array::from_fn(|y| {
            turn(std::array::from_fn(|x| {
                let mut values = [0.0; LANES];
                let at = (4 * y + x) * point_len + first;
                values.copy_from_slice(&sums[at..at + LANES]);
                values
            }))
        });
        for x in 0..3 {
            let column = turn(across(&lines, x));
            for (y, values) in column.iter().enumerate() {
                kernels[3 * y + x] = *values;
            }
        }
    }
}

const _: () = assert!(COLUMNS.is_multiple_of(LANES));

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> Lanes {
    std::array::from_fn(f)
}

/// The numbers at `at` of every line.
#[inline(always)]
fn across<const LINES: usize, const LEN: usize>(
    lines: &[[Lanes; LEN]; LINES],
    at: usize,
) -> [Lanes; LINES] {
    std::array::from_fn(|line| lines[line][at])
}

/// Stores a line of four points.
#[inline(always)]
fn put(line: &[Lanes; 4], y: usize, points: &mut [f32], layout: Layout, at: usize) {
    for (x, values) in line.iter().enumerate() {
        let at = (4 * y + x) * layout.point + at;
        points[at..at + LANES].copy_from_slice(values);
    }
}

#[inline(always)]
fn load(from: &[f32], to: &mut Lanes) {
    match <&Lanes>::try_from(from) {
        Ok(whole) => *to = *whole,
        Err(_) => to[..from.len()].copy_from_slice(from),
    }
}

#[inline(always)]
fn store(from: &Lanes, to: &mut [f32]) {
    match <&mut Lanes>::try_from(&mut *to) {
        Ok(whole) => *whole = *from,
        Err(_) => to.copy_from_slice(&from[..to.len()]),
    }
}
