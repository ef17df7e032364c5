//! One fold: train, judge, write down.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{read_json, write_json};
use super::{CrossvalError, Plan};
use crate::checkpoint::Checkpoint;
use crate::data::folds::Fold;
use crate::data::{Dataset, Split};
use crate::judge::Candidate;
use crate::predict;
use crate::train::{BEST_FILE, Device, LAST_FILE, Setup, StepReport, Trainer};

/// The result's file in a fold's folder.
const RESULT_FILE: &str = "result.json";

/// What a fold's network says of its test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldResult {
    /// The fold, from 1.
    pub fold: usize,
    /// The images that were tested, by their number among the Training images.
    pub images: Vec<usize>,
    /// Their labels.
    pub targets: Vec<u8>,
    /// `[images, classes]`, averaged over the crops.
    pub logits: Vec<f32>,
    /// The epoch whose network it is, where a validation part chose one.
    pub epoch: Option<usize>,
}

impl FoldResult {
    fn path(out: &Path, fold: usize) -> PathBuf {
        folder(out, fold).join(RESULT_FILE)
    }

    /// Reads the result of a fold, where there is one.
    ///
    /// # Errors
    /// When it does not read.
    pub fn load(out: &Path, fold: usize) -> Result<Option<Self>, CrossvalError> {
        let path = Self::path(out, fold);
        if path.exists() {
            return read_json(&path).map(Some);
        }
        Ok(None)
    }

    /// Whether both say the same, but for rounding on another machine.
    pub(super) fn same(&self, other: &Self) -> bool {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3;
        self.images == other.images
            && self.targets == other.targets
            && self.logits.len() == other.logits.len()
            && self.logits.iter().zip(&other.logits).all(close)
    }

    /// Checks that the numbers fit each other and the plan.
    pub(super) fn check(&self, plan: &Plan, out: &Path, fold: usize) -> Result<(), CrossvalError> {
        let images = self.images.len();
        let wrong = |problem: String| CrossvalError::File {
            path: Self::path(out, fold),
            problem,
        };
        if self.fold != fold {
            let found = self.fold;
            return Err(wrong(format!(
                "the result of fold {found}, expected {fold}"
            )));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = self.images.iter().find(|image| !seen.insert(**image)) {
            return Err(wrong(format!("tests image {twice} twice")));
        }
        if let Some(image) = self.images.iter().find(|image| **image >= plan.images) {
            let most = plan.images - 1;
            return Err(wrong(format!("tests image {image}, expected 0 to {most}")));
        }
        let classes = plan.labels.len();
        if let Some(target) = self.targets.iter().find(|t| usize::from(**t) >= classes) {
            return Err(wrong(format!(
                "target {target}, expected 0 to {}",
                classes - 1
            )));
        }
        if self.targets.len() == images && self.logits.len() == images * classes {
            return Ok(());
        }
        Err(wrong(format!(
            "{images} images, {} targets, {} logits, expected as many and {classes} of each image",
            self.targets.len(),
            self.logits.len()
        )))
    }
}

/// The run folder of a fold, counted from 1.
fn folder(out: &Path, fold: usize) -> PathBuf {
    out.join(format!("fold-{fold:02}"))
}

/// Whether a fold was begun: its run makes the folder at once, and saves its state minutes later.
pub(super) fn begun(out: &Path, fold: usize) -> bool {
    folder(out, fold).exists()
}

/// What all folds of a cross-validation have in common.
pub struct Work<'a> {
    /// What is done; its `train` has no held-out images of its own.
    pub plan: &'a Plan,
    /// The images that are divided, all of them Training.
    pub dataset: &'a Dataset,
    /// The tested images of each fold.
    pub folds: &'a [Vec<usize>],
    /// What each fold starts from.
    pub start: &'a Checkpoint,
    /// Where to compute.
    pub device: &'a Device,
    /// A killed fold loses that much at most.
    pub save_every: Duration,
}

impl Work<'_> {
    /// Trains the folds with the numbers `chosen`, from 1, `jobs` of them at once; those that are done
    /// are passed over, those that were interrupted go on. `watch(fold, report)` is told every step, and
    /// says whether to go on; what is stopped is saved.
    ///
    /// # Errors
    /// The first fold that fails; the others are saved and stop.
    ///
    /// # Panics
    /// When a fold is not in `1..=folds.len()`.
    pub fn run(
        &self,
        out: &Path,
        chosen: &[usize],
        jobs: usize,
        watch: &(dyn Fn(usize, &StepReport) -> bool + Sync),
    ) -> Result<(), CrossvalError> {
        let next = AtomicUsize::new(0);
        let going = AtomicBool::new(true);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(chosen.len()) {
                scope.spawn(|| {
                    while let Some(&fold) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let watch = |report: &StepReport| {
                            if !watch(fold, report) {
                                going.store(false, Ordering::Relaxed);
                            }
                            going.load(Ordering::Relaxed)
                        };
                        if !going.load(Ordering::Relaxed) {
                            return;
                        }
                        if let Err(error) = self.fold(out, fold, watch) {
                            going.store(false, Ordering::Relaxed);
                            if let Ok(mut first) = failed.lock() {
                                first.get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn fold(
        &self,
        out: &Path,
        fold: usize,
        mut watch: impl FnMut(&StepReport) -> bool,
    ) -> Result<(), CrossvalError> {
        if FoldResult::load(out, fold)?.is_some() {
            tracing::info!("fold {fold}: done before");
            return Ok(());
        }
        let plan = self.plan;
        let test = &self.folds[fold - 1];
        let parts = Fold::new(self.dataset, test, plan.rule, plan.validation, plan.seed);
        let own = parts.dataset(self.dataset);
        let folder = folder(out, fold);
        let train = |source| CrossvalError::Train { fold, source };
        let mut trainer = if folder.join(LAST_FILE).exists() {
            tracing::info!("fold {fold}: going on");
            Trainer::resume(&folder, &own, &[], self.device).map_err(train)?
        } else {
            tracing::info!("fold {fold}: starting");
            let setup = Setup {
                start: self.start.clone(),
                options: plan.train.clone(),
                teachers: Vec::new(),
                data: format!("{}, fold {fold} of {}", plan.data, plan.folds),
            };
            Trainer::start(&folder, &own, setup, self.device).map_err(train)?
        };
        trainer.save_every(self.save_every);
        let outcome = trainer.run(&mut |report| watch(report)).map_err(train)?;
        if !outcome.finished {
            return Ok(());
        }
        let tested = own.indices(Split::PrivateTest);
        let mut network = Candidate::from_checkpoint(Checkpoint::load(&folder.join(BEST_FILE))?);
        let result = FoldResult {
            fold,
            images: test.clone(),
            targets: predict::targets(&own, &tested),
            logits: network.logits(&own, &tested, plan.crops)?,
            epoch: outcome.best.map(|best| best.epoch),
        };
        write_json(&FoldResult::path(out, fold), &result)?;
        // the run's state is as large as the network several times over, and no longer needed
        let last = folder.join(LAST_FILE);
        std::fs::remove_file(&last).map_err(|source| CrossvalError::Io { path: last, source })
    }
}
