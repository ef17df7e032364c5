//! `fer-tools eval`: judge a network on a split.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use fer_tools::augment::Augment;
use fer_tools::predict::Draws;
use fer_tools::report::confusion_picture;

use super::crops::{CropsName, crops_of};
use super::exit::Usage;
use super::judged::Judged;
use super::picture::{is_png, name_of, save};
use super::value::augmentations;

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

pub(crate) fn run(args: Args) -> Result<()> {
    // before the work, not after it
    args.picture.as_deref().map(is_png).transpose()?;
    let Judged { model, split, .. } = &args.judged;
    let (mut candidate, dataset) = args.judged.open()?;
    let indices = dataset.indices(*split);
    let crops = crops_of(args.crops, &candidate);
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
