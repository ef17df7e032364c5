//! The choices of one run, as a recipe states them.

use serde::{Deserialize, Serialize};

use super::{Clip, LossOptions, Schedule, Sgd, TrainError};
use crate::augment::Augment;
use crate::graph::exec::Precision;

/// Everything that decides how a network is trained, apart from the network and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainOptions {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,
    /// Seed of fresh weights, data order, augmentation and dropout.
    pub seed: u64,
    /// What the CPU computes in.
    pub precision: Precision,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub optimizer: Sgd,
    /// What is minimised.
    pub loss: LossOptions,
    /// How images differ from time to time.
    pub augment: Augment,
    /// Whether data without a PublicTest lend a tenth of Training to validate on. Without any
    /// validation image the last epoch's network is the one that is kept.
    pub hold_out: bool,
}

impl Default for TrainOptions {
    /// The reference recipe: 250 epochs of 128 images, gradients clamped to ±0.1.
    fn default() -> Self {
        Self {
            epochs: 250,
            batch: 128,
            seed: 1,
            precision: Precision::F32,
            schedule: Schedule::Reference { rate: 0.01 },
            optimizer: Sgd {
                clip: Clip::Value(0.1),
                ..Sgd::default()
            },
            loss: LossOptions::default(),
            augment: Augment::reference(),
            hold_out: true,
        }
    }
}

impl TrainOptions {
    /// Checks every number's range.
    ///
    /// # Errors
    /// Names the first option that cannot be meant.
    pub fn validate(&self) -> Result<(), TrainError> {
        let range = |field, value: f32, low: f32, high: f32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(TrainError::Option {
                    field,
                    problem: format!("is {value}, expected {low} to {high}"),
                })
            }
        };
        range("epochs", self.epochs as f32, 1.0, 1e6)?;
        range("batch", self.batch as f32, 2.0, 65_536.0)?;
        if let Some(problem) = self.schedule.problem() {
            return Err(TrainError::Option {
                field: "schedule",
                problem,
            });
        }
        let Sgd {
            momentum,
            weight_decay,
            clip,
            sparsity,
            ema,
            ..
        } = self.optimizer;
        range("optimizer.momentum", momentum, 0.0, 0.9999)?;
        range("optimizer.weight_decay", weight_decay, 0.0, 1.0)?;
        range("optimizer.sparsity", sparsity, 0.0, 1.0)?;
        range("optimizer.ema", ema, 0.0, 0.999_999)?;
        if let Clip::Value(bound) | Clip::Norm(bound) = clip {
            range("optimizer.clip", bound, 1e-6, 1e6)?;
        }
        range("loss.label_smoothing", self.loss.label_smoothing, 0.0, 0.9)?;
        range("loss.distill_share", self.loss.distill_share, 0.0, 1.0)?;
        let heat = self.loss.distill_temperature;
        range("loss.distill_temperature", heat, 0.1, 100.0)?;
        self.augment.validate().map_err(|e| TrainError::Option {
            field: "augment",
            problem: e.to_string(),
        })
    }
}
