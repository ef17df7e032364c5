//! How good a classifier is on a labelled set: loss, accuracy, per-class scores, calibration.

use fer_models::{Labels, argmax};
use serde::Serialize;
use thiserror::Error;

/// Number of equal-width confidence bins of [`Evaluation::ece`].
pub const ECE_BINS: usize = 15;

/// Why logits and targets could not be evaluated.
#[derive(Debug, Error, PartialEq)]
pub enum EvaluationError {
    /// No image at all: every measure would be undefined.
    #[error("nothing to evaluate: no image")]
    Empty,
    /// The logits are not one row per target, one column per class.
    #[error("logits: expected {targets} rows of {classes}, found {logits} values")]
    Shape {
        /// Number of logits found.
        logits: usize,
        /// Number of targets, so rows expected.
        targets: usize,
        /// Number of classes, so columns expected.
        classes: usize,
    },
    /// A logit is NaN or infinite.
    #[error("row {row}: logit of class `{class}` is {value}, expected a finite number")]
    NotFinite {
        /// Row, counted from 0.
        row: usize,
        /// Class name.
        class: String,
        /// The value found.
        value: f32,
    },
    /// A target names no class.
    #[error("row {row}: target {target} is out of range, expected less than {classes}")]
    Target {
        /// Row, counted from 0.
        row: usize,
        /// The target found.
        target: u8,
        /// Number of classes.
        classes: usize,
    },
}

/// Scores of one class, each in `0..=1`. A ratio whose denominator is zero is 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScore {
    /// Class name.
    pub label: String,
    /// Of the images given this class, the share that has it; 0 if none was given it.
    pub precision: f64,
    /// Of the images of this class, the share given it; 0 if there is none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 if both are 0.
    pub f1: f64,
    /// Number of images of this class.
    pub support: u64,
    /// Number of images given this class.
    pub predicted: u64,
}

/// The images whose confidence lies in one of [`ECE_BINS`] equal-width bins `(low, high]`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConfidenceBin {
    /// Number of images.
    pub count: u64,
    /// How many of them were given their class.
    pub right: u64,
    /// Sum of their confidences.
    confidence: f64,
}

impl ConfidenceBin {
    /// Share given their class, in `0..=1`; `None` of no image.
    pub fn accuracy(&self) -> Option<f64> {
        (self.count > 0).then(|| ratio(self.right, self.count))
    }

    /// Mean confidence, in `0..=1`; `None` of no image.
    pub fn confidence(&self) -> Option<f64> {
        (self.count > 0).then(|| self.confidence / self.count as f64)
    }
}

/// Result of a classifier on a labelled set.
///
/// The prediction is the class with the largest logit, the first of them in a tie.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    labels: Labels,
    loss: f64,
    calibration: Calibration,
    confusion: Vec<Vec<u64>>,
    classes: Vec<ClassScore>,
}

impl Evaluation {
    /// Evaluates `logits` (`[targets.len(), labels.len()]`, row-major, before softmax) against the
    /// class indices `targets`.
    ///
    /// # Errors
    /// No image, a wrong number of logits, a logit that is not finite, or a target out of range.
    pub fn from_logits(
        labels: &Labels,
        logits: &[f32],
        targets: &[u8],
    ) -> Result<Self, EvaluationError> {
        let classes = labels.len();
        if targets.is_empty() {
            return Err(EvaluationError::Empty);
        }
        if Some(logits.len()) != targets.len().checked_mul(classes) {
            return Err(EvaluationError::Shape {
                logits: logits.len(),
                targets: targets.len(),
                classes,
            });
        }
        let mut confusion = vec![vec![0u64; classes]; classes];
        let mut calibration = Calibration::default();
        let mut loss = 0.0;
        for (row, (values, &target)) in logits.chunks_exact(classes).zip(targets).enumerate() {
            let truth = usize::from(target);
            if truth >= classes {
                return Err(EvaluationError::Target {
                    row,
                    target,
                    classes,
                });
            }
            if let Some(class) = values.iter().position(|v| !v.is_finite()) {
                return Err(EvaluationError::NotFinite {
                    row,
                    class: labels.names()[class].clone(),
                    value: values[class],
                });
            }
            let guess = argmax(values);
            let log_sum = log_sum_exp(values, values[guess]);
            loss += log_sum - f64::from(values[truth]);
            calibration.add((f64::from(values[guess]) - log_sum).exp(), guess == truth);
            confusion[truth][guess] += 1;
        }
        Ok(Self {
            loss: loss / targets.len() as f64,
            calibration,
            classes: class_scores(labels, &confusion),
            labels: labels.clone(),
            confusion,
        })
    }

    /// The classes, in the order of the rows and columns.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Number of images evaluated; at least 1.
    pub fn count(&self) -> u64 {
        self.classes.iter().map(|c| c.support).sum()
    }

    /// Share of images given their class, in `0..=1`.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.labels.len()).map(|i| self.confusion[i][i]).sum();
        ratio(right, self.count())
    }

    /// Mean softmax cross entropy in nats, without label smoothing or class weights.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Expected calibration error in `0..=1`: the gap between confidence and accuracy in
    /// [`ECE_BINS`] equal-width bins `(low, high]` of confidence, weighted by their images
    /// (Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3).
    pub fn ece(&self) -> f64 {
        self.calibration.error()
    }

    /// The bins that [`ece`](Self::ece) is made of, by rising confidence.
    pub fn bins(&self) -> &[ConfidenceBin; ECE_BINS] {
        &self.calibration.bins
    }

    /// Unweighted mean of F1 over all classes of the label set; a class without images and without
    /// predictions counts as 0.
    pub fn macro_f1(&self) -> f64 {
        self.classes.iter().map(|c| c.f1).sum::<f64>() / self.classes.len() as f64
    }

    /// Scores by class, in label order.
    pub fn classes(&self) -> &[ClassScore] {
        &self.classes
    }

    /// Counts of images by `[true class][predicted class]`.
    pub fn confusion(&self) -> &[Vec<u64>] {
        &self.confusion
    }

    /// The evaluation as JSON: `count`, `accuracy`, `loss`, `macro_f1`, `ece`, `labels` (names in
    /// order), `classes` (one [`ClassScore`] each), `confusion` (rows true, columns predicted, in
    /// the order of `labels`).
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "count": self.count(),
            "accuracy": self.accuracy(),
            "loss": self.loss,
            "macro_f1": self.macro_f1(),
            "ece": self.ece(),
            "labels": self.labels.names(),
            "classes": self.classes,
            "confusion": self.confusion,
        })
    }
}

/// `ln(Σ exp(v))`, computed around the largest value so that it can't overflow.
fn log_sum_exp(values: &[f32], largest: f32) -> f64 {
    let largest = f64::from(largest);
    let sum: f64 = values.iter().map(|&v| (f64::from(v) - largest).exp()).sum();
    largest + sum.ln()
}

/// `part / whole`, 0 where `whole` is 0.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn class_scores(labels: &Labels, confusion: &[Vec<u64>]) -> Vec<ClassScore> {
    let score = |(i, name): (usize, &String)| {
        let support = confusion[i].iter().sum();
        let predicted = confusion.iter().map(|row| row[i]).sum();
        let right = confusion[i][i];
        ClassScore {
            label: name.clone(),
            precision: ratio(right, predicted),
            recall: ratio(right, support),
            // 2PR/(P+R) with both ratios written out: one division, so one zero case.
            f1: ratio(2 * right, support + predicted),
            support,
            predicted,
        }
    };
    labels.names().iter().enumerate().map(score).collect()
}

/// Images, right answers and summed confidence by confidence bin.
#[derive(Debug, Clone, Default, PartialEq)]
struct Calibration {
    bins: [ConfidenceBin; ECE_BINS],
}

impl Calibration {
    fn add(&mut self, confidence: f64, right: bool) {
        let bin = (confidence * ECE_BINS as f64).ceil() as usize;
        let bin = &mut self.bins[bin.clamp(1, ECE_BINS) - 1];
        bin.count += 1;
        bin.right += u64::from(right);
        bin.confidence += confidence;
    }

    fn error(&self) -> f64 {
        let total: u64 = self.bins.iter().map(|bin| bin.count).sum();
        // count/total · |hits/count − sum/count|: the count cancels, and an empty bin adds 0.
        let gap: f64 = self
            .bins
            .iter()
            .map(|bin| (bin.right as f64 - bin.confidence).abs())
            .sum();
        gap / total as f64
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
