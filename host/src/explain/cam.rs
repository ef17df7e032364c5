//! Class activation maps from a layer's output and the gradient of one logit with respect to it.

use super::heat::Heat;

/// The output of one layer for one image and the gradient of the explained logit, both
/// `[channels, rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// What the layer gave.
    pub output: &'a [f32],
    /// How the logit changes with it.
    pub gradient: &'a [f32],
}

impl Layer<'_> {
    fn plane(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// Grad-CAM (Selvaraju et al., 2017): `ReLU(Σ_c w_c · output_c)`, each channel weighted with the
    /// mean of its gradient.
    pub fn grad_cam(&self) -> Heat {
        let plane = self.plane() as f32;
        let planes = self.gradient.chunks_exact(self.plane());
        let weights: Vec<f32> = planes.map(|g| g.iter().sum::<f32>() / plane).collect();
        self.weighted(&weights)
    }

    /// Grad-CAM++ (Chattopadhay et al., 2018): as [`grad_cam`](Self::grad_cam), each channel weighted
    /// with `Σ α · ReLU(g)`, `α = g² / (2g² + Σ output · g³)`, for the score `exp(logit)`, whose
    /// factor all weights share and is left out.
    pub fn grad_cam_plus_plus(&self) -> Heat {
        let planes = self
            .output
            .chunks_exact(self.plane())
            .zip(self.gradient.chunks_exact(self.plane()));
        let weights: Vec<f32> = planes
            .map(|(output, gradient)| {
                let sum: f32 = output.iter().sum();
                let weigh = |&g: &f32| {
                    let below = 2.0 * g * g + sum * g * g * g;
                    // where the gradient vanishes so does the weight
                    if below.abs() > f32::MIN_POSITIVE {
                        g * g / below * g.max(0.0)
                    } else {
                        0.0
                    }
                };
                gradient.iter().map(weigh).sum()
            })
            .collect();
        self.weighted(&weights)
    }

    fn weighted(&self, weights: &[f32]) -> Heat {
        let mut heat = vec![0.0; self.plane()];
        for (&weight, output) in weights.iter().zip(self.output.chunks_exact(self.plane())) {
            for (heat, output) in heat.iter_mut().zip(output) {
                *heat += weight * output;
            }
        }
        for heat in &mut heat {
            *heat = heat.max(0.0);
        }
        Heat::new(self.shape[1], self.shape[2], heat)
    }

    /// Mean of the output over the channels. Says nothing of a layer whose channels sum to the same at
    /// every place, as the masks of the Residual Masking Network do; see
    /// [`channel_max`](Self::channel_max).
    pub fn channel_mean(&self) -> Heat {
        let channels = self.shape[0] as f32;
        self.over_channels(0.0, |sum, v| sum + v / channels)
    }

    /// Largest output of any channel.
    pub fn channel_max(&self) -> Heat {
        self.over_channels(f32::NEG_INFINITY, f32::max)
    }

    fn over_channels(&self, start: f32, join: impl Fn(f32, f32) -> f32) -> Heat {
        let mut heat = vec![start; self.plane()];
        for output in self.output.chunks_exact(self.plane()) {
            for (heat, &output) in heat.iter_mut().zip(output) {
                *heat = join(*heat, output);
            }
        }
        Heat::new(self.shape[1], self.shape[2], heat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels of 1×2.
    fn layer<'a>(output: &'a [f32; 4], gradient: &'a [f32; 4]) -> Layer<'a> {
        Layer {
            shape: [2, 1, 2],
            output,
            gradient,
        }
    }

    #[test]
    fn grad_cam_weighs_channels_with_mean_gradients() {
        let layer = layer(&[1.0, 2.0, 3.0, 1.0], &[1.0, 3.0, -2.0, 0.0]);
        // weights 2 and −1: [2·1 − 3, 2·2 − 1], the negative cut off
        assert_eq!(layer.grad_cam().values(), [0.0, 3.0]);
    }

    #[test]
    fn grad_cam_plus_plus_follows_its_formula() {
        let layer = layer(&[1.0, 2.0, 3.0, 1.0], &[1.0, 0.0, -2.0, 1.0]);
        // channel 0: Σ output 3, α = 1/(2 + 3); channel 1: Σ 4, at −2 ReLU is 0, at 1: 1/(2 + 4)
        let (first, second) = (1.0 / 5.0, 1.0 / 6.0);
        let expected = [first + 3.0 * second, 2.0 * first + second];
        for (found, expected) in layer.grad_cam_plus_plus().values().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn activations_are_joined_over_channels() {
        let layer = layer(&[1.0, 2.0, 3.0, 0.0], &[0.0; 4]);
        assert_eq!(layer.channel_mean().values(), [2.0, 1.0]);
        assert_eq!(layer.channel_max().values(), [3.0, 2.0]);
        assert_eq!(layer.grad_cam_plus_plus().values(), [0.0, 0.0]);
    }
}
