//! `fer-tools export`: a checkpoint becomes a model folder that the edge runs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_models::{Accuracy, Crops, Decision, Manifest, Preprocess, Provenance};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::export::{Exported, Facts, Images, write_package};
use fer_tools::graph::exec::{Engine, NativeEngine, Params};
use fer_tools::judge::Candidate;

use super::eval::CropsName;
use super::exit::Usage;

const EXAMPLES: &str = "\
Example:
  fer-tools export runs/slim/best.safetensors --data fer2013.csv.xz --name my-model \\
      --out my-model
  fer-edge run photo.jpg --model my-model";

/// Fold, write as ONNX, check in tract on real images, and describe in a manifest and a card.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint to export
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// Data whose PublicTest images the file is checked and measured on
    #[arg(long, value_name = "DATA")]
    data: String,
    /// The model's name: letters, digits, - _ .
    #[arg(long, value_parser = parse_name)]
    name: String,
    /// Folder for model.onnx, model.toml and CARD.md
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Images on which tract must agree with the network
    #[arg(long, default_value_t = 1000, value_parser = parse_images)]
    images: usize,
    /// Crops that the edge averages for a decision; one is ten times as fast
    #[arg(long, value_enum, default_value = "center")]
    crops: CropsName,
}

/// How many images an export may be checked on, or what was expected.
pub(super) fn check_images(images: usize) -> Result<usize, String> {
    match images {
        1..=100_000 => Ok(images),
        _ => Err(format!("{images} images, expected 1 to 100000")),
    }
}

fn parse_images(text: &str) -> Result<usize, String> {
    let images = text.parse::<usize>().map_err(|e| e.to_string());
    images.and_then(check_images)
}

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    match Manifest::check_name(text) {
        Ok(()) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    let load = LoadOptions {
        tile: checkpoint.input.tile,
        ..LoadOptions::default()
    };
    let dataset = data::open(&args.data, &load)?.dataset;
    let made = Export {
        name: &args.name,
        images: args.images,
        crops: args.crops.into(),
        command: format!(
            "fer-tools export {} --data {} --name {} --out {} --images {} --crops {}",
            args.checkpoint.display(),
            args.data,
            args.name,
            args.out.display(),
            args.images,
            args.crops
                .to_possible_value()
                .map_or_else(String::new, |v| v.get_name().to_owned())
        ),
    }
    .run(&checkpoint, &dataset, &args.out)
    .with_context(|| format!("cannot export {}", args.checkpoint.display()))?;
    print_exported(&made, &args.out)
}

/// The choices of one export.
pub(super) struct Export<'a> {
    pub(super) name: &'a str,
    pub(super) images: usize,
    pub(super) crops: Crops,
    pub(super) command: String,
}

impl Export<'_> {
    /// Measures the checkpoint with ten crops, then writes and checks the folder.
    pub(super) fn run(
        &self,
        checkpoint: &Checkpoint,
        dataset: &Dataset,
        out: &Path,
    ) -> Result<Exported> {
        let split = judged_split(dataset)?;
        let indices = dataset.indices(split);
        let accuracy = Candidate::from_checkpoint(checkpoint.clone())
            .evaluate(dataset, &indices, Crops::Ten)?
            .accuracy();
        let chosen = &indices[..self.images.min(indices.len())];
        let pixels = centre_crops(dataset, chosen, &checkpoint.input);
        let images = Images {
            pixels: &pixels,
            count: chosen.len(),
        };
        let params = Params::new(&checkpoint.network);
        let mut engine = NativeEngine::<f32>::new(checkpoint.network.graph.clone());
        let command = self.command.clone();
        let facts = facts(
            checkpoint,
            self.name,
            self.crops,
            command,
            (split, accuracy),
        );
        let mut failed = None;
        let mut reference = |pixels: &[f32], batch: usize| {
            engine
                .infer(&params, pixels, batch)
                .unwrap_or_else(|error| {
                    failed = Some(error);
                    Vec::new()
                })
        };
        let exported = write_package(out, &checkpoint.network, &facts, images, &mut reference);
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok(exported?)
    }
}

/// The split that models are chosen and measured on: PublicTest, or Training where there is none.
pub(super) fn judged_split(dataset: &Dataset) -> Result<Split> {
    [Split::PublicTest, Split::Training]
        .into_iter()
        .find(|&s| !dataset.indices(s).is_empty())
        .ok_or_else(|| Usage("the data has neither PublicTest nor Training images".into()).into())
}

/// The centre crops of the images at `indices` as the network's input.
pub(super) fn centre_crops(dataset: &Dataset, indices: &[usize], input: &Preprocess) -> Vec<f32> {
    let mut pixels = vec![0.0; indices.len() * input.input_len()];
    let crops = pixels.chunks_exact_mut(input.input_len());
    for (&i, out) in indices.iter().zip(crops) {
        input.write_input(dataset.image(i), Crops::Center, out);
    }
    pixels
}

/// What the manifest and the card state: the checkpoint's history with `command` at its end, and the
/// accuracy of ten crops on a split.
pub(super) fn facts(
    checkpoint: &Checkpoint,
    name: &str,
    crops: Crops,
    command: String,
    (split, accuracy): (Split, f64),
) -> Facts {
    let mut commands = checkpoint.history.commands.clone();
    commands.push(command);
    Facts {
        name: name.to_owned(),
        labels: checkpoint.labels.clone(),
        input: checkpoint.input,
        decision: Decision {
            temperature: 1.0,
            crops,
        },
        provenance: Provenance {
            dataset: checkpoint.history.dataset.clone(),
            command: commands.join("; "),
            seed: checkpoint.history.seed,
            commit: commit(),
            accuracy: Some(Accuracy {
                split: split.name().into(),
                crops: Crops::Ten,
                percent: 100.0 * accuracy as f32,
            }),
        },
        intended_use: "Reading the expression of a face in front of a camera on the device \
                       itself, for people who have been told and have agreed."
            .into(),
    }
}

/// Says what was written.
pub(super) fn print_exported(made: &Exported, out: &Path) -> Result<()> {
    let percent = made
        .manifest
        .provenance
        .accuracy
        .as_ref()
        .map(|a| a.percent);
    writeln!(
        std::io::stdout().lock(),
        "{}: {} bytes, {} parameters, {:.1} M multiply-adds, {:.2} % ten-crop; tract agrees on {} \
         images within {:.1e}, same decision on {}",
        out.display(),
        made.bytes,
        made.manifest.model.parameters,
        made.manifest.model.multiply_adds as f64 / 1e6,
        percent.unwrap_or(f32::NAN),
        made.agreement.images,
        made.agreement.difference,
        made.agreement.same_argmax
    )?;
    Ok(())
}

/// The commit of the work tree we run in, or `unknown` outside one.
fn commit() -> String {
    std::process::Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .stderr(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|out| out.status.success())
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .map_or_else(|| "unknown".into(), |text| text.trim().to_owned())
}
