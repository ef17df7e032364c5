//! Pictures of how good a network is: scores by class, calibration.

use std::path::PathBuf;

use anyhow::{Context, Result};
use fer_tools::report::{Evaluation, Svg, calibration_picture, classes_picture};

use super::super::crops::{CropsName, crops_of};
use super::super::judged::Judged;
use super::super::output::check_file;
use super::super::picture::{is_png, name_of, save};

/// A network, its images, and the picture to write.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    judged: Judged,
    /// Crops of each face; what the manifest says if not given, for a checkpoint the centre
    #[arg(long, value_enum)]
    crops: Option<CropsName>,
    /// Picture to write: .svg or .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn classes(args: &Args) -> Result<()> {
    draw(args, classes_picture)
}

pub(super) fn calibration(args: &Args) -> Result<()> {
    draw(args, calibration_picture)
}

fn draw(args: &Args, picture: fn(&Evaluation, &str) -> Svg) -> Result<()> {
    is_png(&args.out)?;
    check_file(&args.out)?;
    let (mut candidate, dataset) = args.judged.open()?;
    let crops = crops_of(args.crops, &candidate);
    let indices = dataset.indices(args.judged.split);
    let evaluation = candidate
        .evaluate(&dataset, &indices, crops)
        .with_context(|| args.judged.subject())?;
    let title = format!("{} {}", args.judged.split, name_of(&args.judged.model));
    save(&picture(&evaluation, &title), &args.out)
}
