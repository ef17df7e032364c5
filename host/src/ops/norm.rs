//! Batch normalisation in training mode, with the ReLU behind it fused in (Ioffe & Szegedy, 2015).

use rayon::prelude::*;

use super::lanes;

/// The sizes of a normalised `NCHW` tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormGeometry {
    /// Images in the batch.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of one channel plane.
    pub plane: usize,
}

impl NormGeometry {
    fn len(&self) -> usize {
        self.batch * self.channels * self.plane
    }

    /// The planes of channel `c`, one an image.
    fn planes<'a>(&self, data: &'a [f32], c: usize) -> impl Iterator<Item = &'a [f32]> {
        let plane = self.plane;
        data.chunks_exact(self.channels * plane)
            .map(move |image| &image[c * plane..(c + 1) * plane])
    }
}

/// Mean and (biased) variance of every channel over batch and pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchStats {
    /// `[channels]`.
    pub mean: Vec<f32>,
    /// `[channels]`, divided by the count, not by the count less one.
    pub variance: Vec<f32>,
}

/// Statistics of `x [batch, channels, plane]` by Chan's update, one plane at a time.
pub fn statistics(geo: &NormGeometry, x: &[f32]) -> BatchStats {
    let (mean, variance) = (0..geo.channels)
        .into_par_iter()
        .map(|c| {
            let (mut mean, mut m2, mut count) = (0.0f64, 0.0f64, 0.0f64);
            for plane in geo.planes(x, c) {
                let n = plane.len() as f64;
                let plane_mean = lanes::sum(plane, |v| v) / plane.len() as f32;
                let plane_m2 = f64::from(lanes::sum(plane, |v| (v - plane_mean).powi(2)));
                let delta = f64::from(plane_mean) - mean;
                m2 += plane_m2 + delta * delta * count * n / (count + n);
                count += n;
                mean += delta * n / count;
            }
            (mean as f32, (m2 / count.max(1.0)) as f32)
        })
        .unzip();
    BatchStats { mean, variance }
}

/// `y = γ·(x − mean)/√(variance + ε) + β`, followed by `max(0, ·)` when `relu`.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn forward(
    geo: &NormGeometry,
    x: &[f32],
    stats: &BatchStats,
    [gamma, beta]: [&[f32]; 2],
    eps: f32,
    relu: bool,
    y: &mut [f32],
) {
    assert_eq!(x.len(), geo.len(), "input length");
    assert_eq!(y.len(), geo.len(), "output length");
    let affine: Vec<(f32, f32)> = (0..geo.channels)
        .map(|c| {
            let scale = gamma[c] / (stats.variance[c] + eps).sqrt();
            (scale, beta[c] - stats.mean[c] * scale)
        })
        .collect();
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    let image = geo.channels * geo.plane;
    y.par_chunks_mut(image)
        .zip(x.par_chunks(image))
        .for_each(|(y, x)| {
            let planes = y.chunks_exact_mut(geo.plane).zip(x.chunks_exact(geo.plane));
            for ((y, x), &(scale, shift)) in planes.zip(&affine) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (x * scale + shift).max(floor);
                }
            }
        });
}

/// What the backward pass of one normalisation reads.
pub struct NormSaved<'a> {
    /// The input, `[batch, channels, plane]`.
    pub x: &'a [f32],
    /// The output, after the ReLU where one is fused in.
    pub y: &'a [f32],
    /// The statistics that the forward pass used.
    pub stats: &'a BatchStats,
    /// γ.
    pub gamma: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
    /// Whether a ReLU is fused in.
    pub relu: bool,
}

/// Gradients through the batch statistics: `dy` becomes the gradient of the input, in place;
/// `dgamma` and `dbeta`, both `[channels]`, are overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn backward(
    geo: &NormGeometry,
    saved: &NormSaved<'_>,
    dy: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let NormSaved { x, y, stats, .. } = *saved;
    assert!(
        [x.len(), y.len(), dy.len()] == [geo.len(); 3],
        "tensor lengths"
    );
    // without a ReLU every output passes its gradient: compare with -inf
    let floor = if saved.relu { 0.0 } else { f32::NEG_INFINITY };
    let count = (geo.batch * geo.plane) as f32;
    let read: &[f32] = dy;
    dgamma
        .par_iter_mut()
        .zip(dbeta.par_iter_mut())
        .enumerate()
        .for_each(|(c, (dgamma, dbeta))| {
            let mean = stats.mean[c];
            let (mut sum, mut dot) = (0.0f64, 0.0f64);
            let inputs = geo.planes(x, c);
            let outputs = geo.planes(y, c).zip(geo.planes(read, c));
            super::scratch::with(geo.plane, |passed| {
                for (x, (y, dy)) in inputs.zip(outputs) {
                    for ((p, &y), &dy) in passed.iter_mut().zip(y).zip(dy) {
                        *p = if y > floor { dy } else { 0.0 };
                    }
                    sum += f64::from(lanes::sum(passed, |p| p));
                    dot += f64::from(lanes::sum2(passed, x, |p, x| p * (x - mean)));
                }
            });
            *dbeta = sum as f32;
            *dgamma = dot as f32 / (stats.variance[c] + saved.eps).sqrt();
        });
    // dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy·x̂)), written as a·dy + b·x + c
    let coefficients: Vec<(f32, f32, f32)> = (0..geo.channels)
        .map(|c| {
            let inv = 1.0 / (stats.variance[c] + saved.eps).sqrt();
            let a = saved.gamma[c] * inv;
            let b = -a * inv * dgamma[c] / count;
            (a, b, -a * dbeta[c] / count - b * stats.mean[c])
        })
        .collect();
    let image = geo.channels * geo.plane;
    dy.par_chunks_mut(image)
        .zip(x.par_chunks(image))
        .zip(y.par_chunks(image))
        .for_each(|((dy, x), y)| {
            let planes = dy.chunks_exact_mut(geo.plane);
            let saved = x.chunks_exact(geo.plane).zip(y.chunks_exact(geo.plane));
            for ((dy, (x, y)), &(a, b, shift)) in planes.zip(saved).zip(&coefficients) {
                for ((dy, &x), &y) in dy.iter_mut().zip(x).zip(y) {
                    let passed = if y > floor { *dy } else { 0.0 };
                    *dy = a * passed + b * x + shift;
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_a_known_batch() {
        let geo = NormGeometry {
            batch: 2,
            channels: 2,
            plane: 2,
        };
        let x = [1.0, 3.0, 10.0, 10.0, 5.0, 7.0, 10.0, 14.0];
        let stats = statistics(&geo, &x);
        assert_eq!(stats.mean, [4.0, 11.0]);
        assert_eq!(stats.variance, [5.0, 3.0]);
    }

    #[test]
    fn a_large_offset_does_not_destroy_the_variance() {
        let geo = NormGeometry {
            batch: 64,
            channels: 1,
            plane: 100,
        };
        let x: Vec<f32> = (0..6400).map(|i| 1000.0 + (i % 2) as f32).collect();
        let stats = statistics(&geo, &x);
        assert!((stats.variance[0] - 0.25).abs() < 1e-4, "{stats:?}");
    }
}
