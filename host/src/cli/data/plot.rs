//! `fer-tools data plot`: pictures of a data set.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fer_models::Preprocess;
use fer_tools::augment::Augment;
use fer_tools::data::summary::Summary;
use fer_tools::data::{self, LoadOptions};
use fer_tools::report::{augmentation_sheet, histogram_picture};

use super::super::exit::Usage;
use super::super::picture::{is_png, save};
use super::super::recipe::{self, Recipe};
use super::super::start;
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
    /// Recipe whose augmentation the sheet shows, on images as its network reads them; random crop and flip
    /// of 44 pixels if not given
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
    let (augment, input) = training(args.recipe.as_deref())?;
    if let Err(error) = augment.validate() {
        return Err(Usage(format!("--recipe: {error}")).into());
    }
    let data = args.votes.spec(&args.data)?;
    let load = LoadOptions {
        tile: input.tile,
        ..options(args.skip_bad)
    };
    let loaded = data::open(&data, &load)?;
    if let Some(path) = &args.histogram {
        save(&histogram_picture(&Summary::new(&loaded), &args.data), path)?;
    }
    if let Some(path) = &args.sheet {
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

/// What training by the recipe does to images, and what its network reads; the reference's without one.
fn training(recipe: Option<&Path>) -> Result<(Augment, Preprocess)> {
    let Some(path) = recipe else {
        return Ok((Augment::reference(), Preprocess::fer2013(1)));
    };
    let recipe: Recipe = recipe::read(path)?;
    let input = start::input_of(recipe.network.as_ref());
    Ok((recipe.train.augment, input))
}

#[cfg(test)]
mod tests {
    use image::GrayImage;

    use super::*;
    use crate::cli::parse;

    /// With two pixels a unit, sixty rows of pictures are more than a PNG may have.
    #[test]
    fn a_sheet_of_many_classes_is_drawn_smaller() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for class in 0..60 {
            let class = path(&format!("faces/class {class}"));
            std::fs::create_dir_all(&class).unwrap();
            GrayImage::new(48, 48).save(class.join("0.png")).unwrap();
        }
        let mut args: Args = parse("plot data --sheet sheet.png --times 1").unwrap();
        args.data = path("faces").display().to_string();
        args.sheet = Some(path("sheet.png"));
        run(&args).unwrap();
        assert!(path("sheet.png").is_file());
    }

    /// It drew 44 of 48 pixels, whatever the network read.
    #[test]
    fn a_sheet_shows_images_as_the_recipes_network_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = folder.path().join("large.toml");
        let text = "[network]\nname = \"vggnet\"\nsize = 64\n[train.augment]\nflip = 0.5\n";
        std::fs::write(&recipe, text).unwrap();
        let (augment, input) = training(Some(&recipe)).unwrap();
        assert_eq!((input.tile, input.crop), (64, 64));
        assert_eq!(augment.flip, 0.5);
        let (_, input) = training(None).unwrap();
        assert_eq!((input.tile, input.crop), (48, 44));

        let mut args: Args = parse("plot synth:7:70 --sheet sheet.svg").unwrap();
        let sheet = folder.path().join("sheet.svg");
        args.recipe = Some(recipe);
        args.sheet = Some(sheet.clone());
        run(&args).unwrap();
        assert!(sheet.is_file());
    }
}
