//! What `fer-tools quantize` tells: for programs as JSON, for people as tables.

use fer_tools::compress::quantize::{LayerCost, Trial};
use serde::Serialize;

/// What is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) split: String,
    #[serde(flatten)]
    pub(super) tried: Tried,
    pub(super) accuracy: Accuracies,
    pub(super) bytes: usize,
    /// The file that `fer-tools export` writes.
    pub(super) f32_bytes: usize,
    pub(super) verified_images: usize,
    pub(super) same_decision: usize,
    pub(super) logit_difference: f32,
}

/// What was tried; nothing for f16.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tried {
    /// In the order tried.
    pub(super) trials: Vec<Trial>,
    pub(super) chosen: Option<usize>,
    /// Each layer alone, the worst first, where some were to stay f32.
    pub(super) layers: Vec<LayerCost>,
    pub(super) kept_f32: Vec<String>,
}

/// Correct decisions, 0 to 1.
#[derive(Debug, Serialize)]
pub(super) struct Accuracies {
    pub(super) f32_center: f64,
    pub(super) f32_ten: f64,
    pub(super) center: f64,
    pub(super) ten: f64,
}

impl Tried {
    /// For people: what each layer costs alone, and the accuracy of each trial on `split`.
    pub(super) fn table(&self, split: &str) -> String {
        let mut text = String::new();
        if !self.layers.is_empty() {
            text += &format!(
                "{:<24} {:>14} {:>12} {:>9}\n",
                "layer alone in int8", "multiply-adds", "logit error", "changed"
            );
            for layer in &self.layers {
                let stays = self.kept_f32.contains(&layer.name);
                text += &format!(
                    "{:<24} {:>14} {:>12.2e} {:>7.2} %{}\n",
                    layer.name,
                    layer.multiply_adds,
                    layer.distance.squared,
                    100.0 * layer.distance.changed,
                    if stays { "  stays f32" } else { "" }
                );
            }
            text += "\n";
        }
        if !self.trials.is_empty() {
            text += &format!(
                "{:<44} {:>10} {:>12} {:>9}\n",
                "recipe", split, "logit error", "changed"
            );
        }
        for (i, trial) in self.trials.iter().enumerate() {
            text += &format!(
                "{:<44} {:>8.2} % {:>12.2e} {:>7.2} %{}\n",
                trial.recipe,
                100.0 * trial.accuracy,
                trial.distance.squared,
                100.0 * trial.distance.changed,
                if self.chosen == Some(i) {
                    "  chosen"
                } else {
                    ""
                }
            );
        }
        text + "\n"
    }
}

impl Report {
    /// For people: what the file is, behind the table of what was tried.
    pub(super) fn table(&self) -> String {
        let a = &self.accuracy;
        let line = |crops: &str, before: f64, after: f64| {
            format!(
                "{} {crops}: f32 {:.2} %, {} {:.2} % ({:+.2})\n",
                self.split,
                100.0 * before,
                self.model,
                100.0 * after,
                100.0 * (after - before)
            )
        };
        let mut text = line("one crop", a.f32_center, a.center);
        text += &line("ten crops", a.f32_ten, a.ten);
        text += &format!(
            "{}: {} bytes, 1/{:.2} of the {} in f32; tract decides the same on {} of {} images\n",
            self.model,
            self.bytes,
            self.f32_bytes as f64 / self.bytes as f64,
            self.f32_bytes,
            self.same_decision,
            self.verified_images
        );
        text
    }
}
