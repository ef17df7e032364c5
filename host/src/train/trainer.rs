//! The loop.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fer_models::{Crops, Preprocess};
use serde_json::json;

use super::any_of::any_of;
use super::center::CenterHead;
use super::fit::{check_data, check_teacher, class_weights, fingerprint};
use super::loss::cross_entropy;
use super::sharpness::Ascent;
use super::teacher::Teachers;
use super::watch::Validated;
use super::{
    BEST_FILE, BatchLoss, Best, LAST_FILE, Optimizer, RunFolder, RunState, TrainError, TrainOptions,
};
use crate::checkpoint::{Checkpoint, Moments};
use crate::data::{Dataset, TargetKind, Targets};
use crate::graph::exec::{CandleEngine, Engine, Params, Precision};
use crate::graph::{Graph, Network};
use crate::loader::{self, Batch, Loader};
use crate::predict;
use crate::report::Evaluation;

/// Where the arithmetic is done.
#[derive(Clone, Debug, Default)]
pub enum Device {
    /// The CPU engine.
    #[default]
    Cpu,
    /// Candle on the given device.
    Candle(candle_core::Device),
}

impl Device {
    fn engine(&self, graph: Graph, precision: Precision) -> Box<dyn Engine> {
        match self {
            Self::Cpu => precision.engine(graph),
            Self::Candle(device) => Box::new(CandleEngine::new(graph, device.clone())),
        }
    }
}

/// What a new run starts from.
pub struct Setup {
    /// The network to train, fresh or not, with labels, input and history.
    pub start: Checkpoint,
    /// The run's choices.
    pub options: TrainOptions,
    /// Networks to learn from besides the labels, and their paths.
    pub teachers: Vec<(Checkpoint, PathBuf)>,
    /// Where the data came from, as given.
    pub data: String,
}

/// What a run tells after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Epochs done and to do.
    pub epoch: (usize, usize),
    /// Batches done in this epoch and in each.
    pub batch: (usize, usize),
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Images a second in this session.
    pub images_per_second: f64,
    /// Time to the end of the run at this speed.
    pub left: Duration,
    /// At the end of an epoch: the line of `metrics.jsonl`.
    pub epoch_metrics: Option<serde_json::Value>,
}

/// Told after every step; returns whether to go on. A run that is stopped can be resumed.
pub type StepCallback<'a> = dyn FnMut(&StepReport) -> bool + 'a;

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether there is nothing left to do: all epochs were done, or it stopped early.
    pub finished: bool,
    /// Epochs done.
    pub epochs: usize,
    /// The epoch whose network is kept, where there were images to validate on.
    pub best: Option<Best>,
}

/// A run that is ready to go.
pub struct Trainer<'a> {
    dataset: &'a Dataset,
    training: Vec<usize>,
    validation: Vec<usize>,
    class_weights: Vec<f32>,
    start: Checkpoint,
    folder: RunFolder,
    state: RunState,
    engine: Box<dyn Engine>,
    params: Params,
    optimizer: Optimizer,
    ascent: Option<Ascent>,
    center: Option<CenterHead>,
    teachers: Teachers,
    save_every: Duration,
    session: Session,
}

/// Speed of the current session.
struct Session {
    started: Instant,
    seconds_before: f64,
    images: usize,
}

impl<'a> Trainer<'a> {
    /// Starts a run in a new folder.
    ///
    /// # Errors
    /// When the options, the data, a teacher or the folder do not fit.
    pub fn start(
        folder: &Path,
        dataset: &'a Dataset,
        setup: Setup,
        device: &Device,
    ) -> Result<Self, TrainError> {
        setup.options.validate()?;
        let mut state = RunState::start(setup.options, setup.data, fingerprint(dataset));
        let (teachers, paths): (Vec<_>, Vec<_>) = setup.teachers.into_iter().unzip();
        state.teachers = paths.iter().map(|p| p.display().to_string()).collect();
        state.teachers_sha256 = teachers.iter().map(Checkpoint::fingerprint).collect();
        Self::assemble(dataset, setup.start, state, None, &teachers, device, |_| {
            RunFolder::create(folder)
        })
    }

    /// Goes on with the run in `folder`.
    ///
    /// # Errors
    /// When there is no run, its state cannot be one, or the data or the teachers are not the run's.
    pub fn resume(
        folder: &Path,
        dataset: &'a Dataset,
        teachers: &[Checkpoint],
        device: &Device,
    ) -> Result<Self, TrainError> {
        let last = folder.join(LAST_FILE);
        let (start, state, moments) = Checkpoint::load_run(&last)?;
        let damaged = |problem| TrainError::RunFile {
            path: last.clone(),
            problem,
        };
        let options = &state.options;
        options.validate().map_err(|e| damaged(e.to_string()))?;
        if state.data_sha256 != fingerprint(dataset) {
            return Err(TrainError::Data(format!(
                "`{}` is not what the run was started with",
                state.data
            )));
        }
        let batches = loader::batches(state.splits(dataset).0.len(), options.batch);
        if state.batch > batches {
            let problem = format!("stopped at batch {} of {batches}", state.batch);
            return Err(damaged(problem));
        }
        if state.teachers.len() != teachers.len() {
            return Err(TrainError::Teacher(format!(
                "the run has {}, {} given",
                state.teachers.len(),
                teachers.len()
            )));
        }
        // runs of builds that did not keep them have none
        let kept = state.teachers_sha256.iter().zip(teachers);
        for ((sha256, teacher), path) in kept.zip(&state.teachers) {
            if *sha256 != teacher.fingerprint() {
                return Err(TrainError::Teacher(format!(
                    "`{path}` is not the network that the run was started with"
                )));
            }
        }
        let moments = Some((last, moments));
        Self::assemble(dataset, start, state, moments, teachers, device, |state| {
            RunFolder::resume(folder, state.metrics_bytes, state.events_bytes)
        })
    }

    /// What start and resume have in common; the folder is touched last, when everything fits.
    fn assemble(
        dataset: &'a Dataset,
        start: Checkpoint,
        state: RunState,
        moments: Option<(PathBuf, Moments)>,
        teachers: &[Checkpoint],
        device: &Device,
        folder: impl FnOnce(&RunState) -> Result<RunFolder, TrainError>,
    ) -> Result<Self, TrainError> {
        check_data(dataset, &start)?;
        for teacher in teachers {
            check_teacher(teacher, &start)?;
        }
        let options = &state.options;
        let graph = &start.network.graph;
        options.check(graph, dataset, !teachers.is_empty())?;
        let (training, validation) = state.splits(dataset);
        let class_weights = class_weights(dataset, options, &training)?;
        let frozen = options.freeze.nodes(graph)?;
        let (mut center, graph) = match options.loss.center {
            Some(center) => {
                let (head, wider) = CenterHead::new(center, graph)?;
                (Some(head), wider)
            }
            None => (None, graph.clone()),
        };
        let network = Network {
            graph,
            weights: start.network.weights.clone(),
        };
        let mut params = Params::new(&network);
        params.freeze(&frozen);
        let mut optimizer =
            Optimizer::new(options.optimizer, &params).with_penalty(options.penalty.clone());
        if let Some((path, moments)) = moments {
            optimizer.updates = state.step;
            moments
                .restore(&mut params, &mut optimizer, center.as_mut())
                .map_err(|problem| TrainError::RunFile { path, problem })?;
        }
        let radius = options.optimizer.sharpness;
        let ascent = (radius > 0.0).then(|| Ascent::new(radius, &params));
        let session = Session {
            started: Instant::now(),
            seconds_before: state.seconds,
            images: 0,
        };
        let precision = options.precision;
        match device {
            Device::Cpu if precision.or_f32() != precision => {
                tracing::warn!("this processor has no fast bfloat16: training in f32");
            }
            Device::Candle(_) if precision != Precision::F32 => {
                tracing::warn!("bfloat16 is for the CPU: training in f32");
            }
            _ => {}
        }
        let teachers = Teachers::new(
            teachers,
            |graph| device.engine(graph, precision),
            options.loss.distill_crops,
            dataset,
            &training,
        )?;
        Ok(Self {
            engine: device.engine(network.graph, precision),
            teachers,
            dataset,
            training,
            validation,
            class_weights,
            start,
            folder: folder(&state)?,
            state,
            params,
            optimizer,
            ascent,
            center,
            save_every: Duration::from_secs(300),
            session,
        })
    }

    /// Saves the run at this interval; five minutes if never called. A killed run loses that much.
    pub fn save_every(&mut self, interval: Duration) {
        self.save_every = interval;
    }

    /// Trains to the end, or until the callback says stop.
    ///
    /// # Errors
    /// When the loss or the network diverges, or a file cannot be written.
    pub fn run(&mut self, callback: &mut StepCallback<'_>) -> Result<Outcome, TrainError> {
        let options = self.state.options.clone();
        let dataset = self.dataset;
        let (training, input) = (self.training.clone(), self.start.input);
        let loader = Loader {
            dataset,
            indices: &training,
            input: &input,
            augment: &options.augment,
            batch: options.batch,
            seed: options.seed,
        };
        let mut going = true;
        let mut saved = Instant::now();
        while going && !self.state.finished() {
            let (epoch, first) = (self.state.epoch, self.state.batch);
            loader.epoch(epoch, first, |number, batch| {
                self.step(number, batch, loader.batches())?;
                if saved.elapsed() >= self.save_every {
                    self.save()?;
                    saved = Instant::now();
                }
                let report = self.report(loader.batches(), None);
                going = callback(&report);
                Ok::<_, TrainError>(going)
            })?;
            if self.state.batch == loader.batches() {
                let metrics = self.end_epoch()?;
                saved = Instant::now();
                let report = self.report(loader.batches(), Some(metrics));
                going &= callback(&report);
            }
        }
        // the end of an epoch has saved itself
        if self.state.batch > 0 {
            self.save()?;
        }
        Ok(Outcome {
            finished: self.state.finished(),
            epochs: self.state.epoch,
            best: self.state.best,
        })
    }

    fn step(&mut self, number: usize, batch: &Batch, batches: usize) -> Result<(), TrainError> {
        let state = &self.state;
        let at = state.epoch as f64 + number as f64 / batches as f64;
        let options = &state.options;
        let rate = options
            .schedule
            .rate_at(at, options.epochs, state.watch.lowered());
        let taught = self.teachers.logits(batch)?;
        let loss = self.gradient(number, batch, taught.as_deref())?;
        if let Some(mut ascent) = self.ascent.take() {
            ascent.climb(&mut self.params);
            self.gradient(number, batch, taught.as_deref())?;
            ascent.descend(&mut self.params);
            self.ascent = Some(ascent);
        }
        self.optimizer.step(&mut self.params, rate);
        let images = batch.images.len();
        let state = &mut self.state;
        state.step += 1;
        state.batch = number + 1;
        state.loss_sum += loss.mean * images as f64;
        state.correct += loss.correct;
        state.seen += images;
        self.session.images += images;
        Ok(())
    }

    /// The loss of a batch where the weights are, and its gradient in the parameters.
    fn gradient(
        &mut self,
        number: usize,
        batch: &Batch,
        taught: Option<&[f32]>,
    ) -> Result<BatchLoss, TrainError> {
        let state = &self.state;
        // one dropout seed a step, far from those of other runs' seeds
        let seed = state.options.seed.rotate_left(32) ^ state.step;
        let rows =
            self.engine
                .forward(&mut self.params, &batch.pixels, batch.images.len(), seed)?;
        let (logits, features) = match &self.center {
            Some(head) => head.split(&rows),
            None => (rows, Vec::new()),
        };
        let classes = self.dataset.labels().len();
        let mut loss = match self.dataset.targets().map(Targets::kind) {
            Some(TargetKind::AnyOf) => any_of(classes, &logits, &batch.targets),
            _ => cross_entropy(
                &state.options.loss,
                &self.class_weights,
                classes,
                &logits,
                &batch.targets,
                taught,
            ),
        };
        if let Some(head) = &mut self.center {
            head.add(state.epoch, &features, &batch.targets, &mut loss);
        }
        if !loss.mean.is_finite() {
            return Err(TrainError::Diverged {
                what: "the loss",
                value: loss.mean,
                epoch: state.epoch,
                batch: number,
            });
        }
        self.engine.backward(&mut self.params, &loss.gradient)?;
        Ok(loss)
    }

    /// Validates, logs, saves, and turns to the next epoch.
    fn end_epoch(&mut self) -> Result<serde_json::Value, TrainError> {
        self.check_numbers()?;
        // a best network with no run beside it is that of a run whose state was deleted, and never of one that died
        if !self.folder.file(LAST_FILE).exists() {
            self.save()?;
        }
        let evaluated = self.optimizer.evaluated(&self.params);
        let validation = validate(
            self.engine.as_mut(),
            &evaluated,
            self.center.as_ref(),
            &self.start.input,
            self.dataset,
            &self.validation,
        )?;
        let seconds = self.seconds();
        let epoch = self.state.epoch + 1;
        let options = &self.state.options;
        let seen = self.state.seen.max(1) as f64;
        let lowered = self.state.watch.lowered();
        let mut line = json!({
            "epoch": epoch,
            "step": self.state.step,
            "learning_rate": options.schedule.rate_at(epoch as f64 - 0.5, options.epochs, lowered),
            "train_loss": self.state.loss_sum / seen,
            "train_accuracy": self.state.correct as f64 / seen,
            "validation_loss": validation.as_ref().map(Evaluation::loss),
            "validation_accuracy": validation.as_ref().map(Evaluation::accuracy),
            "seconds": seconds,
            "images_per_second": self.session.images as f64
                / self.session.started.elapsed().as_secs_f64().max(1e-9),
        });
        if options.penalty.is_on() {
            line["penalty"] = options.penalty.value(&self.params).into();
        }
        let mut scalars = vec![
            ("loss/train", self.state.loss_sum / seen),
            ("accuracy/train", self.state.correct as f64 / seen),
        ];
        if let Some(validation) = &validation {
            scalars.push(("loss/validation", validation.loss()));
            scalars.push(("accuracy/validation", validation.accuracy()));
        }
        self.folder.log(&line, self.state.step, &scalars)?;
        let validated = validation.as_ref().map(|validation| Validated {
            loss: validation.loss(),
            accuracy: validation.accuracy(),
        });
        let keep = self.state.options.keep;
        // without validation images the newest network is the best one known
        let improved = match (&validated, self.state.best) {
            (Some(now), Some(best)) => keep.prefers(now, &best),
            _ => true,
        };
        if improved {
            self.state.best = validated.map(|seen| Best {
                accuracy: seen.accuracy,
                loss: seen.loss,
                epoch,
            });
        }
        let checkpoint = self.checkpoint(&evaluated);
        if improved {
            checkpoint.save(&self.folder.file(BEST_FILE))?;
        }
        if let Some(seen) = validated {
            let options = &self.state.options;
            if self.state.watch.see(options, seen) {
                let lowered = self.state.watch.lowered();
                let rate = options
                    .schedule
                    .rate_at(epoch as f64, options.epochs, lowered);
                tracing::info!("a plateau after epoch {epoch}: learning rate {rate}");
            }
        }
        self.state.epoch = epoch;
        self.state.batch = 0;
        self.state.loss_sum = 0.0;
        self.state.correct = 0;
        self.state.seen = 0;
        self.write(&checkpoint)?;
        Ok(line)
    }

    fn checkpoint(&self, params: &Params) -> Checkpoint {
        let start = &self.start;
        let mut history = start.history.clone();
        history.seed = self.state.options.seed;
        history.add_dataset(&self.state.data);
        history.validation_accuracy = self.state.best.map(|best| best.accuracy);
        Checkpoint {
            network: params.network(&start.network.graph),
            labels: start.labels.clone(),
            input: start.input,
            history,
        }
    }

    /// Refuses numbers that no checkpoint may hold, so that the last good one stays: a step whose loss was a number may
    /// have spoiled the network.
    fn check_numbers(&self) -> Result<(), TrainError> {
        let optimizer = &self.optimizer;
        let own = self.params.iter().map(|param| param.value.as_slice());
        let kept = [&optimizer.first, &optimizer.second, &optimizer.average];
        let kept = kept.into_iter().flatten().map(Vec::as_slice);
        let centers = self.center.iter().map(|head| head.centers.values().data());
        let mut numbers = own.chain(kept).chain(centers).flatten();
        match numbers.find(|number| !number.is_finite()) {
            None => Ok(()),
            Some(&number) => Err(TrainError::Diverged {
                what: "a number of the network or its optimiser",
                value: number.into(),
                epoch: self.state.epoch,
                // the one that was counted last
                batch: self.state.batch.saturating_sub(1),
            }),
        }
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.check_numbers()?;
        let checkpoint = self.checkpoint(&self.optimizer.evaluated(&self.params));
        self.write(&checkpoint)
    }

    /// Writes the run with the checkpoint of its numbers, which have been checked.
    fn write(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        self.state.seconds = self.seconds();
        (self.state.metrics_bytes, self.state.events_bytes) = self.folder.lengths();
        let moments = Moments::of(&self.params, &self.optimizer, self.center.as_ref());
        let path = self.folder.file(LAST_FILE);
        checkpoint.save_run(&path, &self.state, &moments)?;
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.session.seconds_before + self.session.started.elapsed().as_secs_f64()
    }

    fn report(&self, batches: usize, epoch_metrics: Option<serde_json::Value>) -> StepReport {
        let state = &self.state;
        let speed =
            self.session.images as f64 / self.session.started.elapsed().as_secs_f64().max(1e-9);
        let all = state.options.epochs * self.training.len();
        let done = state.epoch * self.training.len() + state.seen;
        let left = all.saturating_sub(done) as f64 / speed.max(1e-9);
        StepReport {
            epoch: (state.epoch, state.options.epochs),
            batch: (state.batch, batches),
            loss: state.loss_sum / state.seen.max(1) as f64,
            images_per_second: speed,
            left: Duration::from_secs_f64(left.min(1e9)),
            epoch_metrics,
        }
    }
}

/// What the network with these numbers makes of the validation images, if there are any.
fn validate(
    engine: &mut dyn Engine,
    params: &Params,
    center: Option<&CenterHead>,
    input: &Preprocess,
    dataset: &Dataset,
    images: &[usize],
) -> Result<Option<Evaluation>, TrainError> {
    if images.is_empty() {
        return Ok(None);
    }
    let logits = predict::logits(dataset, images, input, Crops::Center, |pixels, batch| {
        let rows = engine.infer(params, pixels, batch)?;
        Ok::<_, TrainError>(match center {
            Some(head) => head.split(&rows).0,
            None => rows,
        })
    })?;
    let targets = predict::targets(dataset, images);
    let evaluation = Evaluation::from_logits(dataset.labels(), &logits, &targets)?;
    Ok(Some(evaluation))
}
