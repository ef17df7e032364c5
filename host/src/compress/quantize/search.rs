//! The best of several ways to quantize a network, by a measure of the caller's.

use std::collections::BTreeSet;
use std::fmt;

use fer_models::Preprocess;
use serde::Serialize;

use super::calibrator::Calibrator;
use super::equalize::equalize;
use super::error::QuantizeError;
use super::network::Quantized;
use super::range::Method;
use super::sensitivity::Distance;
use crate::graph::{Network, NodeId};

/// One way to quantize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// How the ranges of codes are chosen.
    pub method: Method,
    /// Whether the weights are equalised before.
    pub equalize: bool,
    /// Whether the biases are corrected after.
    pub correct_bias: bool,
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.method.to_string();
        if self.equalize {
            text += ", equalised";
        }
        if self.correct_bias {
            text += ", bias corrected";
        }
        f.pad(&text)
    }
}

/// What one recipe gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The recipe in words.
    pub recipe: String,
    /// Accuracy by the caller's measure, 0 to 1.
    pub accuracy: f64,
    /// How far from the float network on the calibration images.
    #[serde(flatten)]
    pub distance: Distance,
}

/// What a search gave.
#[derive(Clone, Debug)]
pub struct Found {
    /// The best network.
    pub quantized: Quantized,
    /// Its place among the trials.
    pub best: usize,
    /// One a recipe, those without equalisation first.
    pub trials: Vec<Trial>,
}

/// Tries all recipes, calibrated on `pixels [count, channels, height, width]`, with the layers in
/// `keep` left float. The most accurate wins, of equally accurate ones the nearest to the float network.
///
/// # Errors
/// Without recipes or images, when a network cannot be quantized, or what `accuracy` fails with.
pub fn search<E: From<QuantizeError>>(
    network: &Network,
    input: Preprocess,
    pixels: &[f32],
    recipes: &[Recipe],
    keep: &BTreeSet<NodeId>,
    mut accuracy: impl FnMut(&Quantized) -> Result<f64, E>,
) -> Result<Found, E> {
    let mut found: Option<Found> = None;
    let mut trials = Vec::with_capacity(recipes.len());
    for equalized in [false, true] {
        let wanted = recipes.iter().filter(|r| r.equalize == equalized);
        if wanted.clone().next().is_none() {
            continue;
        }
        let calibrator = if equalized {
            Calibrator::new(&equalize(network), input, pixels)?
        } else {
            Calibrator::new(network, input, pixels)?
        };
        for recipe in wanted {
            let mut quantized = calibrator.quantize(recipe.method, keep)?;
            if recipe.correct_bias {
                calibrator.correct_bias(&mut quantized)?;
            }
            let trial = Trial {
                recipe: recipe.to_string(),
                accuracy: accuracy(&quantized)?,
                distance: calibrator.distance(&quantized)?,
            };
            tracing::info!(
                "{recipe}: accuracy {:.2} %, {:.2} % of the calibration images change class",
                100.0 * trial.accuracy,
                100.0 * trial.distance.changed
            );
            let rank = |t: &Trial| (t.accuracy, -t.distance.squared);
            let best = found.as_ref().map(|f| rank(&trials[f.best]));
            if best.is_none_or(|best| rank(&trial) > best) {
                found = Some(Found {
                    quantized,
                    best: trials.len(),
                    trials: Vec::new(),
                });
            }
            trials.push(trial);
        }
    }
    let mut found = found.ok_or(QuantizeError::NoRecipe)?;
    found.trials = trials;
    Ok(found)
}
