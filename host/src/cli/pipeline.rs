//! `fer-tools pipeline`: train → prune → fine-tune → export from one TOML file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fer_models::{Crops, MANIFEST_FILE, Manifest};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::compress::slim::{SlimOptions, slim};
use fer_tools::data::{self, Dataset, LoadOptions};
use fer_tools::graph::build::{Architecture, build};
use fer_tools::graph::init;
use fer_tools::train::{BEST_FILE, Device, LAST_FILE, Setup, StepCallback, TrainOptions, Trainer};
use serde::Deserialize;

use super::exit::Configuration;
use super::export::{Export, print_exported};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::{export, recipe, start, train};

const EXAMPLES: &str = "\
Example file:
  data = \"fer2013.csv.xz\"
  name = \"my-model\"
  [network]
  name = \"vgg19\"
  width = 0.25
  channels = 1
  [train]
  epochs = 20
  optimizer = { sparsity = 1e-4 }
  [prune]
  target = { percent = 0.5 }
  [fine_tune]
  epochs = 5
  schedule = { kind = \"cosine\", rate = 0.01, warmup = 0.0 }
  [export]
  crops = \"center\"

Run it; run the same command again after an interruption, and it goes on where it stopped:
  fer-tools pipeline my-model.toml --out runs/my-model";

/// Train, prune, fine-tune and export from one TOML file, resumable at every stage.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// TOML file with the four stages
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder for the stages: train, pruned.safetensors, fine-tune, model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    data: String,
    name: String,
    network: Architecture,
    train: TrainOptions,
    prune: SlimOptions,
    fine_tune: FineTune,
    #[serde(default)]
    export: ExportPlan,
}

/// Training options, and whether the unpruned network teaches.
#[derive(Debug, Deserialize)]
struct FineTune {
    #[serde(default)]
    distill: bool,
    #[serde(flatten)]
    train: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExportPlan {
    crops: Crops,
    images: usize,
}

impl Default for ExportPlan {
    fn default() -> Self {
        Self {
            crops: Crops::Center,
            images: 1000,
        }
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    let plan: Plan = recipe::read(&args.file)?;
    let wrong = |table: &str, e: &dyn std::fmt::Display| {
        Configuration(format!("{}: [{table}]: {e}", args.file.display()))
    };
    let fine_tune: TrainOptions = toml::Value::Table(plan.fine_tune.train.clone())
        .try_into()
        .map_err(|e: toml::de::Error| wrong("fine_tune", &e))?;
    for (table, options) in [("train", &plan.train), ("fine_tune", &fine_tune)] {
        options.validate().map_err(|e| wrong(table, &e))?;
    }
    plan.prune.validate().map_err(|e| wrong("prune", &e))?;
    export::check_images(plan.export.images).map_err(|e| wrong("export", &e))?;
    if let Err(e) = Manifest::check_name(&plan.name) {
        return Err(Configuration(format!("{}: {e}", args.file.display())).into());
    }
    let load = LoadOptions {
        tile: start::input_of(Some(&plan.network)).tile,
        ..LoadOptions::default()
    };
    let interrupt = Interrupt::listen()?;
    let dataset = data::open(&plan.data, &load)?.dataset;
    // before the hours of training, not after them
    let graph = build(&plan.network, dataset.labels().len()).map_err(|e| wrong("network", &e))?;
    for (table, options, taught) in [
        ("train", &plan.train, false),
        ("fine_tune", &fine_tune, plan.fine_tune.distill),
    ] {
        let place = format!("{}: [{table}]", args.file.display());
        let checked = options.check(&graph, &dataset, taught);
        checked.map_err(|e| recipe::blame(Some(place), e))?;
    }
    // how far it can be cut is a matter of its structure, not of its numbers
    slim(&init::fresh(graph, plan.train.seed), &plan.prune).map_err(|e| wrong("prune", &e))?;
    let path = |name: &str| args.out.join(name);
    let command = format!(
        "fer-tools pipeline {} --out {}",
        args.file.display(),
        args.out.display()
    );

    let teacher = stage("train", &path("train"), &dataset, &interrupt, || {
        let mut start = start::fresh(Some(&plan.network), plan.train.seed, dataset.labels())?;
        start.history.commands.push(command.clone());
        Ok(Setup {
            start,
            options: plan.train.clone(),
            teachers: Vec::new(),
            data: plan.data.clone(),
        })
    })?;

    let pruned = path("pruned.safetensors");
    if !pruned.exists() {
        let mut checkpoint = Checkpoint::load(&teacher)?;
        let slimmed = slim(&checkpoint.network, &plan.prune).context("cannot prune")?;
        tracing::info!("pruned:\n{}", slimmed.report);
        checkpoint.network = slimmed.network;
        checkpoint.history.validation_accuracy = None;
        checkpoint.save(&pruned)?;
    }

    let tuned = stage(
        "fine-tune",
        &path("fine-tune"),
        &dataset,
        &interrupt,
        || {
            let distill = plan.fine_tune.distill;
            Ok(Setup {
                start: Checkpoint::load(&pruned)?,
                options: fine_tune.clone(),
                teachers: match distill {
                    true => vec![(Checkpoint::load(&teacher)?, teacher.clone())],
                    false => Vec::new(),
                },
                data: plan.data.clone(),
            })
        },
    )?;

    let model = path("model");
    if model.join(MANIFEST_FILE).exists() {
        tracing::info!("export: done before");
        return Ok(());
    }
    let export = Export {
        name: &plan.name,
        data: &plan.data,
        images: plan.export.images,
        crops: plan.export.crops,
        command,
    };
    let made = export.run(&Checkpoint::load(&tuned)?, &dataset, &model)?;
    print_exported(&made, &model)
}

/// Starts a training stage, goes on with it, or finds it done; gives its best checkpoint.
fn stage(
    name: &str,
    folder: &Path,
    dataset: &Dataset,
    interrupt: &Interrupt,
    setup: impl FnOnce() -> Result<Setup>,
) -> Result<PathBuf> {
    let best = folder.join(BEST_FILE);
    let last = folder.join(LAST_FILE);
    // the state, large and of no more use, may have been deleted
    if best.exists() && !last.exists() {
        tracing::info!("{name}: done before");
        return Ok(best);
    }
    let progress = Progress::new();
    let callback: &mut StepCallback<'_> = &mut |report| {
        progress.show(report);
        interrupt.is_quiet()
    };
    let outcome = if last.exists() {
        let (_, state, _) = Checkpoint::load_run(&last)?;
        if state.finished() {
            tracing::info!("{name}: done before");
            return Ok(best);
        }
        tracing::info!("{name}: going on at epoch {}", state.epoch + 1);
        let teachers = train::teachers(&state)?;
        Trainer::resume(folder, dataset, &teachers, &Device::Cpu)?.run(callback)?
    } else {
        tracing::info!("{name}: starting");
        Trainer::start(folder, dataset, setup()?, &Device::Cpu)?.run(callback)?
    };
    if !outcome.finished {
        interrupt.check("the same command")?;
    }
    Ok(best)
}
