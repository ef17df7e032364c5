//! The learning rate over a run.

use serde::{Deserialize, Serialize};

use super::Measure;

/// How the learning rate moves; epochs count from 0 and may be fractions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// The reference's: `rate` up to epoch 80, then times 0.9 every 5 epochs.
    Reference {
        /// Learning rate at the start (0.01).
        rate: f32,
    },
    /// Linear warm-up, then half a cosine down to nothing (Loshchilov & Hutter, 2017).
    Cosine {
        /// Highest learning rate.
        rate: f32,
        /// Epochs of warm-up.
        warmup: f32,
    },
    /// Up to `rate` over the first `rise` of the run and down to nothing over the rest, both along
    /// half a cosine (Smith & Topin, 2018).
    OneCycle {
        /// Highest learning rate.
        rate: f32,
        /// Share of the run that rises, above 0 and below 1.
        rise: f32,
    },
    /// The same all the time.
    Constant {
        /// Learning rate.
        rate: f32,
    },
    /// `rate·factor^⌊(epoch − start) / every⌋` from epoch `start` on, before it `rate`.
    Step {
        /// Learning rate at the start.
        rate: f32,
        /// What the rate is multiplied by at every step.
        factor: f32,
        /// Epochs between steps.
        every: u32,
        /// Where counting starts; −1 steps an epoch early, as the fifth reference does.
        #[serde(default)]
        start: i32,
    },
    /// `rate·factor^n` once `n` of the milestones are past.
    Milestones {
        /// Learning rate at the start.
        rate: f32,
        /// What the rate is multiplied by at every milestone.
        factor: f32,
        /// Shares of the run, 0 to 1.
        at: Vec<f32>,
    },
    /// `rate`, multiplied by `factor` each time that the validation has not improved for more than
    /// `patience` epochs, as PyTorch's `ReduceLROnPlateau`.
    Plateau {
        /// Learning rate at the start.
        rate: f32,
        /// What the rate is multiplied by.
        #[serde(default = "tenth")]
        factor: f32,
        /// Epochs without improvement that are borne; after the next one the rate falls. Keras counts one
        /// more: its 3 is 2 here.
        patience: usize,
        /// The rate does not fall below this.
        #[serde(default)]
        min_rate: f32,
        /// What has to improve.
        #[serde(default)]
        watch: Measure,
        /// Share of the best value that an improvement has at least.
        #[serde(default = "ten_thousandth")]
        threshold: f32,
    },
}

fn tenth() -> f32 {
    0.1
}

fn ten_thousandth() -> f32 {
    1e-4
}

impl Schedule {
    /// The learning rate, or the highest of those that move.
    pub fn rate(&self) -> f32 {
        match *self {
            Self::Reference { rate }
            | Self::Cosine { rate, .. }
            | Self::OneCycle { rate, .. }
            | Self::Constant { rate }
            | Self::Step { rate, .. }
            | Self::Milestones { rate, .. }
            | Self::Plateau { rate, .. } => rate,
        }
    }

    /// Puts another in its place.
    pub fn set_rate(&mut self, new: f32) {
        match self {
            Self::Reference { rate }
            | Self::Cosine { rate, .. }
            | Self::OneCycle { rate, .. }
            | Self::Constant { rate }
            | Self::Step { rate, .. }
            | Self::Milestones { rate, .. }
            | Self::Plateau { rate, .. } => *rate = new,
        }
    }

    /// The learning rate at `epoch` of `epochs`, after a plateau schedule has lowered it `lowered` times.
    pub fn rate_at(&self, epoch: f64, epochs: usize, lowered: u32) -> f32 {
        let whole = epochs.max(1) as f64;
        let times = |factor: f32, n: u32| factor.powi(n.min(10_000) as i32);
        match *self {
            Self::Constant { rate } => rate,
            Self::Step {
                rate,
                factor,
                every,
                start,
            } => {
                let past =
                    (epoch.floor() as i64 - i64::from(start)).max(0) / i64::from(every.max(1));
                rate * times(factor, past as u32)
            }
            Self::Milestones {
                rate,
                factor,
                ref at,
            } => {
                // in the precision of the shares: 0.6 is a little more than that in it
                let done = (epoch / whole) as f32;
                let past = at.iter().filter(|&&at| done >= at).count();
                rate * times(factor, past as u32)
            }
            Self::Plateau {
                rate,
                factor,
                min_rate,
                ..
            } => (rate * times(factor, lowered)).max(min_rate),
            Self::Reference { rate } => {
                let past = (epoch.floor() as i32 - 80).max(0) / 5;
                rate * 0.9f32.powi(past)
            }
            Self::Cosine { rate, warmup } => {
                let warmup = f64::from(warmup).min(whole);
                if epoch < warmup {
                    rate * ((epoch + 1e-3) / warmup).min(1.0) as f32
                } else {
                    rate * falling((epoch - warmup) / (whole - warmup).max(1e-9))
                }
            }
            Self::OneCycle { rate, rise } => {
                let done = epoch / whole;
                let rise = f64::from(rise);
                if done < rise {
                    // starts at a 25th, as PyTorch's OneCycleLR
                    let low = 1.0 / 25.0;
                    rate * (low + (1.0 - low) * (1.0 - falling(done / rise)))
                } else {
                    rate * falling((done - rise) / (1.0 - rise))
                }
            }
        }
    }

    /// What is wrong with the numbers, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let rate = self.rate();
        if !(rate > 0.0 && rate <= 100.0) {
            return Some(format!(
                "learning rate is {rate}, expected above 0 up to 100"
            ));
        }
        let factor = match *self {
            Self::Step { factor, .. }
            | Self::Milestones { factor, .. }
            | Self::Plateau { factor, .. } => factor,
            _ => 1.0,
        };
        if !(factor > 0.0 && factor <= 1.0) {
            return Some(format!("factor is {factor}, expected above 0 up to 1"));
        }
        match *self {
            Self::Step { every: 0, .. } => Some("every is 0, expected 1 or more epochs".into()),
            Self::Milestones { ref at, .. } => at
                .iter()
                .find(|at| !(0.0..=1.0).contains(*at))
                .map(|at| format!("a milestone is at {at}, expected shares of the run, 0 to 1")),
            Self::Plateau { min_rate, .. } if !(0.0..=rate).contains(&min_rate) => {
                Some(format!("min_rate is {min_rate}, expected 0 to the rate"))
            }
            Self::Plateau { threshold, .. } if !(0.0..1.0).contains(&threshold) => {
                Some(format!("threshold is {threshold}, expected 0 up to 1"))
            }
            Self::Cosine { warmup, .. } if !(0.0..=1e4).contains(&warmup) => {
                Some(format!("warmup is {warmup}, expected 0 or more epochs"))
            }
            Self::OneCycle { rise, .. } if !(rise > 0.0 && rise < 1.0) => {
                Some(format!("rise is {rise}, expected above 0 and below 1"))
            }
            _ => None,
        }
    }
}

/// From 1 at 0 to 0 at 1 along half a cosine.
fn falling(done: f64) -> f32 {
    (0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_drops_first_at_epoch_85() {
        let s = Schedule::Reference { rate: 0.01 };
        assert_eq!(s.rate_at(84.9, 250, 0), 0.01);
        assert!((s.rate_at(85.0, 250, 0) - 0.009).abs() < 1e-7);
        // seeds.md section 1.4: about 3.1e-4 at epoch 249
        assert!((s.rate_at(249.0, 250, 0) - 3.1e-4).abs() < 2e-5);
    }

    #[test]
    fn cycles_peak_where_they_say_and_end_at_nothing() {
        let one = Schedule::OneCycle {
            rate: 0.2,
            rise: 0.25,
        };
        assert!((one.rate_at(0.0, 40, 0) - 0.008).abs() < 1e-6);
        assert!((one.rate_at(10.0, 40, 0) - 0.2).abs() < 1e-6);
        assert!(one.rate_at(40.0, 40, 0) < 1e-6);
        let cosine = Schedule::Cosine {
            rate: 0.1,
            warmup: 2.0,
        };
        assert!(cosine.rate_at(0.0, 10, 0) > 0.0);
        assert!((cosine.rate_at(2.0, 10, 0) - 0.1).abs() < 1e-6);
        assert!((cosine.rate_at(6.0, 10, 0) - 0.05).abs() < 1e-6);
    }

    #[test]
    fn steps_fall_where_the_references_say() {
        // the first reference on CK+: epoch > 20: rate·0.8^(epoch − 20)
        let ck = Schedule::Step {
            rate: 0.01,
            factor: 0.8,
            every: 1,
            start: 20,
        };
        assert_eq!(ck.rate_at(20.9, 60, 0), 0.01);
        assert!((ck.rate_at(23.0, 60, 0) - 0.01 * 0.512).abs() < 1e-8);
        // the fifth: rate·0.1^⌊(1 + epoch) / 10⌋
        let early = Schedule::Step {
            rate: 0.01,
            factor: 0.1,
            every: 10,
            start: -1,
        };
        assert_eq!(early.rate_at(8.9, 50, 0), 0.01);
        assert!((early.rate_at(9.0, 50, 0) - 1e-3).abs() < 1e-9);
        // network slimming: a tenth at half and at three quarters
        let slimming = Schedule::Milestones {
            rate: 0.1,
            factor: 0.1,
            at: vec![0.5, 0.75],
        };
        let rates = [79.9, 80.0, 119.9, 120.0].map(|e| slimming.rate_at(e, 160, 0));
        for (got, want) in rates.iter().zip([0.1, 0.01, 0.01, 0.001]) {
            assert!((got - want).abs() < 1e-7f32, "{rates:?}");
        }
        // shares that lie a little above their decimals in 32 bits
        let uneven = Schedule::Milestones {
            rate: 0.1,
            factor: 0.1,
            at: vec![0.6, 0.8],
        };
        let rates = [2.9, 3.0, 3.9, 4.0].map(|e| uneven.rate_at(e, 5, 0));
        for (got, want) in rates.iter().zip([0.1, 0.01, 0.01, 0.001]) {
            assert!((got - want).abs() < 1e-7f32, "{rates:?}");
        }
        let constant = Schedule::Constant { rate: 1e-3 };
        assert_eq!(constant.rate_at(7.5, 9, 0), 1e-3);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let read = |text: &str| toml::from_str::<Schedule>(text).unwrap();
        for (text, word) in [
            (
                "kind = 'step'\nrate = 0.1\nfactor = 0.1\nevery = 0",
                "every",
            ),
            (
                "kind = 'step'\nrate = 0.1\nfactor = 1.5\nevery = 2",
                "factor",
            ),
            ("kind = 'constant'\nrate = 0", "rate"),
            (
                "kind = 'milestones'\nrate = 0.1\nfactor = 0.1\nat = [0.5, 80]",
                "milestone",
            ),
            (
                "kind = 'plateau'\nrate = 0.1\npatience = 2\nmin_rate = 1",
                "min_rate",
            ),
        ] {
            let problem = read(text).problem().unwrap();
            assert!(problem.contains(word), "{text}: {problem}");
        }
        let plateau = read("kind = 'plateau'\nrate = 0.1\npatience = 2");
        assert_eq!(plateau.problem(), None);
        assert_eq!(plateau.rate_at(0.0, 9, 1), 0.1 * 0.1);
    }
}
