//! `fer-tools data folders`, `csv`, `split` and `ferplus`: data sets on disk, in another form.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use fer_tools::data::part::{Persons, at_most, divide};
use fer_tools::data::votes::Votes;
use fer_tools::data::{self, Dataset, LoadOptions, Split, fer2013, store};

use super::super::exit::Usage;
use super::super::votes::VoteFlags;
use super::{options, parse_side};

/// Write a data set as folders of PNG files: train/<class>/*.png, valid/<class>/*.png, ….
///
/// Images are made grey and 48×48, or what --size says: networks that read more want a larger one.
#[derive(Debug, clap::Args)]
pub(super) struct FoldersArgs {
    #[command(flatten)]
    from: Source,
    /// New or empty folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    fewer: Fewer,
}

/// Write data sets as one FER2013 CSV, one behind the other: append your own images to FER2013.
///
/// All of them must have FER2013's classes; images are made grey and 48×48.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  FER2013 with a folder of one's own; its images are Training where it has no split folders:
    fer-tools data csv fer2013.csv my-faces/ --out more.csv")]
pub(super) struct CsvArgs {
    /// FER2013 CSV, folder of class folders, jaffe:DIR, kdef:ANGLES:DIR or synth:SEED:COUNT
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
    /// CSV file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave out wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    fewer: Fewer,
}

/// Divide a data set into Training, PublicTest (validation) and PrivateTest (test), each class in the
/// same shares; splits that it has are forgotten.
///
/// Images are made grey and 48×48, or what --size says: networks that read more want a larger one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  A tenth for validation and a tenth for the test, nobody in two of them:
    fer-tools data split kdef:HL,S,HR:KDEF --validation 0.1 --test 0.1 --by-person \\
      --out kdef-split
  As one CSV, where the classes are FER2013's:
    fer-tools data split my-faces --validation 0.2 --out my-faces.csv")]
pub(super) struct SplitArgs {
    #[command(flatten)]
    from: Source,
    /// Share of each class for validation
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = parse_share)]
    validation: f64,
    /// Share of each class for the test
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    test: f64,
    /// Keep the images of a person together
    #[arg(long)]
    by_person: bool,
    /// The same seed gives the same parts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// New or empty folder, or a file in .csv
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
}

/// Write FER2013 as FER+'s own program does: FER2013Train, FER2013Valid and FER2013Test with PNG files
/// and a label.csv of votes each.
#[derive(Debug, clap::Args)]
pub(super) struct FerplusArgs {
    /// FER2013 CSV (also .gz .xz .zst .zip)
    #[arg(value_name = "DATA")]
    data: String,
    /// FER+'s votes: fer2013new.csv
    #[arg(value_name = "VOTES")]
    votes: PathBuf,
    /// New or empty folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A data set, with other labels where asked for.
#[derive(Debug, clap::Args)]
struct Source {
    /// FER2013 CSV, folder of class folders, jaffe:DIR, kdef:ANGLES:DIR or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    #[command(flatten)]
    votes: VoteFlags,
    /// Side of the written images in pixels; a CSV holds 48
    #[arg(long, value_name = "PIXELS", default_value_t = fer2013::SIDE, value_parser = parse_side)]
    size: usize,
    /// Leave out wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

/// Fewer images of the frequent classes.
#[derive(Debug, clap::Args)]
struct Fewer {
    /// Keep at most this many images of each class and split, drawn by --draw
    #[arg(long, value_name = "N")]
    at_most: Option<NonZeroUsize>,
    /// The same number draws the same images
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "at_most")]
    draw: u64,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=0.9).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 0.9".into())
}

impl Source {
    fn open(&self) -> Result<Dataset> {
        let data = self.votes.spec(&self.data)?;
        let load = LoadOptions {
            tile: self.size,
            ..options(self.skip_bad)
        };
        Ok(data::open(&data, &load)?.dataset)
    }
}

impl Fewer {
    fn apply(&self, dataset: Dataset) -> Dataset {
        match self.at_most {
            Some(most) => at_most(&dataset, most.get(), self.draw),
            None => dataset,
        }
    }
}

pub(super) fn folders(args: &FoldersArgs) -> Result<()> {
    let dataset = args.fewer.apply(args.from.open()?);
    tell(&args.out, store::write_folders(&args.out, &dataset)?)
}

pub(super) fn csv(args: &CsvArgs) -> Result<()> {
    let mut sets = Vec::new();
    for data in &args.data {
        let dataset = data::open(data, &options(args.skip_bad))?.dataset;
        sets.push((Path::new(data), dataset));
    }
    let joined = args.fewer.apply(fer2013::join(&sets)?);
    fer2013::write(&args.out, &joined)?;
    tell(&args.out, joined.len())
}

pub(super) fn split(args: &SplitArgs) -> Result<()> {
    let (validation, test) = (args.validation, args.test);
    if validation + test > 0.9 {
        return Err(
            Usage("--validation and --test: at least a tenth is for training".into()).into(),
        );
    }
    let dataset = args.from.open()?;
    let persons = if args.by_person {
        ensure!(
            dataset.subjects().is_some(),
            "{}: the file names do not say who is on the images",
            args.from.data
        );
        Persons::Apart
    } else {
        Persons::Mixed
    };
    let all: Vec<usize> = (0..dataset.len()).collect();
    let shares = [1.0 - validation - test, validation, test];
    let parts = divide(&dataset, &all, &shares, persons, args.seed);
    let placed: Vec<_> = parts
        .into_iter()
        .zip(Split::ALL)
        .flat_map(|(part, split)| part.into_iter().map(move |index| (index, split)))
        .collect();
    tell(&args.out, write(&args.out, &dataset.select(&placed))?)
}

pub(super) fn ferplus(args: &FerplusArgs) -> Result<()> {
    let images = data::open(&args.data, &LoadOptions::default())?.dataset;
    let votes = Votes::load(&args.votes)?;
    let mut out = std::io::stdout().lock();
    for (split, count) in store::write_ferplus(&args.out, &images, &votes)? {
        writeln!(out, "{split:<12} {count:>6} pictures")?;
    }
    Ok(())
}

/// Writes a FER2013 CSV where `out` ends in .csv, else folders; gives the number of images.
pub(super) fn write(out: &Path, dataset: &Dataset) -> Result<usize> {
    if out.extension().is_some_and(|suffix| suffix == "csv") {
        fer2013::write(out, dataset)?;
        return Ok(dataset.len());
    }
    Ok(store::write_folders(out, dataset)?)
}

pub(super) fn tell(out: &Path, images: usize) -> Result<()> {
    writeln!(
        std::io::stdout().lock(),
        "{}\t{images} images",
        out.display()
    )?;
    Ok(())
}
