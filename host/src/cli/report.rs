//! `fer-tools report`: what runs wrote and what networks got wrong, to look at.

mod face;
mod judged;
mod pruning;
mod run;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use fer_models::Crops;
use fer_tools::data::Dataset;
use fer_tools::predict;
use fer_tools::report::{
    Mistake, Picture, Sheet, Tile, curves_picture, mistakes, mistakes_table, read_metrics,
};
use fer_tools::train::METRICS_FILE;

use super::crops::CropsName;
use super::judged::Judged;
use super::picture::{is_png, save};

/// Draw what a run has written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Args),
    Curves(CurvesArgs),
    Errors(ErrorsArgs),
    /// Precision, recall and F1 of each class as bars
    Classes(judged::Args),
    /// Whether a network is as often right as it is sure (reliability diagram)
    Calibration(judged::Args),
    Face(face::Args),
    Pruning(pruning::Args),
}

/// Loss and accuracy over the epochs of a run.
#[derive(Debug, clap::Args)]
struct CurvesArgs {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Picture to write: .svg or .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Faces in a row of a sheet.
const ACROSS: usize = 6;

const ERRORS_EXAMPLES: &str = "\
Examples:
  Which labels are mixed up, and the 20 surest mistakes:
    fer-tools report errors runs/vgg19/best.safetensors fer2013.csv --crops ten
  More of them, from the images that the network has learned from:
    fer-tools report errors models/zoo/vgg19-lite fer2013.csv --split Training --top 100
  Their faces:
    fer-tools report errors models/zoo/vgg19-lite fer2013.csv --sheet wrong.png";

/// What a network got wrong, the surest mistakes first; image numbers count from 0 in the data.
#[derive(Debug, clap::Args)]
#[command(after_help = ERRORS_EXAMPLES)]
struct ErrorsArgs {
    #[command(flatten)]
    judged: Judged,
    /// Crops of each face
    #[arg(long, value_enum, default_value = "center")]
    crops: CropsName,
    /// Lines of each table
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Draw the listed mistakes as a sheet: .svg or .png. It shows people: keep it as you keep the data
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Run(args) => run::run(&args),
        Command::Curves(args) => curves(&args),
        Command::Errors(args) => errors(&args),
        Command::Classes(args) => judged::classes(&args),
        Command::Calibration(args) => judged::calibration(&args),
        Command::Face(args) => face::run(&args),
        Command::Pruning(args) => pruning::run(&args),
    }
}

fn curves(args: &CurvesArgs) -> Result<()> {
    is_png(&args.out)?;
    let epochs = read_metrics(&args.run.join(METRICS_FILE))?;
    let run = args.run.display().to_string();
    let picture = curves_picture(&epochs, &run).with_context(|| run.clone())?;
    save(&picture, &args.out)
}

fn errors(args: &ErrorsArgs) -> Result<()> {
    args.sheet.as_deref().map(is_png).transpose()?;
    let (mut candidate, dataset) = args.judged.open()?;
    let indices = dataset.indices(args.judged.split);
    let logits = candidate
        .logits(&dataset, &indices, Crops::from(args.crops))
        .with_context(|| args.judged.subject())?;
    let targets = predict::targets(&dataset, &indices);
    let labels = dataset.labels();
    let wrong = mistakes(labels.len(), &logits, &targets);
    let number = |position: usize| indices[position];
    let table = mistakes_table(labels, targets.len(), &wrong, args.top, number);
    write!(std::io::stdout().lock(), "{table}")?;
    if let Some(path) = &args.sheet {
        let title = format!("{} of {} wrong", wrong.len(), targets.len());
        let listed = &wrong[..wrong.len().min(args.top)];
        save(
            &mistakes_sheet(title, &dataset, &indices, listed).draw(),
            path,
        )?;
    }
    Ok(())
}

/// The faces behind the mistakes, the surest first.
fn mistakes_sheet(title: String, data: &Dataset, indices: &[usize], wrong: &[Mistake]) -> Sheet {
    let name = |label: usize| data.labels().names()[label].as_str();
    let tile = |mistake: &Mistake| {
        let number = indices[mistake.position];
        Tile {
            picture: Picture::face(data.tile(), data.image(number)),
            captions: vec![
                format!(
                    "{} {:.1} %",
                    name(mistake.predicted),
                    100.0 * mistake.confidence
                ),
                format!("is {}", name(mistake.target)),
                format!("image {number}"),
            ],
        }
    };
    let tiles: Vec<Tile> = wrong.iter().map(tile).collect();
    Sheet::grid(title, vec!["the surest first".into()], ACROSS, &tiles)
}
