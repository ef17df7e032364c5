//! The choices of one run, as a recipe states them.

use serde::{Deserialize, Serialize};

use super::watch::Validated;
use super::{
    Best, Clip, EarlyStop, Freeze, LossOptions, OptimizerOptions, Penalty, Schedule, TrainError,
};
use crate::augment::Augment;
use crate::graph::exec::Precision;

/// Which epoch's network is the result of a run that has images to validate on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The one with the best validation accuracy.
    #[default]
    Accuracy,
    /// The one with the least validation loss, which tells networks apart that are right about as many images.
    Loss,
    /// The last. Behind a rate that fell to nothing, and with averaged weights, nothing is left to choose but noise.
    Last,
}

impl Keep {
    /// Whether the epoch that was validated as `now` takes the place of `best`.
    pub(super) fn prefers(self, now: &Validated, best: &Best) -> bool {
        match self {
            Self::Accuracy => now.accuracy > best.accuracy,
            Self::Loss => now.loss < best.loss,
            Self::Last => true,
        }
    }

    /// States of runs by builds without the choice stay as they are.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

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
    pub optimizer: OptimizerOptions,
    /// Layers that stay as they are.
    pub freeze: Freeze,
    /// L1 and L2 on chosen layers.
    pub penalty: Penalty,
    /// Stops before the epochs are over where the validation does not improve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<EarlyStop>,
    /// The epoch whose network is the run's result.
    #[serde(skip_serializing_if = "Keep::is_default")]
    pub keep: Keep,
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
            optimizer: OptimizerOptions {
                clip: Clip::Value(0.1),
                ..OptimizerOptions::default()
            },
            freeze: Freeze::default(),
            penalty: Penalty::default(),
            stop: None,
            keep: Keep::default(),
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
        TrainError::range("epochs", self.epochs as f32, 1.0, 1e6)?;
        TrainError::range("batch", self.batch as f32, 2.0, 65_536.0)?;
        if let Some(problem) = self.schedule.problem() {
            return Err(TrainError::Option {
                field: "schedule",
                problem,
            });
        }
        self.optimizer.validate()?;
        if self.optimizer.sharpness > 0.0 && self.loss.center.is_some() {
            return Err(TrainError::Option {
                field: "optimizer.sharpness",
                problem: "does not go with loss.center, whose centers move with every pass".into(),
            });
        }
        self.penalty.validate()?;
        self.loss.validate()?;
        self.augment.validate().map_err(|e| TrainError::Option {
            field: "augment",
            problem: e.to_string(),
        })
    }

    /// Whether the run depends on a validation after every epoch.
    pub(super) fn watches_validation(&self) -> bool {
        self.stop.is_some() || matches!(self.schedule, Schedule::Plateau { .. })
    }
}
