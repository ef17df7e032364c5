//! Bias correction: rounding weights and cutting off activations moves the means of what layers give;
//! their biases move them back.

use super::calibrator::{Calibrator, add_channels};
use super::engine::{IntegerEngine, Seen};
use super::error::QuantizeError;
use super::network::Quantized;
use crate::graph::NodeId;

/// Corrects the 8-bit layers one after the other, each on what the corrected ones before it give.
pub(super) fn correct(
    calibrator: &Calibrator<'_>,
    quantized: &mut Quantized,
) -> Result<(), QuantizeError> {
    let layers: Vec<NodeId> = quantized.layers().keys().copied().collect();
    for id in layers {
        let means = means(calibrator, quantized, id)?;
        let network = quantized.network();
        let name = format!("{}.bias", network.graph.node(id).name);
        let float = &calibrator.means[&id];
        let bias: Vec<f32> = network.weights[&name]
            .data()
            .iter()
            .zip(means.iter().zip(float))
            .map(|(&bias, (found, wanted))| (f64::from(bias) + wanted - found) as f32)
            .collect();
        quantized.set_bias(id, &bias);
    }
    Ok(())
}

/// Mean of each channel of layer `id` before its ReLU, as the quantized network computes it.
fn means(
    calibrator: &Calibrator<'_>,
    quantized: &Quantized,
    id: NodeId,
) -> Result<Vec<f64>, QuantizeError> {
    let steps = quantized.layers()[&id].steps();
    let mut sums = vec![0.0; steps.len()];
    let mut pixels = 0;
    let mut engine = IntegerEngine::new(quantized);
    for (images, count) in calibrator.images.batches() {
        engine.run(images, count, id, &mut |at, seen| {
            if let (true, Seen::Sums(counted)) = (at == id, seen) {
                let numbers = counted.iter().zip(steps.iter().cycle());
                let numbers: Vec<f32> = numbers.map(|(&c, step)| c as f32 * step).collect();
                add_channels(&mut sums, &numbers);
                pixels += counted.len() / steps.len();
            }
        })?;
    }
    sums.iter_mut().for_each(|sum| *sum /= pixels.max(1) as f64);
    Ok(sums)
}
