//! `fer-tools train`: train, fine-tune, distil, resume.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use fer_tools::augment::Augment;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, Dataset, LoadOptions};
use fer_tools::graph::build::{Architecture, NAMES};
use fer_tools::graph::count::Counts;
use fer_tools::graph::exec::Precision;
use fer_tools::train::{
    BEST_FILE, ClassWeights, Device, LAST_FILE, Outcome, RunState, SEEDS_FILE, Setup, Trainer,
    fingerprint,
};

use super::compute::Compute;
use super::exit::Usage;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::recipe::{Recipe, blame};
use super::seeds;
use super::start::{changed, fit, fresh, grown, input_of};
use super::tuning::{Tuning, set};
use super::value::augmentations;
use super::votes::VoteFlags;

const EXAMPLES: &str = "\
Examples:
  Without any download, in seconds:
    fer-tools train synth:7:2100 --out runs/first --arch vgg19 --width 0.125 --channels 1 \\
      --epochs 4
  The reference recipe on FER2013:
    fer-tools train fer2013.csv --out runs/vgg19
  From a recipe, one thing changed:
    fer-tools train fer2013.csv.xz --recipe host/recipes/vgg19-lite.toml --seed 2 \\
      --out runs/lite-2
  FER+'s eight expressions, one drawn from ten people's votes in each epoch:
    fer-tools train fer2013.csv --ferplus fer2013new.csv --labels probability \\
      --out runs/ferplus
  Go on after a power cut:
    fer-tools train --resume runs/vgg19
  How much the seed matters: three runs, their mean and spread:
    fer-tools train fer2013.csv --recipe host/recipes/vgg19-lite.toml --seeds 1,2,3 \\
      --out runs/lite-seeds
  Only the last layers, with Adam, a falling rate and an early end:
    fer-tools train faces/ --from big.safetensors --freeze-before -3 --optimizer adam \\
      --lr 1e-3 --epochs 60 --schedule plateau --stop-patience 8 --out runs/faces
  A wide network that begins as a narrow one does:
    fer-tools train fer2013.csv --recipe host/recipes/vgg19.toml --grow slim.safetensors \\
      --out runs/grown
  Win accuracy back after pruning, with the unpruned network as teacher:
    fer-tools train fer2013.csv --from slim.safetensors \\
      --distill runs/vgg19/best.safetensors --epochs 10 --schedule cosine --out runs/slim";

/// Train a network, from scratch, from a checkpoint, or from where a run stopped.
///
/// What a recipe does not say and no flag sets is the reference's: VGG19, 250 epochs of 128 images,
/// SGD with momentum 0.9, learning rate 0.01, weight decay 5e-4, gradients clamped to ±0.1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(value_name = "DATA", required_unless_present = "resume")]
    data: Option<String>,
    /// Folder for checkpoints and logs of a new run
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder exactly where it stopped
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "out", "new", "tuning", "votes"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    new: NewRun,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    votes: VoteFlags,
    #[command(flatten)]
    compute: Compute,
}

/// What only a new run is told.
#[derive(Debug, clap::Args)]
#[group(id = "new", multiple = true)]
struct NewRun {
    /// TOML file with the network and the training; flags change what it says
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Architecture
    #[arg(long, value_parser = NAMES, conflicts_with = "from")]
    arch: Option<String>,
    /// Multiplies the channel counts
    #[arg(long, conflicts_with = "from")]
    width: Option<f64>,
    /// Image channels: 1 for grey, 3 for grey replicated as the references feed it
    #[arg(long, conflicts_with = "from", value_parser = parse_channels)]
    channels: Option<u8>,
    /// Side of the image in pixels; the published one if not given. Above 48, images are resized to it
    #[arg(long, value_name = "PIXELS", conflicts_with = "from", value_parser = clap::value_parser!(u16).range(1..=1024))]
    size: Option<u16>,
    /// Probability of dropping a feature before the classifier; with --from, instead of that network's own
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f32>,
    /// Start from this checkpoint, pruned or not
    #[arg(long, value_name = "CHECKPOINT")]
    from: Option<PathBuf>,
    /// Give that network an output for each class of the data; classes that both know keep their weights
    #[arg(long, requires = "from", conflicts_with_all = ["arch", "grow"])]
    new_head: bool,
    /// Start as this narrower network of the same architecture, with fresh channels beside its own
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "from")]
    grow: Option<PathBuf>,
    /// Learn from this network besides the labels (repeatable: from the mean of several)
    #[arg(long, value_name = "CHECKPOINT")]
    distill: Vec<PathBuf>,
    /// Passes over the training images
    #[arg(long)]
    epochs: Option<usize>,
    /// Images a step
    #[arg(long)]
    batch: Option<usize>,
    /// What the CPU computes in; bf16 needs AMX or AVX-512 BF16 and is faster, else f32 is used
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,
    /// How training images differ from time to time
    #[arg(long, value_parser = augmentations())]
    augment: Option<String>,
    /// Share of each target spread over all classes
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f32>,
    /// Weigh classes: balanced (against their frequency, if nothing is said), inverse, or a number each
    #[arg(long, value_name = "RULE", num_args = 0..=1, require_equals = true,
          default_missing_value = "balanced")]
    class_weights: Option<ClassWeights>,
    /// Seed of weights, order, augmentation and dropout
    #[arg(long)]
    seed: Option<u64>,
    /// Train once with each of these seeds, in folders of their own; the same command again goes on
    #[arg(
        long,
        value_name = "SEED,SEED,…",
        value_delimiter = ',',
        conflicts_with = "seed"
    )]
    seeds: Vec<u64>,
    /// The same with this many seeds, from --seed on
    #[arg(long, value_name = "N", conflicts_with = "seeds",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeat: Option<u16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionName {
    /// 32 bits everywhere
    F32,
    /// bfloat16 activations and products; weights, sums and statistics in 32 bits
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

impl NewRun {
    /// The recipe, with what the flags change.
    fn recipe(&self, tuning: &Tuning) -> Result<Recipe> {
        let mut recipe: Recipe = match &self.recipe {
            Some(path) => Recipe::read(path, self.arch.as_deref())?,
            None => Recipe::default(),
        };
        recipe.warn_of_network(self.recipe.as_deref(), self.from.as_deref());
        let network = recipe.network.get_or_insert_with(|| {
            Architecture::published(self.arch.as_deref().unwrap_or("vgg19"))
        });
        set(&mut network.width, self.width);
        set(&mut network.channels, self.channels.map(usize::from));
        set(&mut network.dropout, self.dropout);
        network.size = self.size.map(usize::from).or(network.size);
        let train = &mut recipe.train;
        set(&mut train.epochs, self.epochs);
        set(&mut train.batch, self.batch);
        set(&mut train.seed, self.seed);
        set(&mut train.precision, self.precision.map(Precision::from));
        let augment = self.augment.as_deref().and_then(Augment::named);
        set(&mut train.augment, augment);
        set(&mut train.loss.label_smoothing, self.label_smoothing);
        set(&mut train.loss.class_weights, self.class_weights.clone());
        tuning.apply(train)?;
        Ok(recipe)
    }
}

/// How runs are done, whatever they train.
struct Way {
    device: Device,
    load: LoadOptions,
    save_every: Duration,
    interrupt: Interrupt,
    /// The flags to give again to a run that is resumed.
    again: String,
    /// Whether the command trains with several seeds.
    several: bool,
}

impl Way {
    /// Trains until it is done.
    ///
    /// # Errors
    /// As the run, and [`Interrupted`](super::interrupt::Interrupted).
    fn to_the_end(&self, mut trainer: Trainer<'_>, folder: &Path) -> Result<Outcome> {
        trainer.save_every(self.save_every);
        let progress = Progress::new();
        let outcome = trainer.run(&mut |report| {
            progress.show(report);
            self.interrupt.is_quiet()
        })?;
        if !outcome.finished {
            self.interrupt.check(&self.go_on(folder))?;
        }
        Ok(outcome)
    }

    /// What goes on with the run in `folder`.
    fn go_on(&self, folder: &Path) -> String {
        if self.several {
            return "the same command".into();
        }
        format!(
            "fer-tools train --resume {}{}",
            folder.display(),
            self.again
        )
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    // a recipe's is passed over with a warning
    if args.compute.is_gpu() && matches!(args.new.precision, Some(PrecisionName::Bf16)) {
        let problem = "--precision bf16 is for the CPU: --device cuda computes in f32";
        return Err(Usage(problem.into()).into());
    }
    let way = Way {
        device: args.compute.begin()?,
        load: LoadOptions {
            skip_bad: args.compute.skip_bad,
            ..LoadOptions::default()
        },
        save_every: args.compute.save_every(),
        interrupt: Interrupt::listen()?,
        again: args.compute.again(),
        several: !args.new.seeds.is_empty() || args.new.repeat.is_some(),
    };
    let (outcome, folder) = match (&args.resume, &args.data, &args.out) {
        (Some(folder), ..) if folder.join(SEEDS_FILE).exists() => {
            return Err(Usage(format!(
                "{} holds the runs of several seeds: give the command that started them again",
                folder.display()
            ))
            .into());
        }
        (Some(folder), ..) => (resume(folder, &way)?, folder),
        (None, Some(data), Some(folder)) => {
            let data = &args.votes.spec(data)?;
            let recipe = args.new.recipe(&args.tuning)?;
            let new = &args.new;
            if let Some(asked) = seeds::asked(&new.seeds, new.repeat, recipe.train.seed)? {
                return seeds::run(
                    folder,
                    plan(new, &recipe, data, &way)?,
                    &asked,
                    |seed, folder| {
                        let mut recipe = recipe.clone();
                        recipe.train.seed = seed;
                        start(new, recipe, data, folder, &way)
                    },
                    |folder| resume(folder, &way),
                );
            }
            let outcome = start(&args.new, recipe, data, folder, &way)?;
            (outcome, folder)
        }
        // clap asks for DATA and --out where there is no --resume
        _ => return Err(Usage("give DATA and --out, or --resume".into()).into()),
    };
    match outcome.best {
        Some(best) => tracing::info!(
            "kept epoch {}, validation {:.2} %, loss {:.4}: {}",
            best.epoch,
            100.0 * best.accuracy,
            best.loss,
            folder.join(BEST_FILE).display()
        ),
        None => tracing::info!(
            "no validation images; the last network: {}",
            folder.join(BEST_FILE).display()
        ),
    }
    Ok(())
}

/// What the runs of several seeds have in common. Data and networks are told by what is in them, since files may change
/// from one run to the next.
fn plan(new: &NewRun, recipe: &Recipe, data: &str, way: &Way) -> Result<serde_json::Value> {
    let (_, dataset) = inputs(new, recipe, data, way)?;
    let mut recipe = recipe.clone();
    recipe.train.seed = 0;
    // through text: 0.1 stays 0.1, as it will be read back, and does not become 0.10000000149
    let recipe: serde_json::Value = serde_json::from_str(&serde_json::to_string(&recipe)?)?;
    let network = |path: &PathBuf| -> Result<serde_json::Value> {
        let sha256 = Checkpoint::load(path)?.fingerprint();
        Ok(serde_json::json!({ "path": path.display().to_string(), "sha256": sha256 }))
    };
    Ok(serde_json::json!({
        "data": data,
        "data_sha256": fingerprint(&dataset),
        "recipe": recipe,
        "from": new.from.as_ref().map(network).transpose()?,
        "new_head": new.new_head,
        "grow": new.grow.as_ref().map(network).transpose()?,
        "distill": new.distill.iter().map(network).collect::<Result<Vec<_>>>()?,
    }))
}

/// The network to start from, where one is given, and the data in its size.
fn inputs<'a>(
    new: &'a NewRun,
    recipe: &Recipe,
    data: &str,
    way: &Way,
) -> Result<(Option<(Checkpoint, &'a Path)>, Dataset)> {
    let valid = recipe.train.validate();
    valid.map_err(|e| blame(new.recipe.as_deref().map(Path::display), e))?;
    let from = match &new.from {
        Some(path) => Some((changed(path, new.dropout)?, path.as_path())),
        None => None,
    };
    let tile = from.as_ref().map_or_else(
        || input_of(recipe.network.as_ref()).tile,
        |(from, _)| from.input.tile,
    );
    let load = LoadOptions {
        tile,
        ..way.load.clone()
    };
    Ok((from, data::open(data, &load)?.dataset))
}

fn start(new: &NewRun, recipe: Recipe, data: &str, folder: &Path, way: &Way) -> Result<Outcome> {
    let blamed = |error: anyhow::Error| blame(new.recipe.as_deref().map(Path::display), error);
    let (from, dataset) = inputs(new, &recipe, data, way)?;
    let command = command_line();
    let mut start = match from {
        Some(from) => fit(
            from,
            (dataset.labels(), data),
            new.new_head,
            recipe.train.seed,
        )?,
        None => {
            let network = recipe.network.as_ref();
            fresh(network, recipe.train.seed, dataset.labels()).map_err(blamed)?
        }
    };
    if let Some(path) = &new.grow {
        start = grown(path, start)?;
    }
    start.history.commands.push(command);
    let teachers = new
        .distill
        .iter()
        .map(|path| Ok((Checkpoint::load(path)?, path.clone())))
        .collect::<Result<_>>()?;
    let counts = Counts::of(&start.network.graph);
    tracing::info!(
        "{}: {} parameters, {:.1} M multiply-adds",
        start.network.graph.name(),
        counts.parameters,
        counts.multiply_adds as f64 / 1e6
    );
    let setup = Setup {
        start,
        options: recipe.train,
        teachers,
        data: data.to_owned(),
    };
    let trainer =
        Trainer::start(folder, &dataset, setup, &way.device).map_err(|e| blamed(e.into()))?;
    way.to_the_end(trainer, folder)
}

fn resume(folder: &Path, way: &Way) -> Result<Outcome> {
    let (checkpoint, state, _) = Checkpoint::load_run(&folder.join(LAST_FILE))?;
    let load = LoadOptions {
        tile: checkpoint.input.tile,
        ..way.load.clone()
    };
    let loaded = data::open(&state.data, &load)?;
    let teachers = teachers(&state)?;
    tracing::info!(
        "going on at epoch {}, batch {}",
        state.epoch + 1,
        state.batch
    );
    let trainer = Trainer::resume(folder, &loaded.dataset, &teachers, &way.device)?;
    way.to_the_end(trainer, folder)
}

/// What was typed, for the history.
pub(super) fn command_line() -> String {
    // a path need not be UTF-8
    let words = std::env::args_os().skip(1);
    words.fold("fer-tools".into(), |line, word| {
        line + " " + &word.to_string_lossy()
    })
}

fn parse_channels(text: &str) -> Result<u8, String> {
    let channels = text.parse().ok().filter(|n| matches!(n, 1 | 3));
    channels.ok_or_else(|| "expected 1 or 3".into())
}

/// The networks that a run learns from.
pub(super) fn teachers(state: &RunState) -> Result<Vec<Checkpoint>> {
    let load = |path| Ok(Checkpoint::load(Path::new(path))?);
    state.teachers.iter().map(load).collect()
}
