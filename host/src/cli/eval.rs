//! `fer-tools eval`: judge a network on a split.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_models::Crops;
use fer_tools::data::{self, LoadOptions, Split};
use fer_tools::judge::Candidate;
use fer_tools::report::confusion_picture;

use super::exit::Usage;

const EXAMPLES: &str = "\
Examples:
  The shipped model, as the edge runs it:
    fer-tools eval models/zoo/vgg19-lite fer2013.csv.xz
  A checkpoint, ten crops, with its confusion matrix as a picture:
    fer-tools eval runs/vgg19/best.safetensors fer2013.csv --crops ten --picture confusion.svg";

/// Judge a checkpoint or an exported model: accuracy, loss, per-class scores, calibration, confusion.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint file, model folder or its model.toml
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    /// Training, PublicTest or PrivateTest. Choose models on PublicTest, never on PrivateTest
    #[arg(long, default_value = "PublicTest")]
    split: Split,
    /// Crops of each face; what the manifest says if not given, for a checkpoint the centre
    #[arg(long, value_enum)]
    crops: Option<CropsName>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write the confusion matrix as a picture: .svg or .png
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Count wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

/// The crops of a face that are averaged.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CropsName {
    /// The middle
    Center,
    /// Corners and middle, and their mirror images
    Ten,
}

impl From<CropsName> for Crops {
    fn from(name: CropsName) -> Self {
        match name {
            CropsName::Center => Self::Center,
            CropsName::Ten => Self::Ten,
        }
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    let as_png = args.picture.as_deref().map(is_png).transpose()?;
    let mut candidate = Candidate::open(&args.model)?;
    let crops = args
        .crops
        .map(Crops::from)
        .or(candidate.crops())
        .unwrap_or(Crops::Center);
    let load = LoadOptions {
        skip_bad: args.skip_bad,
        tile: candidate.input().tile,
    };
    let dataset = data::open(&args.data, &load)?.dataset;
    let evaluation = candidate
        .evaluate(&dataset, &dataset.indices(args.split), crops)
        .with_context(|| format!("cannot judge {} on {}", args.model.display(), args.data))?;
    if let (Some(path), Some(as_png)) = (&args.picture, as_png) {
        let title = format!("{} {}", args.split, name_of(&args.model));
        let picture = confusion_picture(&evaluation, &title);
        if as_png {
            picture.save_png(path, 2.0)?;
        } else {
            picture.save_svg(path)?;
        }
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut value = evaluation.json();
        value["model"] = args.model.display().to_string().into();
        value["split"] = args.split.name().into();
        value["crops"] = crops.count().into();
        writeln!(out, "{value}")?;
    } else {
        let crops = crops.count();
        writeln!(
            out,
            "{} on {}, {crops} crop(s) a face",
            args.model.display(),
            args.split
        )?;
        write!(out, "{}", evaluation.table())?;
    }
    Ok(())
}

/// Whether a picture's name asks for PNG rather than SVG.
pub(super) fn is_png(path: &Path) -> Result<bool> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("png") => Ok(true),
        Some("svg") => Ok(false),
        _ => Err(Usage(format!(
            "{}: expected a name in .svg or .png",
            path.display()
        ))
        .into()),
    }
}

/// What people call a model: its folder or file without the path.
fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
