//! `fer-tools report pruning`: what pruning cost and saved.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fer_models::Crops;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, LoadOptions, Split};
use fer_tools::graph::count::Counts;
use fer_tools::judge::Candidate;
use fer_tools::report::{Cost, Costs};

use super::super::crops::CropsName;
use super::super::exit::{Configuration, Usage};
use super::super::picture::{is_png, save};
use super::super::recipe;

const EXAMPLES: &str = "\
Examples:
  Checkpoints, judged here; the TOML it prints can be drawn again:
    fer-tools report pruning before.safetensors after.safetensors --data fer2013.csv \\
      --out pruning.svg
  A table of your own:
    fer-tools report pruning networks.toml --out pruning.png
  which holds, the first as it was before:
    [[network]]
    name = \"vgg19\"
    accuracy = 0.71
    multiply_adds = 675748352
    parameters = 20038983";

/// Accuracy against multiply-adds and parameters, before and after pruning.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Checkpoints in the order in which they were made, with --data; or one table, .toml or .json
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Training, PublicTest or PrivateTest
    #[arg(long, default_value = "PublicTest", requires = "data")]
    split: Split,
    /// Crops of each face
    #[arg(long, value_enum, default_value = "center", requires = "data")]
    crops: CropsName,
    /// Title of the picture
    #[arg(long, value_name = "TEXT", default_value = "Before and after pruning")]
    title: String,
    /// Picture to write: .svg or .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    is_png(&args.out)?;
    let costs = match (&args.data, &args.files[..]) {
        (Some(data), files) => measure(args, data, files)?,
        (None, [table]) => read(table)?,
        (None, _) => return Err(Usage("several checkpoints need --data".into()).into()),
    };
    let picture = costs.picture(&args.title)?;
    if args.data.is_some() {
        write!(std::io::stdout().lock(), "{}", toml::to_string(&costs)?)?;
    }
    save(&picture, &args.out)
}

fn read(path: &Path) -> Result<Costs> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => recipe::read(path),
        Some("json") => {
            let name = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("{name}"))?;
            serde_json::from_str(&text).map_err(|e| Configuration(format!("{name}: {e}")).into())
        }
        _ => {
            let name = path.display();
            Err(Usage(format!(
                "{name}: expected .toml or .json, or --data for a checkpoint"
            ))
            .into())
        }
    }
}

fn measure(args: &Args, spec: &str, files: &[PathBuf]) -> Result<Costs> {
    let mut costs = Costs::default();
    for file in files {
        let checkpoint = Checkpoint::load(file)?;
        let counts = Counts::of(&checkpoint.network.graph);
        let options = LoadOptions {
            skip_bad: false,
            tile: checkpoint.input.tile,
        };
        let dataset = data::open(spec, &options)?.dataset;
        let indices = dataset.indices(args.split);
        let evaluation = Candidate::from_checkpoint(checkpoint)
            .evaluate(&dataset, &indices, Crops::from(args.crops))
            .with_context(|| format!("cannot judge {} on {spec}", file.display()))?;
        costs.network.push(Cost {
            name: file.display().to_string(),
            accuracy: evaluation.accuracy(),
            multiply_adds: counts.multiply_adds,
            parameters: counts.parameters,
        });
    }
    Ok(costs)
}
