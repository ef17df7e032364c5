//! `fer-tools average`: one network with the mean of several networks' weights.

use std::path::PathBuf;

use anyhow::{Result, bail};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::graph::{GraphError, average};

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
    mean.network = average(&first.network, &networks).map_err(|error| {
        let file = match error {
            GraphError::Unlike { number } => args.checkpoints[number - 1].display().to_string(),
            _ => "cannot average".into(),
        };
        anyhow::Error::from(error).context(file)
    })?;
    mean.history.commands.push(args.command());
    // it was measured on the networks before
    mean.history.validation_accuracy = None;
    mean.save(&args.out)?;
    tracing::info!("wrote {}: the mean of {}", args.out.display(), all.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_network_of_another_structure_is_named_by_its_file() {
        let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo");
        let network = |name: &str| zoo.join(name).join("checkpoint.safetensors");
        let (own, other) = (network("vgg19-tiny"), network("vgg19-twelfth"));
        let args = Args {
            checkpoints: vec![own.clone(), own, other.clone()],
            out: "no/where.safetensors".into(),
        };
        let error = format!("{:#}", run(args).unwrap_err());
        let says = format!("{}: network 3 has another structure", other.display());
        assert!(error.starts_with(&says), "{error}");
    }
}
