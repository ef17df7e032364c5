//! `fer-tools report`: pictures of what runs wrote.

use std::path::PathBuf;

use anyhow::Result;
use fer_tools::report::{curves_picture, read_metrics};
use fer_tools::train::METRICS_FILE;

use super::eval::is_png;

/// Draw what a run has written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Curves(CurvesArgs),
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

pub(crate) fn run(args: Args) -> Result<()> {
    let Command::Curves(args) = args.command;
    let as_png = is_png(&args.out)?;
    let epochs = read_metrics(&args.run.join(METRICS_FILE))?;
    let picture = curves_picture(&epochs, &args.run.display().to_string())?;
    if as_png {
        picture.save_png(&args.out, 2.0)?;
    } else {
        picture.save_svg(&args.out)?;
    }
    Ok(())
}
