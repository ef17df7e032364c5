//! Watching the validation: when the plateau schedule lowers the rate, and when a run stops early.

use serde::{Deserialize, Serialize};

use super::state::bits;
use super::{Schedule, TrainOptions};

/// The validation number that is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Mean loss.
    #[default]
    Loss,
    /// Accuracy, judged as its error: one less it.
    Accuracy,
}

impl Measure {
    /// The number that should fall.
    fn of(self, seen: &Validated) -> f64 {
        match self {
            Self::Loss => seen.loss,
            Self::Accuracy => 1.0 - seen.accuracy,
        }
    }
}

/// When a run ends before its epochs are over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStop {
    /// What has to improve.
    pub watch: Measure,
    /// Epochs without a new best that are borne; the next one is the last. The third reference's
    /// `max_plateau_count` counts the same way, with accuracy.
    pub patience: usize,
}

impl Default for EarlyStop {
    fn default() -> Self {
        Self {
            watch: Measure::Accuracy,
            patience: 8,
        }
    }
}

/// One epoch's validation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validated {
    pub(super) loss: f64,
    /// 0 to 1.
    pub(super) accuracy: f64,
}

/// The best value so far, and how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// The smallest value; infinity before the first.
    #[serde(with = "bits")]
    best: f64,
    /// Epochs since then.
    epochs: usize,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            best: f64::INFINITY,
            epochs: 0,
        }
    }
}

impl Wait {
    /// Takes one more epoch's value; an improvement is at least the share `threshold` of the best.
    fn see(&mut self, now: f64, threshold: f64) {
        if now < self.best * (1.0 - threshold) {
            self.best = now;
            self.epochs = 0;
        } else {
            self.epochs += 1;
        }
    }
}

/// What the watching has come to; part of a run's checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// For the plateau schedule.
    plateau: Wait,
    /// How often the plateau schedule has lowered the rate.
    lowered: u32,
    /// For stopping early.
    stop: Wait,
}

impl Watch {
    /// How often the plateau schedule has lowered the rate.
    pub fn lowered(&self) -> u32 {
        self.lowered
    }

    /// Takes one epoch's validation; true where the rate is lowered now.
    pub(super) fn see(&mut self, options: &TrainOptions, seen: Validated) -> bool {
        if let Some(stop) = &options.stop {
            self.stop.see(stop.watch.of(&seen), 0.0);
        }
        let Schedule::Plateau {
            watch,
            patience,
            threshold,
            ..
        } = options.schedule
        else {
            return false;
        };
        self.plateau.see(watch.of(&seen), f64::from(threshold));
        let lower = self.plateau.epochs > patience;
        if lower {
            self.lowered += 1;
            self.plateau.epochs = 0;
        }
        lower
    }

    /// Whether the run has ended early.
    pub fn stops(&self, options: &TrainOptions) -> bool {
        options
            .stop
            .is_some_and(|stop| self.stop.epochs > stop.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> TrainOptions {
        TrainOptions {
            schedule: Schedule::Plateau {
                rate: 0.1,
                factor: 0.5,
                patience: 1,
                min_rate: 0.02,
                watch: Measure::Loss,
                threshold: 1e-4,
            },
            stop: Some(EarlyStop {
                watch: Measure::Accuracy,
                patience: 2,
            }),
            ..TrainOptions::default()
        }
    }

    #[test]
    fn the_rate_falls_after_the_patience_and_not_below_its_least() {
        let options = options();
        let mut watch = Watch::default();
        // an improvement below the threshold is none
        let losses = [1.0, 0.9, 0.89999, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8];
        let rates: Vec<f32> = losses
            .iter()
            .map(|&loss| {
                watch.see(
                    &options,
                    Validated {
                        loss,
                        accuracy: 0.5,
                    },
                );
                options.schedule.rate_at(0.0, 9, watch.lowered())
            })
            .collect();
        let want = [
            0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.02, 0.02, 0.02,
        ];
        for (epoch, (got, want)) in rates.iter().zip(want).enumerate() {
            assert!((got - want).abs() < 1e-7f32, "{epoch}: {rates:?}");
        }
    }

    /// The third reference's schedule; the rates are those that PyTorch 2's `ReduceLROnPlateau(optimizer,
    /// factor=0.1, patience=2, min_lr=1e-6)` gives for `100 − accuracy` with a rate of 0.1.
    #[test]
    fn the_rate_falls_where_pytorchs_falls() {
        let options = TrainOptions {
            schedule: Schedule::Plateau {
                rate: 0.1,
                factor: 0.1,
                patience: 2,
                min_rate: 1e-6,
                watch: Measure::Accuracy,
                threshold: 1e-4,
            },
            ..TrainOptions::default()
        };
        let percents = [
            30.0, 35.0, 34.0, 35.0, 35.002, 34.0, 33.0, 36.0, 35.9, 35.0, 34.0, 35.5, 35.5, 35.5,
            35.5, 35.5, 36.001, 20.0, 20.0, 20.0, 20.0,
        ];
        let pytorchs = [
            0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4,
            1e-4, 1e-5, 1e-5, 1e-5, 1e-6, 1e-6,
        ];
        let mut watch = Watch::default();
        for (epoch, (percent, want)) in percents.iter().zip(pytorchs).enumerate() {
            let seen = Validated {
                loss: 1.0,
                accuracy: percent / 100.0,
            };
            watch.see(&options, seen);
            let rate = options.schedule.rate_at(0.0, 9, watch.lowered());
            assert!(
                (rate / want - 1.0f32).abs() < 1e-4,
                "{epoch}: {rate} against {want}"
            );
        }
    }

    #[test]
    fn a_run_stops_at_the_epoch_behind_its_patience_and_survives_json() {
        let options = options();
        let mut watch = Watch::default();
        let mut stops = Vec::new();
        for accuracy in [0.3, 0.4, 0.4, 0.41, 0.4, 0.41, 0.2] {
            watch.see(
                &options,
                Validated {
                    loss: 1.0,
                    accuracy,
                },
            );
            let json = serde_json::to_string(&watch).unwrap();
            assert_eq!(serde_json::from_str::<Watch>(&json).unwrap(), watch);
            stops.push(watch.stops(&options));
        }
        assert_eq!(stops, [false, false, false, false, false, false, true]);
    }
}
