//! `fer-tools data plot`: pictures of a data set.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fer_models::Preprocess;
use fer_tools::augment::Augment;
use fer_tools::data;
use fer_tools::data::summary::Summary;
use fer_tools::report::{Svg, augmentation_sheet, histogram_picture};

use super::super::eval::is_png;
use super::super::exit::Usage;
use super::super::recipe::{self, Recipe};
use super::super::votes::VoteFlags;
use super::options;

/// Draw the classes of a data set, and what augmentation makes of its images.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  How many images of each class every split has:
    fer-tools data plot fer2013.csv --histogram classes.svg
  One image of each class as a recipe's training sees it, five times:
    fer-tools data plot synth:7:700 --sheet sheet.png --recipe host/recipes/vgg19-lite.toml")]
pub(super) struct Args {
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, jaffe:DIR, kdef:ANGLES:DIR, or
    /// synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    #[command(flatten)]
    votes: VoteFlags,
    /// Images by split and class: .svg or .png
    #[arg(long, value_name = "FILE", required_unless_present = "sheet")]
    histogram: Option<PathBuf>,
    /// An image of each class and what augmentation makes of it: .svg or .png. It shows the images:
    /// not for publication where they are people
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Recipe whose augmentation the sheet shows; random crop and flip if not given
    #[arg(long, value_name = "FILE", requires = "sheet")]
    recipe: Option<PathBuf>,
    /// Pictures beside each image
    #[arg(long, value_name = "N", default_value_t = 5, requires = "sheet",
          value_parser = clap::value_parser!(u8).range(1..=20))]
    times: u8,
    /// Seed of the augmentation
    #[arg(long, default_value_t = 1, requires = "sheet")]
    seed: u64,
    /// Count wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    for path in [&args.histogram, &args.sheet].into_iter().flatten() {
        is_png(path)?;
    }
    let augment = match &args.recipe {
        Some(path) => recipe::read::<Recipe>(path)?.train.augment,
        None => Augment::reference(),
    };
    if let Err(error) = augment.validate() {
        return Err(Usage(format!("--recipe: {error}")).into());
    }
    let data = args.votes.spec(&args.data)?;
    let loaded = data::open(&data, &options(args.skip_bad))?;
    if let Some(path) = &args.histogram {
        save(&histogram_picture(&Summary::new(&loaded), &args.data), path)?;
    }
    if let Some(path) = &args.sheet {
        let input = Preprocess::fer2013(1);
        let sheet = augmentation_sheet(
            &loaded.dataset,
            &input,
            &augment,
            args.times.into(),
            args.seed,
            args.data.clone(),
        );
        save(&sheet.draw(), path)?;
    }
    Ok(())
}

fn save(picture: &Svg, path: &Path) -> Result<()> {
    if is_png(path)? {
        picture.save_png(path, 2.0)?;
    } else {
        picture.save_svg(path)?;
    }
    Ok(())
}
