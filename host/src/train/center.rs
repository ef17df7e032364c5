//! Center loss: features of one class are drawn towards that class's center (Wen et al., ECCV 2016).
//!
//! The features are what the last inner product reads, before its dropout. The engines know nothing of
//! them: the graph that is trained hands them out behind the logits, one more concatenation at its end.

use serde::{Deserialize, Serialize};

use super::{BatchLoss, TrainError};
use crate::graph::{Array, Graph, Node, NodeId, Op};

/// How strongly features are drawn, and how centers follow them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CenterOptions {
    /// λ: factor of the mean over the batch of half the squared distance.
    pub weight: f32,
    /// α: share of the way to its images that a center goes at a step.
    pub rate: f32,
    /// Epochs before features and centers begin to move; 20 in the third reference.
    pub after: usize,
}

impl Default for CenterOptions {
    /// The paper's: λ 0.003, α 0.5.
    fn default() -> Self {
        Self {
            weight: 0.003,
            rate: 0.5,
            after: 0,
        }
    }
}

impl CenterOptions {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        TrainError::range("loss.center.weight", self.weight, 0.0, 100.0)?;
        TrainError::range("loss.center.rate", self.rate, 0.0, 1.0)
    }
}

/// The centers of all classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Centers {
    /// `[classes, width]`.
    values: Array,
}

impl Centers {
    /// All of them at nothing.
    pub fn new(classes: usize, width: usize) -> Self {
        let values = Array::new([classes, width], vec![0.0; classes * width]);
        Self { values }
    }

    /// Takes what a checkpoint holds, if it is of this size.
    pub(super) fn restore(&mut self, saved: Array) -> bool {
        let fits = saved.shape() == self.values.shape();
        if fits {
            self.values = saved;
        }
        fits
    }

    /// `[classes, width]`.
    pub fn values(&self) -> &Array {
        &self.values
    }

    fn width(&self) -> usize {
        self.values.shape()[1]
    }

    /// The mean over the batch of `½ Σ_c t_c·‖x − center_c‖²`, and its gradient with respect to the
    /// `features [batch, width]`, for `targets [batch, classes]` whose rows sum to 1.
    pub fn loss(&self, features: &[f32], targets: &[f32]) -> (f64, Vec<f32>) {
        let (width, classes) = (self.width(), self.values.shape()[0]);
        let batch = features.len() / width.max(1);
        let mut loss = 0.0;
        let mut gradient = vec![0.0; features.len()];
        let rows = features
            .chunks_exact(width)
            .zip(targets.chunks_exact(classes))
            .zip(gradient.chunks_exact_mut(width));
        for ((x, target), gradient) in rows {
            for (center, &share) in self.values.data().chunks_exact(width).zip(target) {
                // all but one of a hard label's
                if share == 0.0 {
                    continue;
                }
                let mut square = 0.0;
                for ((g, x), c) in gradient.iter_mut().zip(x).zip(center) {
                    let away = x - c;
                    square += away * away;
                    *g += share * away / batch as f32;
                }
                loss += 0.5 * f64::from(share * square) / batch as f64;
            }
        }
        (loss, gradient)
    }

    /// Moves each center the share `rate` of `Σ t·(x − center) / (1 + Σ t)` over the batch.
    pub fn follow(&mut self, features: &[f32], targets: &[f32], rate: f32) {
        let (width, classes) = (self.width(), self.values.shape()[0]);
        let mut pull = vec![0.0; width];
        let centers = self.values.data_mut().chunks_exact_mut(width);
        for (class, center) in centers.enumerate() {
            let mut images = 0.0;
            pull.fill(0.0);
            let rows = features
                .chunks_exact(width)
                .zip(targets.chunks_exact(classes));
            for (x, target) in rows.filter(|(_, target)| target[class] > 0.0) {
                images += target[class];
                for ((p, x), c) in pull.iter_mut().zip(x).zip(center.iter()) {
                    *p += target[class] * (x - c);
                }
            }
            for (c, p) in center.iter_mut().zip(&pull) {
                *c += rate * p / (1.0 + images);
            }
        }
    }
}

/// Center loss in a run: the centers, and the rows of logits and features that the engine gives.
pub(super) struct CenterHead {
    options: CenterOptions,
    pub(super) centers: Centers,
}

impl CenterHead {
    /// What `options` ask for, and the graph to train instead of `graph`.
    ///
    /// # Errors
    /// As [`with_features`].
    pub(super) fn new(options: CenterOptions, graph: &Graph) -> Result<(Self, Graph), TrainError> {
        let (wider, width) = with_features(graph)?;
        let centers = Centers::new(graph.classes(), width);
        Ok((Self { options, centers }, wider))
    }

    /// Logits and features out of the engine's rows.
    pub(super) fn split(&self, rows: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let [classes, width] = [self.centers.values.shape()[0], self.centers.width()];
        let (mut logits, mut features) = (Vec::new(), Vec::new());
        for row in rows.chunks_exact(classes + width) {
            logits.extend_from_slice(&row[..classes]);
            features.extend_from_slice(&row[classes..]);
        }
        (logits, features)
    }

    /// Adds the center loss to `loss`, whose gradient then has the engine's rows, and moves the centers.
    pub(super) fn add(
        &mut self,
        epoch: usize,
        features: &[f32],
        targets: &[f32],
        loss: &mut BatchLoss,
    ) {
        let [classes, width] = [self.centers.values.shape()[0], self.centers.width()];
        let weight = self.options.weight;
        let (more, mut gradient) = self.centers.loss(features, targets);
        if epoch >= self.options.after {
            loss.mean += f64::from(weight) * more;
            gradient.iter_mut().for_each(|g| *g *= weight);
            self.centers.follow(features, targets, self.options.rate);
        } else {
            gradient.fill(0.0);
        }
        let logits = loss.gradient.chunks_exact(classes);
        loss.gradient = logits
            .zip(gradient.chunks_exact(width))
            .flat_map(|(logits, features)| logits.iter().chain(features))
            .copied()
            .collect();
    }
}

/// The graph that gives each image's features behind its logits, and how many there are.
///
/// # Errors
/// When the last node is no inner product.
fn with_features(graph: &Graph) -> Result<(Graph, usize), TrainError> {
    let wrong = |problem: String| TrainError::Option {
        field: "loss.center",
        problem,
    };
    let features = graph.features().ok_or_else(|| {
        wrong(format!(
            "{} ends in `{}`, which is no inner product with features before it",
            graph.name(),
            graph.node(graph.output()).name
        ))
    })?;
    let mut nodes = graph.nodes().to_vec();
    nodes.push(Node {
        name: "logits and features".into(),
        op: Op::Concat,
        inputs: vec![NodeId(nodes.len() - 1), features],
    });
    let width = graph.shape(features).iter().product();
    let graph = Graph::new(graph.name(), nodes).map_err(|e| wrong(e.to_string()))?;
    Ok((graph, width))
}

#[cfg(test)]
#[path = "center_tests.rs"]
mod tests;
