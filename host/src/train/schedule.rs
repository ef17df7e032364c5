//! The learning rate over a run.

use serde::{Deserialize, Serialize};

/// How the learning rate moves; epochs count from 0 and may be fractions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
}

impl Schedule {
    /// The learning rate at `epoch` of `epochs`.
    pub fn rate_at(&self, epoch: f64, epochs: usize) -> f32 {
        let whole = epochs.max(1) as f64;
        match *self {
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
        let rate = match *self {
            Self::Reference { rate } | Self::Cosine { rate, .. } | Self::OneCycle { rate, .. } => {
                rate
            }
        };
        if !(rate > 0.0 && rate <= 100.0) {
            return Some(format!(
                "learning rate is {rate}, expected above 0 up to 100"
            ));
        }
        match *self {
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
        assert_eq!(s.rate_at(84.9, 250), 0.01);
        assert!((s.rate_at(85.0, 250) - 0.009).abs() < 1e-7);
        // seeds.md section 1.4: about 3.1e-4 at epoch 249
        assert!((s.rate_at(249.0, 250) - 3.1e-4).abs() < 2e-5);
    }

    #[test]
    fn cycles_peak_where_they_say_and_end_at_nothing() {
        let one = Schedule::OneCycle {
            rate: 0.2,
            rise: 0.25,
        };
        assert!((one.rate_at(0.0, 40) - 0.008).abs() < 1e-6);
        assert!((one.rate_at(10.0, 40) - 0.2).abs() < 1e-6);
        assert!(one.rate_at(40.0, 40) < 1e-6);
        let cosine = Schedule::Cosine {
            rate: 0.1,
            warmup: 2.0,
        };
        assert!(cosine.rate_at(0.0, 10) > 0.0);
        assert!((cosine.rate_at(2.0, 10) - 0.1).abs() < 1e-6);
        assert!((cosine.rate_at(6.0, 10) - 0.05).abs() < 1e-6);
    }
}
