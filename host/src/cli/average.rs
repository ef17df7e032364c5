//! `fer-tools average`: one network with the mean of several networks' weights.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::graph::average;

const EXAMPLES: &str = "\
Examples:
  A network, and what two more rounds of training made of it:
    fer-tools average runs/slim/best.safetensors runs/again/best.safetensors \\
      runs/polish/best.safetensors --out mean.safetensors
    fer-tools eval mean.safetensors fer2013.csv --crops ten";

/// Average the weights of networks that were trained on from the same one (model soup).
///
/// The mean is often better than each of them, and takes no longer than one. Of networks that were trained from scratch it
/// knows nothing: let those decide together with `fer-tools ensemble`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoints of one structure, two or more
    #[arg(value_name = "CHECKPOINT", required = true, num_args = 2..)]
    checkpoints: Vec<PathBuf>,
    /// Checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Args {
    /// The command for the checkpoint's history.
    fn command(&self) -> String {
        let names: Vec<_> = self
            .checkpoints
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        format!(
            "fer-tools average {} --out {}",
            names.join(" "),
            self.out.display()
        )
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    let load = |path: &PathBuf| Checkpoint::load(path);
    let all = args
        .checkpoints
        .iter()
        .map(load)
        .collect::<Result<Vec<_>, _>>()?;
    let Some((first, more)) = all.split_first() else {
        bail!("no checkpoint");
    };
    let mut mean = first.clone();
    for (other, path) in more.iter().zip(&args.checkpoints[1..]) {
        if (&other.labels, other.input) != (&first.labels, first.input) {
            bail!(
                "{}: has other classes or another input than the first",
                path.display()
            );
        }
        for command in &other.history.commands {
            if !mean.history.commands.contains(command) {
                mean.history.commands.push(command.clone());
            }
        }
        mean.history.seed = other.history.seed;
        mean.history.add_dataset(&other.history.dataset);
    }
    let networks: Vec<_> = more.iter().map(|other| other.network.clone()).collect();
    mean.network = average(&first.network, &networks).context("cannot average")?;
    mean.history.commands.push(args.command());
    // it was measured on the networks before
    mean.history.validation_accuracy = None;
    mean.save(&args.out)?;
    tracing::info!("wrote {}: the mean of {}", args.out.display(), all.len());
    Ok(())
}
