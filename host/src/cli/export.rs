//! `fer-tools export`: a checkpoint becomes a model folder that the edge runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fer_models::{Accuracy, Crops, Decision, Manifest, Preprocess, Provenance};
use fer_tools::checkpoint::{Checkpoint, History};
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::export::{Exported, Facts, Images, write_package};
use fer_tools::graph::exec::{Engine, NativeEngine, Params};
use fer_tools::judge::Candidate;

use super::crops::CropsName;
use super::exit::Usage;
use super::output::check_folder;
use super::value::value_name;

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
    check_folder(&args.out)?;
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    let load = LoadOptions {
        tile: checkpoint.input.tile,
        ..LoadOptions::default()
    };
    let dataset = data::open(&args.data, &load)?.dataset;
    let made = Export {
        name: &args.name,
        data: &args.data,
        images: args.images,
        crops: args.crops.into(),
        command: format!(
            "fer-tools export {} --data {} --name {} --out {} --images {} --crops {}",
            args.checkpoint.display(),
            args.data,
            args.name,
            args.out.display(),
            args.images,
            value_name(&args.crops)
        ),
    }
    .run(&checkpoint, &dataset, &args.out)
    .with_context(|| format!("cannot export {}", args.checkpoint.display()))?;
    print_exported(&made, &args.out)
}

/// The choices of one export.
pub(super) struct Export<'a> {
    pub(super) name: &'a str,
    /// What the data set was read from.
    pub(super) data: &'a str,
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
        let on = (self.data, split, indices.len());
        let accuracy = measured(&checkpoint.history, on, accuracy);
        let facts = facts(checkpoint, self.name, self.crops, command, accuracy);
        let mut reference = |pixels: &[f32], batch| engine.infer(&params, pixels, batch);
        let network = &checkpoint.network;
        Ok(write_package(out, network, &facts, images, &mut reference)?)
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

/// The accuracy of ten crops on so many images of a split, which names its data unless the network
/// was trained on them and no others.
pub(super) fn measured(
    history: &History,
    (data, split, images): (&str, Split, usize),
    accuracy: f64,
) -> Accuracy {
    let split = if data == history.dataset {
        split.name().to_owned()
    } else {
        format!("{split} of {data}, {images} images")
    };
    Accuracy {
        split,
        crops: Crops::Ten,
        percent: 100.0 * accuracy as f32,
    }
}

/// What the manifest and the card state: the checkpoint's history with `command` at its end, and how
/// well it does.
pub(super) fn facts(
    checkpoint: &Checkpoint,
    name: &str,
    crops: Crops,
    command: String,
    accuracy: Accuracy,
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
            commit: commit(Path::new(".")).unwrap_or_else(|| "unknown".into()),
            accuracy: Some(accuracy),
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

/// The commit of the work tree of fer that `folder` is in; another repository's would tell nothing.
fn commit(folder: &Path) -> Option<String> {
    let git = |asked: &str| {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).arg("rev-parse");
        let said = git.args(asked.split(' ')).stderr(Stdio::null()).output();
        let said = said.ok().filter(|said| said.status.success())?;
        Some(String::from_utf8(said.stdout).ok()?.trim().to_owned())
    };
    let ours = Path::new(&git("--show-toplevel")?).join("host/Cargo.toml");
    let ours: toml::Table = toml::from_str(&std::fs::read_to_string(ours).ok()?).ok()?;
    let name = ours.get("package")?.get("name")?.as_str()?;
    if name != env!("CARGO_PKG_NAME") {
        return None;
    }
    git("--short=12 HEAD")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What was measured on another file was stated as of the data trained on.
    #[test]
    fn an_accuracy_on_other_data_than_those_trained_on_names_them() {
        let on = |dataset: &str| {
            let history = History {
                dataset: dataset.into(),
                ..History::default()
            };
            measured(&history, ("own.csv", Split::PublicTest, 70), 0.5).split
        };
        assert_eq!(on("own.csv"), "PublicTest");
        for trained in ["fer2013.csv", "own.csv and fer2013.csv", ""] {
            assert_eq!(on(trained), "PublicTest of own.csv, 70 images");
        }
    }

    /// The manifest named the last commit of whatever repository the command ran in.
    #[test]
    fn a_commit_of_somebody_elses_repository_is_none_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let git = |line: &str| {
            let mut git = Command::new("git");
            // as a hook that runs the tests sets them
            for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
                git.env_remove(name);
            }
            git.arg("-C").arg(folder.path()).args(line.split(' '));
            assert!(git.status().unwrap().success(), "git {line}");
        };
        git("init --quiet");
        let us = "-c user.name=us -c user.email=us -c commit.gpgsign=false";
        git(&format!("{us} commit --quiet --allow-empty -m first"));
        assert_eq!(commit(folder.path()), None);
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        fs::create_dir(folder.path().join("host")).unwrap();
        fs::copy(ours, folder.path().join("host/Cargo.toml")).unwrap();
        assert_eq!(commit(folder.path()).unwrap().len(), 12);
    }
}
