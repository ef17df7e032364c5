//! `fer-tools data`: look at, draw, convert and divide data sets.

mod convert;
mod duplicates;
mod plot;
mod votes;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use fer_tools::data::{self, LoadOptions, Split, average, fer2013, summary::Summary, synth};

use super::votes::VoteFlags;

/// Look at, draw, convert and divide data sets.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Info(InfoArgs),
    Synth(SynthArgs),
    Average(AverageArgs),
    Plot(plot::Args),
    Votes(votes::Args),
    Folders(convert::FoldersArgs),
    Csv(convert::CsvArgs),
    Split(convert::SplitArgs),
    Ferplus(convert::FerplusArgs),
    Duplicates(duplicates::Args),
}

/// Count the images of a data set by split and class.
#[derive(Debug, clap::Args)]
struct InfoArgs {
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, jaffe:DIR, kdef:ANGLES:DIR, or
    /// synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    #[command(flatten)]
    votes: VoteFlags,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Count wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

/// Draw simple faces with the seven FER2013 expressions and write them as a FER2013 CSV.
#[derive(Debug, clap::Args)]
struct SynthArgs {
    /// The same seed draws the same faces
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Number of faces, spread evenly over the expressions; a tenth goes into each test split
    #[arg(long, default_value_t = 700, value_parser = parse_count)]
    count: usize,
    /// CSV file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Write the average face of each class of the Training split as PNG.
///
/// A class with fewer than 100 faces is refused: an average of few faces can show a person.
#[derive(Debug, clap::Args)]
struct AverageArgs {
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    /// Folder for the pictures, one <class>.png each; made where it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Side of the pictures in pixels
    #[arg(long, default_value_t = fer2013::SIDE, value_parser = parse_side)]
    size: usize,
    /// Leave out wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

fn parse_count(text: &str) -> Result<usize, String> {
    parse_within(text, synth::MIN_COUNT, synth::MAX_COUNT)
}

fn parse_side(text: &str) -> Result<usize, String> {
    parse_within(text, 1, data::MAX_TILE)
}

fn parse_within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

/// Runs the subcommand.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Info(args) => info(&args),
        Command::Synth(args) => draw(&args),
        Command::Average(args) => write_averages(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Votes(args) => votes::run(&args),
        Command::Folders(args) => convert::folders(&args),
        Command::Csv(args) => convert::csv(&args),
        Command::Split(args) => convert::split(&args),
        Command::Ferplus(args) => convert::ferplus(&args),
        Command::Duplicates(args) => duplicates::run(&args),
    }
}

fn options(skip_bad: bool) -> LoadOptions {
    LoadOptions {
        skip_bad,
        ..LoadOptions::default()
    }
}

fn info(args: &InfoArgs) -> Result<()> {
    let data = args.votes.spec(&args.data)?;
    let summary = Summary::new(&data::open(&data, &options(args.skip_bad))?);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &summary).context("cannot write to stdout")?;
        writeln!(out)?;
    } else {
        write!(out, "{}", summary.table())?;
    }
    Ok(())
}

fn draw(args: &SynthArgs) -> Result<()> {
    let dataset = synth::dataset(args.seed, args.count, fer2013::SIDE)?;
    fer2013::write(&args.out, &dataset)?;
    tracing::info!(faces = dataset.len(), seed = args.seed, file = %args.out.display(), "drawn");
    Ok(())
}

fn write_averages(args: &AverageArgs) -> Result<()> {
    let loaded = data::open(&args.data, &options(args.skip_bad))?;
    let averages = average::class_averages(&loaded.dataset, Split::Training)?;
    let tile = loaded.dataset.tile();
    let paths = average::write_pngs(&averages, tile, args.size, &args.out)?;
    let mut out = std::io::stdout().lock();
    for (average, path) in averages.iter().zip(&paths) {
        writeln!(out, "{}\t{} faces", path.display(), average.faces)?;
    }
    Ok(())
}
