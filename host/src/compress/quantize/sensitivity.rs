//! Mixed precision: what each layer costs when it alone is quantized, and which ones stay float.

use std::collections::BTreeSet;

use fer_models::argmax;
use serde::Serialize;

use super::calibrator::Calibrator;
use super::engine::IntegerEngine;
use super::error::QuantizeError;
use super::network::{Quantized, layers_of};
use super::range::Method;
use crate::graph::NodeId;
use crate::graph::count::multiply_adds;

/// How far a quantized network is from the float one on the calibration images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distance {
    /// Mean squared difference of the logits.
    pub squared: f64,
    /// Share of the images that get another class, 0 to 1.
    pub changed: f64,
}

/// What quantizing one layer alone costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// The layer.
    #[serde(skip)]
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its multiply-adds for one image.
    pub multiply_adds: u64,
    /// How far the logits move.
    #[serde(flatten)]
    pub distance: Distance,
}

impl Calibrator<'_> {
    /// Runs the calibration images through a quantized network and compares with the float one.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn distance(&self, quantized: &Quantized) -> Result<Distance, QuantizeError> {
        let mut engine = IntegerEngine::new(quantized);
        let mut logits = Vec::with_capacity(self.logits.len());
        for (pixels, count) in self.images.batches() {
            logits.extend(engine.infer(pixels, count)?);
        }
        let classes = self.network.graph.classes();
        let apart = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let squared: f64 = logits.iter().zip(&self.logits).map(apart).sum();
        let rows = logits.chunks(classes).zip(self.logits.chunks(classes));
        let changed = rows.filter(|(a, b)| argmax(a) != argmax(b)).count();
        Ok(Distance {
            squared: squared / logits.len() as f64,
            changed: changed as f64 / self.images.count() as f64,
        })
    }

    /// Quantizes each layer alone, the worst first.
    ///
    /// # Errors
    /// As [`Calibrator::quantize`].
    pub fn sensitivity(&self, method: Method) -> Result<Vec<LayerCost>, QuantizeError> {
        let graph = &self.network.graph;
        let all: BTreeSet<NodeId> = layers_of(graph).collect();
        let mut costs = Vec::with_capacity(all.len());
        for &id in &all {
            let mut others = all.clone();
            others.remove(&id);
            costs.push(LayerCost {
                id,
                name: graph.node(id).name.clone(),
                multiply_adds: multiply_adds(graph, id),
                distance: self.distance(&self.quantize(method, &others)?)?,
            });
        }
        costs.sort_by(|a, b| b.distance.squared.total_cmp(&a.distance.squared));
        Ok(costs)
    }
}

/// The layers that stay float: from the worst down, each that still fits into `budget` multiply-adds.
pub fn keep_worst(costs: &[LayerCost], budget: u64) -> BTreeSet<NodeId> {
    let mut left = budget;
    let mut keep = BTreeSet::new();
    for cost in costs {
        if cost.multiply_adds <= left {
            left -= cost.multiply_adds;
            keep.insert(cost.id);
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_layers_that_fit_are_kept() {
        let cost = |id, multiply_adds| LayerCost {
            id: NodeId(id),
            name: String::new(),
            multiply_adds,
            distance: Distance {
                squared: 0.0,
                changed: 0.0,
            },
        };
        let costs = [cost(4, 50), cost(2, 30), cost(9, 60), cost(7, 20)];
        let kept = |budget| keep_worst(&costs, budget).into_iter().map(|id| id.0);
        assert_eq!(kept(100).collect::<Vec<_>>(), [2, 4, 7]);
        assert_eq!(kept(40).collect::<Vec<_>>(), [2]);
        assert_eq!(kept(0).count(), 0);
    }
}
