//! What a run keeps beside its network, out of the optimiser and the loss and back.

use super::Optimizer;
use super::center::CenterHead;
use crate::checkpoint::Moments;
use crate::graph::exec::Params;
use crate::graph::{Array, Weights};

/// The optimiser's buffers by their tensors' names, without those that are empty.
fn named(params: &Params, buffers: &[Vec<f32>]) -> Weights {
    let kept = params.iter().zip(buffers).filter(|(_, b)| !b.is_empty());
    kept.map(|(p, b)| (p.name.clone(), Array::new(p.shape.clone(), b.clone())))
        .collect()
}

impl Moments {
    /// The state of a run besides the weights that it evaluates.
    pub(super) fn of(params: &Params, optimizer: &Optimizer, center: Option<&CenterHead>) -> Self {
        let averaged = !optimizer.average.is_empty();
        Self {
            weights: averaged.then(|| params.weights()),
            velocity: named(params, &optimizer.first),
            second: named(params, &optimizer.second),
            centers: center.map(|c| c.centers.values().clone()),
        }
    }

    /// Puts the state of a run where it was.
    ///
    /// # Errors
    /// What does not fit the network, the optimiser or the loss.
    pub(super) fn restore(
        self,
        params: &mut Params,
        optimizer: &mut Optimizer,
        center: Option<&mut CenterHead>,
    ) -> Result<(), String> {
        let buffers = optimizer.first.iter_mut().zip(&mut optimizer.second);
        for (param, (first, second)) in params.iter_mut().zip(buffers) {
            let saved = [
                ("velocity", &self.velocity, first),
                ("second", &self.second, second),
            ];
            for (group, saved, buffer) in saved {
                if !buffer.is_empty() {
                    let saved = saved.get(&param.name).map_or(&[][..], Array::data);
                    if saved.len() != buffer.len() {
                        return Err(format!(
                            "{group}/{}: {} numbers, expected {}",
                            param.name,
                            saved.len(),
                            buffer.len()
                        ));
                    }
                    buffer.copy_from_slice(saved);
                }
            }
            // checked against the graph when the file was read
            if let Some(raw) = self.weights.as_ref().and_then(|w| w.get(&param.name)) {
                param.value.copy_from_slice(raw.data());
            }
        }
        let Some(head) = center else {
            return Ok(());
        };
        let saved = self.centers.ok_or("no centers of the loss")?;
        if head.centers.restore(saved) {
            Ok(())
        } else {
            Err("the loss's centers are of another size".into())
        }
    }
}
