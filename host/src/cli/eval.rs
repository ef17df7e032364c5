//! `fer-tools eval`: judge a network on a split.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_models::Crops;
use fer_tools::augment::Augment;
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::judge::Candidate;
use fer_tools::predict::Draws;
use fer_tools::report::{Svg, confusion_picture};

use super::exit::Usage;
use super::train::augmentations;
use super::votes::VoteFlags;

const EXAMPLES: &str = "\
Examples:
  An exported model, as the edge runs it:
    fer-tools eval models/zoo/vgg19-lite fer2013.csv.xz
  A checkpoint, ten crops, with its confusion matrix as a picture:
    fer-tools eval runs/vgg19/best.safetensors fer2013.csv --crops ten --picture confusion.svg
  As Residual Masking Network is tested: ten draws of its training augmentation
    fer-tools eval best.safetensors fer2013.csv --draws 10 --augment rot30
  A network of FER+'s eight classes, by majority:
    fer-tools eval runs/ferplus/best.safetensors fer2013.csv --ferplus fer2013new.csv";

/// Judge a checkpoint or an exported model: accuracy, loss, per-class scores, calibration, confusion.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    judged: Judged,
    /// Crops of each face; what the manifest says if not given, for a checkpoint the centre
    #[arg(long, value_enum)]
    crops: Option<CropsName>,
    /// Judge on N random variants of each face instead, and average their probabilities
    #[arg(long, value_name = "N", conflicts_with = "crops", value_parser = clap::value_parser!(u16).range(1..=1000))]
    draws: Option<u16>,
    /// How they vary
    #[arg(long, requires = "draws", default_value = "rot30", value_parser = augmentations())]
    augment: String,
    /// The same seed draws the same variants
    #[arg(long, requires = "draws", default_value_t = 1)]
    seed: u64,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write the confusion matrix as a picture: .svg or .png
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// A network and the images that it is judged on.
#[derive(Debug, clap::Args)]
pub(super) struct Judged {
    /// Checkpoint file, model folder or its model.toml
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    pub(super) data: String,
    /// Training, PublicTest or PrivateTest. Choose models on PublicTest, never on PrivateTest
    #[arg(long, default_value = "PublicTest")]
    pub(super) split: Split,
    /// Count wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    votes: VoteFlags,
}

impl Judged {
    /// Opens both.
    pub(super) fn open(&self) -> Result<(Candidate, Dataset)> {
        let candidate = Candidate::open(&self.model)?;
        let load = LoadOptions {
            skip_bad: self.skip_bad,
            tile: candidate.input().tile,
        };
        let dataset = data::open(&self.spec()?, &load)?.dataset;
        Ok((candidate, dataset))
    }

    /// The data as every command reads them, labels included.
    fn spec(&self) -> Result<String> {
        self.votes.spec(&self.data)
    }

    /// What an error in judging is about.
    pub(super) fn subject(&self) -> String {
        format!("cannot judge {} on {}", self.model.display(), self.data)
    }
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
    // before the work, not after it
    args.picture.as_deref().map(is_png).transpose()?;
    let Judged { model, split, .. } = &args.judged;
    let (mut candidate, dataset) = args.judged.open()?;
    let indices = dataset.indices(*split);
    let crops = args
        .crops
        .map(Crops::from)
        .or(candidate.crops())
        .unwrap_or(Crops::Center);
    let evaluation = match args.draws {
        Some(count) => {
            let augment = Augment::named(&args.augment)
                .ok_or_else(|| Usage(format!("no augmentation is called {}", args.augment)))?;
            let draws = Draws {
                augment: &augment,
                count: count.into(),
                seed: args.seed,
            };
            candidate.evaluate_drawn(&dataset, &indices, draws)
        }
        None => candidate.evaluate(&dataset, &indices, crops),
    }
    .with_context(|| args.judged.subject())?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut value = evaluation.json();
        value["model"] = model.display().to_string().into();
        value["data"] = args.judged.spec()?.into();
        value["split"] = split.name().into();
        match args.draws {
            Some(count) => {
                value["draws"] = count.into();
                value["augment"] = args.augment.as_str().into();
                value["seed"] = args.seed.into();
            }
            None => value["crops"] = crops.count().into(),
        }
        writeln!(out, "{value}")?;
    } else {
        let how = match args.draws {
            Some(count) => format!("{count} draws of {} a face", args.augment),
            None => format!("{} crop(s) a face", crops.count()),
        };
        writeln!(out, "{} on {split}, {how}", model.display())?;
        write!(out, "{}", evaluation.table())?;
    }
    if let Some(path) = &args.picture {
        let title = format!("{split} {}", name_of(model));
        save(&confusion_picture(&evaluation, &title), path)?;
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

/// Writes a picture as its name asks for, PNG with two pixels a unit where that is not too large.
pub(super) fn save(picture: &Svg, path: &Path) -> Result<()> {
    let saved = if is_png(path)? {
        picture.save_png(path, picture.largest_scale().min(2.0))
    } else {
        picture.save_svg(path)
    };
    saved.with_context(|| format!("cannot write {}", path.display()))
}

/// What people call a model: its folder or file without the path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
