//! The parts of [`Augment::apply`]. They work on pixel values from 0 to 255 in `out`.

use fer_models::Preprocess;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::{Augment, Crop, Outside};

/// Uniform in `low..high`.
pub(super) fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    let unit = (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
    low + (high - low) * unit
}

/// Uniform in `0..count`; the bias is below one in a million for the counts of this module.
pub(super) fn below(rng: &mut ChaCha8Rng, count: usize) -> usize {
    ((u64::from(rng.next_u32()) * count as u64) >> 32) as usize
}

/// A straight map from the centre of a crop's pixel to a point of the tile, in pixels, where pixel
/// `n` has its centre at `n`: `x' = x0 + ax * column + bx * row`, and the same for y.
struct Affine {
    x: [f32; 3],
    y: [f32; 3],
}

/// The part of the tile that becomes the crop: where its first pixel's centre lies, and how far apart its
/// pixels are.
#[derive(Clone, Copy)]
struct Cut {
    left: f32,
    top: f32,
    across: f32,
    down: f32,
}

impl Augment {
    /// Crop, flip, rotation, shift and scale, as one step.
    pub(super) fn place(
        &self,
        rng: &mut ChaCha8Rng,
        pre: &Preprocess,
        tile: &[u8],
        out: &mut [f32],
    ) {
        let places = pre.tile - pre.crop + 1;
        let (left, top) = match self.crop {
            Crop::Center => (places.div_ceil(2) - 1, places.div_ceil(2) - 1),
            Crop::Random => (below(rng, places), below(rng, places)),
        };
        let mirror = self.flip > 0.0 && between(rng, 0.0, 1.0) < self.flip;
        if self.resamples() {
            let cut = if self.min_area > 0.0 {
                self.cut(rng, pre)
            } else {
                Cut {
                    left: left as f32,
                    top: top as f32,
                    across: 1.0,
                    down: 1.0,
                }
            };
            let map = self.affine(rng, pre, cut, mirror);
            // Just below the last pixel, so that every point has a right and a lower neighbour.
            let most = (pre.tile as i32 - 1) * ONE - 1;
            match self.outside {
                Outside::Edge => {
                    sample(
                        &map,
                        pre.tile,
                        pre.crop,
                        tile,
                        out,
                        |at| at.clamp(0, most),
                        false,
                    );
                }
                Outside::Black => {
                    sample(
                        &map,
                        pre.tile,
                        pre.crop,
                        tile,
                        out,
                        |at| at.clamp(0, most),
                        true,
                    );
                }
                Outside::Reflect => {
                    sample(
                        &map,
                        pre.tile,
                        pre.crop,
                        tile,
                        out,
                        |at| reflect(at, most),
                        false,
                    );
                }
            }
            return;
        }
        for (row, line) in out.chunks_exact_mut(pre.crop).enumerate() {
            let source = &tile[(top + row) * pre.tile + left..][..pre.crop];
            let copy = |(value, &pixel): (&mut f32, &u8)| *value = f32::from(pixel);
            if mirror {
                line.iter_mut().zip(source.iter().rev()).for_each(copy);
            } else {
                line.iter_mut().zip(source).for_each(copy);
            }
        }
    }

    /// Draws a part of the tile that will be resized to the crop.
    fn cut(&self, rng: &mut ChaCha8Rng, pre: &Preprocess) -> Cut {
        let side = pre.tile as f32;
        let area = between(rng, self.min_area, 1.0);
        let widest = self.aspect.max(1.0).ln();
        let aspect = between(rng, -widest, widest).exp();
        let width = side * (area * aspect).sqrt().min(1.0);
        let height = side * (area / aspect).sqrt().min(1.0);
        let (across, down) = (width / pre.crop as f32, height / pre.crop as f32);
        // the centre of the crop's first pixel
        let left = between(rng, 0.0, side - width) + 0.5 * across - 0.5;
        let top = between(rng, 0.0, side - height) + 0.5 * down - 0.5;
        Cut {
            left,
            top,
            across,
            down,
        }
    }

    /// Draws rotation, scale, shift, stretch and skew about the tile's centre and joins them with cut and
    /// flip.
    fn affine(&self, rng: &mut ChaCha8Rng, pre: &Preprocess, cut: Cut, mirror: bool) -> Affine {
        let angle = between(rng, -self.rotate, self.rotate).to_radians();
        // Sampling at 1/factor makes the face `factor` times as large.
        let step = 1.0 / between(rng, 1.0 - self.scale, 1.0 + self.scale);
        let reach = self.shift * pre.tile as f32;
        let (dx, dy) = (between(rng, -reach, reach), between(rng, -reach, reach));
        let (sin, cos) = (angle.sin() * step, angle.cos() * step);
        let centre = (pre.tile as f32 - 1.0) / 2.0;
        let (column, across) = if mirror {
            (cut.left + cut.across * (pre.crop - 1) as f32, -cut.across)
        } else {
            (cut.left, cut.across)
        };
        let (u, v) = (column - centre, cut.top - centre);
        let [[a, b], [c, d]] = self.slant(rng, [[cos, -sin], [sin, cos]]);
        Affine {
            x: [centre + a * u + b * v - dx, a * across, b * cut.down],
            y: [centre + c * u + d * v - dy, c * across, d * cut.down],
        }
    }

    /// Stretches and skews before a rotation.
    fn slant(&self, rng: &mut ChaCha8Rng, turn: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
        if self.stretch <= 0.0 && self.skew <= 0.0 {
            return turn;
        }
        let most = (1.0 + self.stretch).ln();
        let (sx, sy) = (
            between(rng, -most, most).exp(),
            between(rng, -most, most).exp(),
        );
        let (kx, ky) = (
            between(rng, -self.skew, self.skew),
            between(rng, -self.skew, self.skew),
        );
        turn.map(|[a, b]| [a * sx + b * ky * sx, a * kx * sy + b * sy])
    }

    /// Gain, contrast about the crop's mean, then brightness, cut to 0..=255.
    pub(super) fn relight(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        if self.gain > 0.0 {
            let factor = between(rng, 1.0 - self.gain, 1.0 + self.gain);
            for value in &mut *out {
                *value = (*value * factor).min(255.0);
            }
        }
        if self.contrast <= 0.0 && self.brightness <= 0.0 {
            return;
        }
        let factor = between(rng, 1.0 - self.contrast, 1.0 + self.contrast);
        let lift = 255.0 * between(rng, -self.brightness, self.brightness);
        let mean = mean(out);
        for value in out {
            *value = (mean + (*value - mean) * factor + lift).clamp(0.0, 255.0);
        }
    }

    /// Fills a random square with the crop's mean.
    pub(super) fn cut_out(&self, rng: &mut ChaCha8Rng, crop: usize, out: &mut [f32]) {
        if self.cutout == 0 {
            return;
        }
        let mean = mean(out);
        let side = (self.cutout as f32 * self.pixel(crop)).round() as usize;
        let mut span = || {
            let start = below(rng, crop);
            let before = side / 2;
            start.saturating_sub(before)..(start + side - before).min(crop)
        };
        let (columns, rows) = (span(), span());
        for row in rows {
            out[row * crop..][columns.clone()].fill(mean);
        }
    }
}

/// The mean of pixel values.
fn mean(values: &[f32]) -> f32 {
    // Eight sums, so that the additions do not wait for each other.
    let mut sums = [0.0_f32; 8];
    for chunk in values.chunks(8) {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    (sums.iter().sum::<f32>() / values.len().max(1) as f32).clamp(0.0, 255.0)
}

/// Bits of a coordinate behind the point. Whole numbers round the same way on every machine and
/// take half the time of floating point with its checked conversions; the largest coordinate, a
/// few times `MAX_TILE`, fits well.
const FRACTION: u32 = 16;
const ONE: i32 = 1 << FRACTION;

/// A coordinate mirrored at the first and the last pixel.
fn reflect(at: i32, most: i32) -> i32 {
    let there_and_back = at.rem_euclid(2 * (most + 1));
    there_and_back
        .min(2 * (most + 1) - there_and_back)
        .min(most)
}

/// Bilinear sampling. `inside` brings a coordinate to one between the first and the last pixel; with
/// `black`, points more than half a pixel away from the tile are 0.
fn sample(
    map: &Affine,
    side: usize,
    crop: usize,
    tile: &[u8],
    out: &mut [f32],
    inside: impl Fn(i32) -> i32,
    black: bool,
) {
    if side < 2 {
        out.fill(f32::from(tile[0]));
        return;
    }
    let fixed = |value: f32| (value * ONE as f32).round() as i32;
    let [x0, x_column, x_row] = map.x.map(fixed);
    let [y0, y_column, y_row] = map.y.map(fixed);
    let away = |at: i32| at < -ONE / 2 || at > side as i32 * ONE - ONE / 2;
    let share = |at: i32| (at & (ONE - 1)) as f32 / ONE as f32;
    let (mut row_x, mut row_y) = (x0, y0);
    for line in out.chunks_exact_mut(crop) {
        let (mut x, mut y) = (row_x, row_y);
        for value in line {
            let (inside_x, inside_y) = (inside(x), inside(y));
            let at = (inside_y >> FRACTION) as usize * side + (inside_x >> FRACTION) as usize;
            let (upper, lower) = (&tile[at..at + 2], &tile[at + side..at + side + 2]);
            let between = |pair: &[u8], share: f32| {
                let (left, right) = (f32::from(pair[0]), f32::from(pair[1]));
                left + (right - left) * share
            };
            let (u, v) = (share(inside_x), share(inside_y));
            let (above, below) = (between(upper, u), between(lower, u));
            *value = above + (below - above) * v;
            if black && (away(x) || away(y)) {
                *value = 0.0;
            }
            x += x_column;
            y += y_column;
        }
        row_x += x_row;
        row_y += y_row;
    }
}
