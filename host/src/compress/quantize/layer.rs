//! A convolution or linear layer with 8-bit weights.

use super::affine::{Affine, WEIGHT_LIMIT};
use crate::graph::Array;

/// Half of what a 32-bit sum holds: the other half is the bias's.
const SUM_LIMIT: i64 = 1 << 30;

/// Weights and bias as integers: output channel `o` of a layer that reads codes of `input` sums
/// `Σ (code − zero_point) · weight[o] + bias[o]`, which counts steps of `input.scale · scales[o]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// As the float weights lie, output channel first; −127 to 127.
    pub weight: Vec<i8>,
    /// Distance of neighbouring weights of each output channel.
    pub scales: Vec<f32>,
    /// One number an output channel.
    pub bias: Vec<i32>,
    /// The codes that the layer reads.
    pub input: Affine,
}

impl Layer {
    /// Rounds a layer: the largest weight of each output channel becomes 127 or −127. `None` where
    /// sums might leave 32 bits, or a number is not finite.
    pub(super) fn new(weight: &Array, bias: &[f32], input: Affine) -> Option<Self> {
        let outputs = bias.len();
        let depth = weight.data().len() / outputs.max(1);
        if depth as i64 * i64::from(WEIGHT_LIMIT) * 255 >= SUM_LIMIT {
            return None;
        }
        let mut layer = Self {
            weight: Vec::with_capacity(weight.data().len()),
            scales: Vec::with_capacity(outputs),
            bias: Vec::with_capacity(outputs),
            input,
        };
        for (filter, &bias) in weight.data().chunks_exact(depth.max(1)).zip(bias) {
            let largest = filter.iter().fold(0f32, |l, w| l.max(w.abs()));
            let finite = filter.iter().all(|w| w.is_finite()) && bias.is_finite();
            // a bias far above all weights needs coarser steps to be counted in 32 bits
            let for_bias = bias.abs() / (input.scale * SUM_LIMIT as f32);
            let scale = (largest / WEIGHT_LIMIT as f32).max(for_bias).max(1e-30);
            if !finite || !scale.is_finite() {
                return None;
            }
            layer.weight.extend(filter.iter().map(|w| {
                let code = (w / scale).round_ties_even();
                code.clamp(-(WEIGHT_LIMIT as f32), WEIGHT_LIMIT as f32) as i8
            }));
            layer.scales.push(scale);
            layer.bias.push(0);
        }
        layer.set_bias(bias);
        Some(layer)
    }

    /// Rounds a bias of one number an output channel.
    pub(super) fn set_bias(&mut self, bias: &[f32]) {
        let steps = self.steps();
        for ((code, &bias), step) in self.bias.iter_mut().zip(bias).zip(steps) {
            let exact = (f64::from(bias) / f64::from(step)).round_ties_even();
            let limit = SUM_LIMIT as f64;
            *code = exact.clamp(-limit, limit) as i32;
        }
    }

    /// What one counts for in the sums of each output channel.
    pub fn steps(&self) -> Vec<f32> {
        let step = |scale: &f32| self.input.scale * scale;
        self.scales.iter().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Affine = Affine {
        scale: 0.5,
        zero_point: 10,
    };

    #[test]
    fn each_channel_has_its_own_scale_and_a_bias_in_its_steps() {
        let weight = Array::new([2, 2], vec![1.27, -0.64, 0.0, 254.0]);
        let layer = Layer::new(&weight, &[0.1, -3.0], INPUT).unwrap();
        assert_eq!(layer.weight, [127, -64, 0, 127]);
        assert!((layer.scales[0] - 0.01).abs() < 1e-7 && (layer.scales[1] - 2.0).abs() < 1e-6);
        assert_eq!(layer.bias, [20, -3]);
    }

    #[test]
    fn a_bias_far_above_its_weights_makes_the_steps_coarser_and_is_kept() {
        for weights in [[1e-12, -1e-12], [0.0, 0.0]] {
            let weight = Array::new([1, 2], weights.to_vec());
            let layer = Layer::new(&weight, &[1000.0], INPUT).unwrap();
            let bias = layer.bias[0] as f32 * layer.steps()[0];
            assert!((bias - 1000.0).abs() < 1e-3, "{bias}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let deep = Array::new([1, 40_000], vec![1.0; 40_000]);
        assert_eq!(Layer::new(&deep, &[0.0], INPUT), None);
        for [weight, bias] in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [0.0, f32::NAN]] {
            let weight = Array::new([1, 1], vec![weight]);
            assert_eq!(Layer::new(&weight, &[bias], INPUT), None);
        }
    }
}
