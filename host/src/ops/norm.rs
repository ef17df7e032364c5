//! Batch normalisation in training mode, with the ReLU behind it fused in (Ioffe & Szegedy, 2015).
//!
//! Maps are rows of channels: `[pixels, channels]`, the pixels of all images one behind the other.

use rayon::prelude::*;

use super::element::Element;
use super::wide::wide;

/// Rows whose sums are kept in `f32` before they are added up in `f64`.
const ROWS: usize = 256;

/// Mean and (biased) variance of every channel over batch and pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchStats {
    /// `[channels]`.
    pub mean: Vec<f32>,
    /// `[channels]`, divided by the count, not by the count less one.
    pub variance: Vec<f32>,
}

/// Adds up two sums a channel over blocks of rows: `f32` inside a block, `f64` over the blocks, in
/// order, so that the bits do not depend on the number of threads.
fn two_sums<T: Send>(
    channels: usize,
    blocks: impl IndexedParallelIterator<Item = T>,
    add: impl Fn(T, &mut [f32], &mut [f32]) + Sync,
) -> [Vec<f64>; 2] {
    let parts: Vec<Vec<f32>> = blocks
        .map(|block| {
            let mut sums = vec![0.0f32; 2 * channels];
            let (first, second) = sums.split_at_mut(channels);
            add(block, first, second);
            sums
        })
        .collect();
    [0, channels].map(|offset| {
        let total = |c: usize| parts.iter().map(|p| f64::from(p[offset + c])).sum();
        (0..channels).map(total).collect()
    })
}

/// Statistics of `x [pixels, channels]`, taken about the first pixel so that a large mean does not
/// swallow a small variance (Chan et al., 1983).
pub fn statistics<E: Element>(channels: usize, x: &[E]) -> BatchStats {
    let count = (x.len() / channels.max(1)).max(1) as f64;
    let pivot: Vec<f32> = x.iter().take(channels).map(|v| v.to_f32()).collect();
    let blocks = x.par_chunks((ROWS * channels).max(1));
    let [sums, squares] = two_sums(channels, blocks, |block, sums, squares| {
        add_moments(block, &pivot, sums, squares);
    });
    let mean = |c: usize| (f64::from(pivot[c]) + sums[c] / count) as f32;
    // below zero by rounding; what is no number stays none
    let variance = |c: usize| {
        let found = (squares[c] - sums[c] * sums[c] / count) / count;
        if found < 0.0 { 0.0 } else { found as f32 }
    };
    BatchStats {
        mean: (0..pivot.len()).map(mean).collect(),
        variance: (0..pivot.len()).map(variance).collect(),
    }
}

/// The larger one. Unlike `f32::max` it keeps what is no number: a network that diverged must not look well.
pub(crate) fn at_least(value: f32, floor: f32) -> f32 {
    if value < floor { floor } else { value }
}

/// A normalisation as one multiplication and one addition a channel: `max(floor, x·scale + shift)`.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
    /// The smallest value that is passed: 0 with a ReLU, anything without.
    floor: f32,
}

impl Affine {
    fn new(stats: &BatchStats, [gamma, beta]: [&[f32]; 2], eps: f32, relu: bool) -> Self {
        let scale: Vec<f32> = gamma
            .iter()
            .zip(&stats.variance)
            .map(|(g, v)| g / (v + eps).sqrt())
            .collect();
        let shift = beta
            .iter()
            .zip(stats.mean.iter().zip(&scale))
            .map(|(b, (m, s))| b - m * s)
            .collect();
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        Self {
            scale,
            shift,
            floor,
        }
    }
}

/// `y = γ·(x − mean)/√(variance + ε) + β`, followed by `max(0, ·)` when `relu`; all `[pixels, channels]`.
///
/// # Panics
/// When the lengths differ.
pub fn forward<E: Element>(
    x: &[E],
    stats: &BatchStats,
    tensors: [&[f32]; 2],
    eps: f32,
    relu: bool,
    y: &mut [E],
) {
    assert_eq!(x.len(), y.len(), "output length");
    let affine = Affine::new(stats, tensors, eps, relu);
    let channels = affine.scale.len().max(1);
    y.par_chunks_mut(ROWS * channels)
        .zip(x.par_chunks(ROWS * channels))
        .for_each(|(y, x)| normalise(x, &affine, y));
}

/// What the backward pass of one normalisation reads.
pub struct NormSaved<'a, E> {
    /// The input, `[pixels, channels]`.
    pub x: &'a [E],
    /// The statistics that the forward pass used.
    pub stats: &'a BatchStats,
    /// γ and β.
    pub tensors: [&'a [f32]; 2],
    /// Added to the variance.
    pub eps: f32,
    /// Whether a ReLU is fused in.
    pub relu: bool,
}

/// Gradients through the batch statistics: `dy` becomes the gradient of the input, in place;
/// `dgamma` and `dbeta`, both `[channels]`, are overwritten.
///
/// # Panics
/// When the lengths differ.
pub fn backward<E: Element>(
    saved: &NormSaved<'_, E>,
    dy: &mut [E],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let NormSaved { x, stats, .. } = *saved;
    assert_eq!(x.len(), dy.len(), "gradient length");
    let affine = Affine::new(stats, saved.tensors, saved.eps, saved.relu);
    let channels = affine.scale.len().max(1);
    let count = (x.len() / channels).max(1) as f64;
    // what the ReLU passed is computed again: cheaper than reading the output back
    let blocks = dy
        .par_chunks(ROWS * channels)
        .zip(x.par_chunks(ROWS * channels));
    let [sums, dots] = two_sums(channels, blocks, |(dy, x), sums, dots| {
        add_gradients(dy, x, &affine, &stats.mean, sums, dots);
    });
    // dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy·x̂)), written as scale·dy + b·x + rest
    let (mut b, mut rest) = (vec![0.0f32; channels], vec![0.0f32; channels]);
    for (c, &scale) in affine.scale.iter().enumerate() {
        let inv = 1.0 / f64::from(stats.variance[c] + saved.eps).sqrt();
        let a = f64::from(scale);
        dbeta[c] = sums[c] as f32;
        dgamma[c] = (dots[c] * inv) as f32;
        let slope = -a * inv * inv * dots[c] / count;
        b[c] = slope as f32;
        rest[c] = (-a * sums[c] / count - slope * f64::from(stats.mean[c])) as f32;
    }
    dy.par_chunks_mut(ROWS * channels)
        .zip(x.par_chunks(ROWS * channels))
        .for_each(|(dy, x)| turn_gradients(dy, x, &affine, &b, &rest));
}

/// As [`backward`] where the statistics are constants, as in evaluation mode: only `dy` changes.
///
/// # Panics
/// When the lengths differ.
pub fn backward_running<E: Element>(saved: &NormSaved<'_, E>, dy: &mut [E]) {
    assert_eq!(saved.x.len(), dy.len(), "gradient length");
    let affine = Affine::new(saved.stats, saved.tensors, saved.eps, saved.relu);
    let none = vec![0.0; affine.scale.len()];
    let channels = none.len().max(1);
    dy.par_chunks_mut(ROWS * channels)
        .zip(saved.x.par_chunks(ROWS * channels))
        .for_each(|(dy, x)| turn_gradients(dy, x, &affine, &none, &none));
}

/// What the ReLU behind a normalisation passes of the gradient `d`.
#[inline(always)]
fn passed(x: f32, d: f32, [scale, shift, floor]: [f32; 3]) -> f32 {
    if x * scale + shift > floor { d } else { 0.0 }
}

wide! {
    /// Adds each row's distances from the pivot, and their squares.
    fn add_moments<'a, E: Element>(
        rows: &'a [E],
        pivot: &'a [f32],
        sums: &'a mut [f32],
        squares: &'a mut [f32],
    ) {
        for row in rows.chunks_exact(pivot.len()) {
            let sums = sums.iter_mut().zip(squares.iter_mut());
            for ((v, pivot), (sum, square)) in row.iter().zip(pivot).zip(sums) {
                let d = v.to_f32() - pivot;
                *sum += d;
                *square += d * d;
            }
        }
    }

    fn normalise<'a, E: Element>(
        x: &'a [E],
        affine: &'a Affine,
        y: &'a mut [E],
    ) {
        let Affine {
            scale,
            shift,
            floor,
        } = affine;
        let channels = scale.len();
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for ((y, x), (scale, shift)) in y.iter_mut().zip(x).zip(scale.iter().zip(shift)) {
                *y = E::from_f32(at_least(x.to_f32() * scale + shift, *floor));
            }
        }
    }

    /// Adds each row's gradients that the ReLU passed, and their products with the centred input.
    fn add_gradients<'a, E: Element>(
        dy: &'a [E],
        x: &'a [E],
        affine: &'a Affine,
        mean: &'a [f32],
        sums: &'a mut [f32],
        dots: &'a mut [f32],
    ) {
        let Affine {
            scale,
            shift,
            floor,
        } = affine;
        let channels = scale.len();
        for (dy, x) in dy.chunks_exact(channels).zip(x.chunks_exact(channels)) {
            let affine = scale.iter().zip(shift).zip(mean);
            let sums = sums.iter_mut().zip(dots.iter_mut());
            for (((dy, x), ((scale, shift), mean)), (sum, dot)) in
                dy.iter().zip(x).zip(affine).zip(sums)
            {
                let x = x.to_f32();
                let passed = passed(x, dy.to_f32(), [*scale, *shift, *floor]);
                *sum += passed;
                *dot += passed * (x - mean);
            }
        }
    }

    /// Turns output gradients into input gradients.
    fn turn_gradients<'a, E: Element>(
        dy: &'a mut [E],
        x: &'a [E],
        affine: &'a Affine,
        slope: &'a [f32],
        rest: &'a [f32],
    ) {
        let Affine {
            scale,
            shift,
            floor,
        } = affine;
        let channels = scale.len();
        for (dy, x) in dy.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            let affine = scale.iter().zip(shift).zip(slope.iter().zip(rest));
            for ((dy, x), ((scale, shift), (slope, rest))) in dy.iter_mut().zip(x).zip(affine) {
                let x = x.to_f32();
                let passed = passed(x, dy.to_f32(), [*scale, *shift, *floor]);
                *dy = E::from_f32(scale * passed + slope * x + rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::Bf16;
    use super::*;

    #[test]
    fn statistics_of_a_known_batch() {
        let x = [1.0f32, 10.0, 3.0, 10.0, 5.0, 10.0, 7.0, 14.0];
        let stats = statistics(2, &x);
        assert_eq!(stats.mean, [4.0, 11.0]);
        assert_eq!(stats.variance, [5.0, 3.0]);
        assert_eq!(statistics(2, &x.map(Bf16::from_f32)), stats);
    }

    #[test]
    fn a_large_offset_does_not_destroy_the_variance() {
        let x: Vec<f32> = (0..6400).map(|i| 1000.0 + (i % 2) as f32).collect();
        let stats = statistics(1, &x);
        assert!((stats.variance[0] - 0.25).abs() < 1e-4, "{stats:?}");
    }
}
