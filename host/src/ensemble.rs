//! Ensembles: several networks that decide together.

use fer_models::{Crops, Labels, argmax, softmax};

use crate::data::Dataset;
use crate::judge::{Candidate, JudgeError};
use crate::predict;
use crate::report::{Evaluation, EvaluationError};

/// What is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Each member's probabilities, so that every member has the same say.
    Probabilities,
    /// The logits, so that a surer member counts for more.
    Logits,
}

/// Why networks cannot decide together.
#[derive(Debug, thiserror::Error)]
pub enum EnsembleError {
    /// No member.
    #[error("an ensemble of no networks")]
    Empty,
    /// Weights that say nothing.
    #[error("weights {0:?}: expected finite numbers that are not negative, and not all 0")]
    Weights(Vec<f32>),
    /// Another number of weights than of members.
    #[error("{weights} weights for {members} networks")]
    Count {
        /// Weights given.
        weights: usize,
        /// Networks given.
        members: usize,
    },
    /// Members that judged different images or classes.
    #[error("{name} gives {found} logits, the others {expected}")]
    Shape {
        /// The member.
        name: String,
        /// Its logits.
        found: usize,
        /// Those of the members before it.
        expected: usize,
    },
    /// The measures cannot be computed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

/// One network's say about a set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// What people call the network.
    pub name: String,
    /// Logits `[images, classes]`.
    pub logits: Vec<f32>,
    /// How good it is alone.
    pub evaluation: Evaluation,
}

impl Opinion {
    /// Asks one network, with its own preprocessing, about the images at `indices`; `dataset` has tiles
    /// of the size that it reads.
    ///
    /// # Errors
    /// When it cannot be judged on them.
    pub fn of(
        name: String,
        candidate: &mut Candidate,
        dataset: &Dataset,
        indices: &[usize],
        crops: Crops,
    ) -> Result<Self, JudgeError> {
        let logits = candidate.logits(dataset, indices, crops)?;
        let targets = predict::targets(dataset, indices);
        let evaluation = Evaluation::from_logits(dataset.labels(), &logits, &targets)?;
        Ok(Self {
            name,
            logits,
            evaluation,
        })
    }
}

/// The sum of the weights of so many members.
///
/// # Errors
/// Another number of weights, or weights that say nothing.
pub fn total_weight(weights: &[f32], members: usize) -> Result<f32, EnsembleError> {
    if weights.len() != members {
        return Err(EnsembleError::Count {
            weights: weights.len(),
            members,
        });
    }
    let total: f32 = weights.iter().sum();
    let sensible = |w: &f32| w.is_finite() && *w >= 0.0;
    if !(weights.iter().all(sensible) && total.is_finite() && total > 0.0) {
        return Err(EnsembleError::Weights(weights.to_vec()));
    }
    Ok(total)
}

/// What the members decide together.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    /// Probabilities `[images, classes]`.
    pub scores: Vec<f32>,
    /// The class decided for, by image.
    pub predicted: Vec<usize>,
    /// How good they are together.
    pub evaluation: Evaluation,
}

impl Ensemble {
    /// Averages `members`, which judged the same images, with `weights` (all equal where there are
    /// none), and compares with `targets`.
    ///
    /// # Errors
    /// No member, weights that do not fit, or members that do not fit together.
    pub fn new(
        labels: &Labels,
        members: &[Opinion],
        weights: &[f32],
        average: Average,
        targets: &[u8],
    ) -> Result<Self, EnsembleError> {
        let first = members.first().ok_or(EnsembleError::Empty)?;
        let equal = vec![1.0; members.len()];
        let weights = if weights.is_empty() { &equal } else { weights };
        let total = total_weight(weights, members.len())?;
        let classes = labels.len();
        let mut mean = vec![0.0; first.logits.len()];
        let mut row_scores = vec![0.0; classes];
        for (member, &weight) in members.iter().zip(weights) {
            if member.logits.len() != mean.len() {
                return Err(EnsembleError::Shape {
                    name: member.name.clone(),
                    found: member.logits.len(),
                    expected: mean.len(),
                });
            }
            let share = weight / total;
            let rows = member.logits.chunks_exact(classes);
            for (mean, logits) in mean.chunks_exact_mut(classes).zip(rows) {
                let values = match average {
                    Average::Logits => logits,
                    Average::Probabilities => {
                        softmax(logits, 1.0, &mut row_scores);
                        &row_scores[..]
                    }
                };
                for (mean, value) in mean.iter_mut().zip(values) {
                    *mean += share * value;
                }
            }
        }
        // the logarithm of a probability is a logit of it, so that one evaluation serves both
        let logits = match average {
            Average::Logits => mean,
            Average::Probabilities => {
                let log = |p: f32| p.max(f32::MIN_POSITIVE).ln();
                mean.into_iter().map(log).collect()
            }
        };
        let evaluation = Evaluation::from_logits(labels, &logits, targets)?;
        let mut scores = vec![0.0; logits.len()];
        let rows = logits.chunks_exact(classes);
        for (scores, logits) in scores.chunks_exact_mut(classes).zip(rows.clone()) {
            softmax(logits, 1.0, scores);
        }
        Ok(Self {
            scores,
            predicted: rows.map(argmax).collect(),
            evaluation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: [u8; 2] = [0, 1];

    fn labels() -> Labels {
        Labels::new(vec!["a".into(), "b".into()]).unwrap()
    }

    fn opinion(name: &str, logits: [f32; 4]) -> Opinion {
        Opinion {
            name: name.into(),
            logits: logits.to_vec(),
            evaluation: Evaluation::from_logits(&labels(), &logits, &TARGETS).unwrap(),
        }
    }

    fn together(members: &[Opinion], weights: &[f32], average: Average) -> Ensemble {
        Ensemble::new(&labels(), members, weights, average, &TARGETS).unwrap()
    }

    #[test]
    fn two_that_err_on_different_images_are_right_together() {
        let members = [
            opinion("x", [5.0, 0.0, 1.0, 0.0]),
            opinion("y", [0.0, 1.0, 0.0, 5.0]),
        ];
        assert!(members.iter().all(|m| m.evaluation.accuracy() == 0.5));
        for average in [Average::Probabilities, Average::Logits] {
            let ensemble = together(&members, &[], average);
            assert_eq!(ensemble.evaluation.accuracy(), 1.0, "{average:?}");
            assert_eq!(ensemble.predicted, [0, 1]);
        }
    }

    #[test]
    fn probabilities_and_logits_are_averaged_as_they_say() {
        let (p, q) = (2.0f32, -1.0f32);
        let members = [
            opinion("x", [p, 0.0, p, 0.0]),
            opinion("y", [q, 0.0, q, 0.0]),
        ];
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        for (weights, share) in [(vec![], 0.5), (vec![3.0, 1.0], 0.75), (vec![0.0, 2.0], 0.0)] {
            let rest = 1.0 - share;
            for (average, expected) in [
                (
                    Average::Probabilities,
                    share * sigmoid(p) + rest * sigmoid(q),
                ),
                (Average::Logits, sigmoid(share * p + rest * q)),
            ] {
                let found = together(&members, &weights, average).scores[0];
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_certain_member_gives_finite_measures() {
        let members = [opinion("x", [0.0, 500.0, 0.0, 500.0])];
        let ensemble = together(&members, &[], Average::Probabilities);
        assert!(ensemble.evaluation.loss().is_finite());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let members = [opinion("x", [1.0; 4]), opinion("y", [1.0; 4])];
        let refused = |members: &[Opinion], weights: &[f32]| {
            let average = Average::Probabilities;
            let error = Ensemble::new(&labels(), members, weights, average, &TARGETS);
            error.unwrap_err().to_string()
        };
        assert!(refused(&[], &[]).contains("no networks"));
        assert!(refused(&members, &[1.0]).contains("1 weights for 2"));
        for bad in [[0.0, 0.0], [-1.0, 2.0], [f32::NAN, 1.0], [f32::MAX; 2]] {
            assert!(refused(&members, &bad).contains("not negative"), "{bad:?}");
        }
        let mut odd = members.to_vec();
        odd[1].logits.truncate(2);
        assert!(refused(&odd, &[]).contains("y gives 2"));
    }
}
