//! What happens to the values of a crop once it is cut: blur, lost pixels, light, sharpening, noise.

use rand_chacha::ChaCha8Rng;

use super::Augment;
use super::apply::{below, between};

impl Augment {
    /// All of it, in this order; values stay in 0..=255.
    pub(super) fn spoil(&self, rng: &mut ChaCha8Rng, crop: usize, out: &mut [f32]) {
        let [blur, dropout] = self.chosen(rng, [self.blur > 0.0, self.pixel_dropout > 0.0]);
        if blur {
            let most = self.blur * self.pixel(crop);
            gaussian_blur(between(rng, 0.0, most), crop, out);
        }
        if dropout {
            let share = between(rng, 0.0, self.pixel_dropout);
            for value in &mut *out {
                if between(rng, 0.0, 1.0) < share {
                    *value = 0.0;
                }
            }
        }
        let light = self.brightness > 0.0 || self.contrast > 0.0 || self.gain > 0.0;
        let parts = [
            light,
            self.sharpen > 0.0,
            self.gamma > 0.0,
            self.noise > 0.0,
        ];
        let [light, sharpened, gamma, noise] = self.chosen(rng, parts);
        if light {
            self.relight(rng, out);
        }
        if sharpened {
            let share = between(rng, 0.0, self.sharpen);
            sharpen(share, between(rng, 0.5, 1.5), crop, out);
        }
        if gamma {
            let exponent = between(rng, 1.0 - self.gamma, 1.0);
            for value in &mut *out {
                *value = 255.0 * (*value / 255.0).powf(exponent);
            }
        }
        if noise {
            for pair in out.chunks_mut(2) {
                for (value, normal) in pair.iter_mut().zip(two_normals(rng)) {
                    *value = (*value + 255.0 * self.noise * normal).clamp(0.0, 255.0);
                }
            }
        }
    }

    /// What is on of a group: all of it, or with `one_of` one, every one equally likely.
    fn chosen<const N: usize>(&self, rng: &mut ChaCha8Rng, on: [bool; N]) -> [bool; N] {
        let count = on.iter().filter(|on| **on).count();
        if !self.one_of || count < 2 {
            return on;
        }
        let mut left = below(rng, count);
        on.map(|on| {
            let this = on && left == 0;
            left = left.wrapping_sub(usize::from(on));
            this
        })
    }
}

/// Two independent draws from the standard normal distribution (Box & Muller, 1958).
fn two_normals(rng: &mut ChaCha8Rng) -> [f32; 2] {
    // not 0, whose logarithm is none
    let length = (-2.0 * (1.0 - between(rng, 0.0, 1.0)).ln()).sqrt();
    let (sin, cos) = between(rng, 0.0, std::f32::consts::TAU).sin_cos();
    [length * cos, length * sin]
}

/// Blurs rows, then columns; at the border the edge goes on.
fn gaussian_blur(sigma: f32, crop: usize, out: &mut [f32]) {
    if sigma < 0.05 {
        return;
    }
    let reach = (3.0 * sigma).ceil() as usize;
    let weight = |at: usize| (-0.5 * (at as f32 / sigma).powi(2)).exp();
    let sum: f32 = weight(0) + 2.0 * (1..=reach).map(weight).sum::<f32>();
    let weights: Vec<f32> = (0..=reach).map(|at| weight(at) / sum).collect();
    let mut line = vec![0.0; crop];
    let mut along = |first: usize, step: usize| {
        for (i, value) in line.iter_mut().enumerate() {
            *value = out[first + i * step];
        }
        for i in 0..crop {
            let mut blurred = weights[0] * line[i];
            for (at, weight) in weights.iter().enumerate().skip(1) {
                let (before, behind) = (i.saturating_sub(at), (i + at).min(crop - 1));
                blurred += weight * (line[before] + line[behind]);
            }
            out[first + i * step] = blurred.clamp(0.0, 255.0);
        }
    };
    (0..crop).for_each(|row| along(row * crop, 1));
    (0..crop).for_each(|column| along(column, crop));
}

/// Mixes in `share` of what a kernel with `8 + light` in its middle and −1 around it gives.
fn sharpen(share: f32, light: f32, crop: usize, out: &mut [f32]) {
    let before = out.to_vec();
    let near = |at: usize| [at.saturating_sub(1), at, (at + 1).min(crop - 1)];
    for (row, line) in out.chunks_exact_mut(crop).enumerate() {
        for (column, value) in line.iter_mut().enumerate() {
            let mut window = 0.0;
            for r in near(row) {
                for c in near(column) {
                    window += before[r * crop + c];
                }
            }
            let sharp = (9.0 + light) * *value - window;
            *value = (*value + share * (sharp - *value)).clamp(0.0, 255.0);
        }
    }
}
