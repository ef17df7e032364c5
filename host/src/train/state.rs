//! Where a run is.

use serde::{Deserialize, Serialize};

use super::fit::{HOLD_OUT_SEED, splits};
use super::{TrainOptions, Watch};
use crate::data::Dataset;

/// Everything about a run in progress that is not a tensor.
///
/// Random numbers need no state: order, augmentation and dropout are functions of the seed and of
/// where the run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// The run's choices.
    pub options: TrainOptions,
    /// Where the data came from, as given.
    pub data: String,
    /// Fingerprint of the data, so that a changed file is noticed.
    pub data_sha256: String,
    /// Seed of the images that are held out of data without a PublicTest; none in runs of builds that drew them by the
    /// run's seed.
    #[serde(default)]
    pub hold_out_seed: Option<u64>,
    /// Paths of the teachers.
    #[serde(rename = "teacher", deserialize_with = "none_one_or_more")]
    pub teachers: Vec<String>,
    /// Fingerprints of the teachers; none in runs of builds that did not keep them.
    #[serde(default)]
    pub teachers_sha256: Vec<String>,
    /// Epochs done.
    pub epoch: usize,
    /// Batches done in the current epoch.
    pub batch: usize,
    /// Steps done in all.
    pub step: u64,
    /// Sum over the current epoch's images of their loss.
    #[serde(with = "bits")]
    pub loss_sum: f64,
    /// Images of the current epoch that were classified right.
    pub correct: usize,
    /// Images of the current epoch so far.
    pub seen: usize,
    /// The epoch whose network is kept so far.
    pub best: Option<Best>,
    /// What watching the validation has come to.
    #[serde(default)]
    pub watch: Watch,
    /// Seconds spent before this moment, over all sessions.
    pub seconds: f64,
    /// Length of `metrics.jsonl` at this moment.
    pub metrics_bytes: u64,
    /// Length of the event file at this moment.
    pub events_bytes: u64,
}

/// Builds that knew one teacher at most wrote its path or null.
fn none_one_or_more<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Paths {
        One(String),
        More(Vec<String>),
    }
    Ok(match Option::deserialize(from)? {
        None => Vec::new(),
        Some(Paths::One(path)) => vec![path],
        Some(Paths::More(paths)) => paths,
    })
}

/// The epoch whose network is kept so far, by [`Keep`](super::Keep).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Validation accuracy, 0 to 1.
    #[serde(with = "bits")]
    pub accuracy: f64,
    /// Validation loss; infinity in runs of builds that did not keep it.
    #[serde(with = "bits", default = "unknown")]
    pub loss: f64,
    /// The epoch, from 1.
    pub epoch: usize,
}

fn unknown() -> f64 {
    f64::INFINITY
}

/// A number as the bits it is made of: a decimal may come back one bit off, and a resumed run would
/// then differ from one that was never stopped.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::train) fn serialize<S: Serializer>(
        value: &f64,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub(in crate::train) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

impl RunState {
    /// The start of a run.
    pub(super) fn start(options: TrainOptions, data: String, data_sha256: String) -> Self {
        Self {
            options,
            data,
            data_sha256,
            hold_out_seed: Some(HOLD_OUT_SEED),
            teachers: Vec::new(),
            teachers_sha256: Vec::new(),
            epoch: 0,
            batch: 0,
            step: 0,
            loss_sum: 0.0,
            correct: 0,
            seen: 0,
            best: None,
            watch: Watch::default(),
            seconds: 0.0,
            metrics_bytes: 0,
            events_bytes: 0,
        }
    }

    /// The images that the run trains on, and those that it validates on.
    pub(super) fn splits(&self, dataset: &Dataset) -> (Vec<usize>, Vec<usize>) {
        let seed = self.hold_out_seed.unwrap_or(self.options.seed);
        splits(dataset, self.options.hold_out, seed)
    }

    /// Whether there is nothing left to do: all epochs are done, or it has stopped early.
    pub fn finished(&self) -> bool {
        self.epoch >= self.options.epochs || self.watch.stops(&self.options)
    }
}
