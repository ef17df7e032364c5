//! Cross entropy with soft targets, class weights and a teacher, and its gradient.

use fer_models::{Crops, argmax, softmax};
use serde::{Deserialize, Serialize};

use super::{CenterOptions, ClassWeights, TrainError};

/// What the loss consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossOptions {
    /// Share of each target that is spread evenly over all classes, 0 up to 1
    /// (Szegedy et al., 2016).
    pub label_smoothing: f32,
    /// How much each class weighs.
    pub class_weights: ClassWeights,
    /// Share of the teacher in the loss when there is one, 0 to 1 (Hinton et al., 2015).
    pub distill_share: f32,
    /// Temperature at which student and teacher are compared, above 0.
    pub distill_temperature: f32,
    /// The teacher looks at these crops of each image once, before the first step; if not given, at every augmented image
    /// that the student sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill_crops: Option<Crops>,
    /// Center loss, besides the cross entropy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterOptions>,
}

impl Default for LossOptions {
    fn default() -> Self {
        Self {
            label_smoothing: 0.0,
            class_weights: ClassWeights::Even,
            distill_share: 0.7,
            distill_temperature: 4.0,
            distill_crops: None,
            center: None,
        }
    }
}

impl LossOptions {
    /// The first number out of range, if any.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        TrainError::range("loss.label_smoothing", self.label_smoothing, 0.0, 0.9)?;
        TrainError::range("loss.distill_share", self.distill_share, 0.0, 1.0)?;
        let heat = self.distill_temperature;
        TrainError::range("loss.distill_temperature", heat, 0.1, 100.0)?;
        self.center.as_ref().map_or(Ok(()), CenterOptions::validate)
    }
}

/// One batch's loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchLoss {
    /// Mean over the batch.
    pub mean: f64,
    /// Images whose largest logit is at their largest target.
    pub correct: usize,
    /// The gradient with respect to the logits, `[batch, classes]`.
    pub gradient: Vec<f32>,
}

/// The loss of `logits [batch, classes]` against `targets` of the same shape, whose rows sum to 1.
///
/// `class_weights` holds a weight for each class, or nothing; a row weighs what its target's classes
/// weigh, and the mean is over the weights as in PyTorch, or with [`ClassWeights::Inverse`] over the
/// images as in Keras. `teacher` holds the teacher's logits.
pub fn cross_entropy(
    options: &LossOptions,
    class_weights: &[f32],
    classes: usize,
    logits: &[f32],
    targets: &[f32],
    teacher: Option<&[f32]>,
) -> BatchLoss {
    let smooth = options.label_smoothing;
    let share = teacher.map_or(0.0, |_| options.distill_share);
    let heat = options.distill_temperature;
    let weight_of = |target: &[f32]| -> f32 {
        if class_weights.is_empty() {
            1.0
        } else {
            target.iter().zip(class_weights).map(|(t, w)| t * w).sum()
        }
    };
    let rows = targets.chunks_exact(classes);
    let total: f32 = match options.class_weights {
        ClassWeights::Inverse => rows.len() as f32,
        _ => rows.map(weight_of).sum(),
    };
    let mut loss = BatchLoss {
        gradient: vec![0.0; logits.len()],
        ..BatchLoss::default()
    };
    let mut scores = vec![0.0; classes];
    let mut hot = vec![0.0; classes];
    let mut taught = vec![0.0; classes];
    let rows = logits
        .chunks_exact(classes)
        .zip(targets.chunks_exact(classes));
    for (row, ((logits, target), gradient)) in rows
        .zip(loss.gradient.chunks_exact_mut(classes))
        .enumerate()
    {
        loss.correct += usize::from(argmax(logits) == argmax(target));
        // a batch of images that count for nothing
        let weight = if total > 0.0 {
            weight_of(target) / total
        } else {
            0.0
        };
        softmax(logits, 1.0, &mut scores);
        let lse = log_sum_exp(logits);
        for c in 0..classes {
            let wanted = target[c] * (1.0 - smooth) + smooth / classes as f32;
            let part = weight * (1.0 - share);
            loss.mean += f64::from(part * wanted * (lse - logits[c]));
            gradient[c] += part * (scores[c] - wanted);
        }
        if let Some(teacher) = teacher {
            let teacher = &teacher[row * classes..(row + 1) * classes];
            softmax(teacher, heat, &mut taught);
            softmax(logits, heat, &mut hot);
            let part = weight * share * heat * heat;
            for c in 0..classes {
                let gap = taught[c].max(1e-12).ln() - hot[c].max(1e-12).ln();
                loss.mean += f64::from(part * taught[c] * gap);
                gradient[c] += part * (hot[c] - taught[c]) / heat;
            }
        }
    }
    loss
}

fn log_sum_exp(values: &[f32]) -> f32 {
    let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    top + values.iter().map(|v| (v - top).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_and_right_row_costs_nothing_and_even_logits_cost_ln_k() {
        let options = LossOptions::default();
        let loss =
            |logits: &[f32]| cross_entropy(&options, &[], 4, logits, &[0.0, 1.0, 0.0, 0.0], None);
        assert!(loss(&[0.0, 50.0, 0.0, 0.0]).mean < 1e-6);
        let even = loss(&[0.0; 4]);
        assert!((even.mean - 4f64.ln()).abs() < 1e-6);
        assert_eq!(even.gradient, [0.25, -0.75, 0.25, 0.25]);
    }

    #[test]
    fn a_batch_of_images_without_weight_asks_for_nothing() {
        let options = LossOptions {
            class_weights: ClassWeights::Given(vec![0.0, 1.0]),
            ..LossOptions::default()
        };
        let loss = cross_entropy(&options, &[0.0, 1.0], 2, &[0.5, -0.5], &[1.0, 0.0], None);
        assert_eq!((loss.mean, loss.gradient), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn the_gradient_equals_finite_differences_with_every_part_on() {
        for class_weights in [ClassWeights::Balanced, ClassWeights::Inverse] {
            gradient_equals_finite_differences(&LossOptions {
                label_smoothing: 0.1,
                class_weights,
                distill_share: 0.6,
                distill_temperature: 3.0,
                distill_crops: None,
                center: None,
            });
        }
    }

    fn gradient_equals_finite_differences(options: &LossOptions) {
        let logits = [0.3, -1.2, 2.0, 0.5, 0.1, -0.4];
        let targets = [0.0, 1.0, 0.0, 0.7, 0.0, 0.3];
        let teacher = [1.0, 0.2, -0.5, 0.0, 2.0, 0.3];
        let of = |logits: &[f32]| {
            cross_entropy(
                options,
                &[0.5, 2.0, 1.5],
                3,
                logits,
                &targets,
                Some(&teacher),
            )
        };
        let loss = of(&logits);
        for i in 0..6 {
            let step = 1e-2;
            let at = |delta: f32| {
                let mut moved = logits;
                moved[i] += delta;
                of(&moved).mean
            };
            let slope = (at(step) - at(-step)) / f64::from(2.0 * step);
            let got = f64::from(loss.gradient[i]);
            assert!((slope - got).abs() < 2e-4, "{i}: {got} against {slope}");
        }
    }
}
