//! `fer-tools import`: a PyTorch checkpoint of a reference system becomes one of ours.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use fer_models::{Labels, Preprocess};
use fer_tools::checkpoint::{Checkpoint, History};
use fer_tools::graph::build::NAMES;
use fer_tools::graph::count::Counts;
use fer_tools::import::{Imported, import};
use serde::Serialize;

use super::exit::Usage;

const EXAMPLES: &str = "\
Examples:
  The published VGG19 of FER2013:
    fer-tools import PrivateTest_model.t7 --out vgg19.safetensors
    fer-tools eval vgg19.safetensors fer2013.csv --split PrivateTest --crops ten
  A network that was trained on CK+, whose seventh class is contempt:
    fer-tools import Test_model.t7 --labels ckplus --out ckplus.safetensors
  A pruned one; its widths come from the tensors, and `cfg` must agree where there is one:
    fer-tools import PrivateTest_modelprune.t7 --out slim.safetensors
  Classes of your own, in the order of the outputs:
    fer-tools import net.pth --labels calm,happy,tense --out own.safetensors";

/// Read a PyTorch checkpoint and write it as one of ours.
///
/// Reads both formats of `torch.save`, with the tensors under `net`, `state_dict` or `model_state_dict` or
/// alone, with or without `module.` before their names. The architecture is the one whose names fit. Nothing
/// in the file is executed; a file that wants more than tensors and plain containers is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint that PyTorch wrote (.t7, .pth, .pth.tar, .pt or any other name)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Architecture, where two have the same tensors: `resnet18` averages the top left of its last map
    /// as the first reference system does, `resnet18-gap` all of it
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    arch: Option<String>,
    /// fer2013, ferplus, ckplus, or names in the order of the outputs, separated by commas; without it
    /// seven outputs are FER2013's and eight FER+'s
    #[arg(long, value_name = "LABELS")]
    labels: Option<String>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Summary<'a> {
    architecture: &'a str,
    format: String,
    key: &'a str,
    naming: &'a str,
    labels: &'a [String],
    parameters: u64,
    multiply_adds: u64,
    ignored: usize,
}

impl Args {
    fn labels(&self, classes: usize) -> Result<Labels> {
        let labels = match (self.labels.as_deref(), classes) {
            (Some("fer2013"), _) | (None, 7) => Labels::fer2013(),
            (Some("ferplus"), _) | (None, 8) => Labels::ferplus(),
            (Some("ckplus"), _) => Labels::ckplus(),
            (Some(names), _) => {
                let names = names.split(',').map(|name| name.trim().to_owned());
                Labels::new(names.collect()).map_err(|e| Usage(format!("--labels: {e}")))?
            }
            (None, _) => {
                return Err(Usage(format!(
                    "the network has {classes} outputs: name them with --labels"
                ))
                .into());
            }
        };
        if labels.len() != classes {
            return Err(Usage(format!(
                "--labels names {} classes, the network has {classes} outputs",
                labels.len()
            ))
            .into());
        }
        Ok(labels)
    }

    /// The command for the checkpoint's history.
    fn command(&self) -> String {
        let mut command = format!(
            "fer-tools import {} --out {}",
            self.file.display(),
            self.out.display()
        );
        for (flag, value) in [("--arch", &self.arch), ("--labels", &self.labels)] {
            if let Some(value) = value {
                command.push_str(&format!(" {flag} {value}"));
            }
        }
        command
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    let Imported {
        network,
        format,
        key,
        naming,
        ignored,
    } = import(&args.file, args.arch.as_deref())?;
    let labels = args.labels(network.graph.classes())?;
    let [channels, crop, _] = network.graph.input_shape();
    let checkpoint = Checkpoint {
        network,
        labels,
        // the reference systems scale pixels to 0 to 1 and no more
        input: Preprocess::of_side(channels, crop),
        history: History {
            // the file does not say what it was trained on
            dataset: format!("unknown (imported from {})", args.file.display()),
            commands: vec![args.command()],
            ..History::default()
        },
    };
    checkpoint.save(&args.out)?;
    let graph = &checkpoint.network.graph;
    let counts = Counts::of(graph);
    let summary = Summary {
        architecture: graph.name(),
        format: format.to_string(),
        key,
        naming,
        labels: checkpoint.labels.names(),
        parameters: counts.parameters,
        multiply_adds: counts.multiply_adds,
        ignored,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &summary)?;
        writeln!(out)?;
    } else {
        writeln!(out, "architecture   {}", summary.architecture)?;
        writeln!(out, "format         {}", summary.format)?;
        let key = if key.is_empty() {
            "the whole object"
        } else {
            key
        };
        writeln!(out, "tensors under  {key}, names of {naming}")?;
        writeln!(out, "labels         {}", summary.labels.join(", "))?;
        writeln!(out, "parameters     {}", summary.parameters)?;
        writeln!(out, "multiply-adds  {}", summary.multiply_adds)?;
    }
    tracing::info!("wrote {}", args.out.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn labels(flags: &str, classes: usize) -> Result<Labels, String> {
        let line = format!("import net.t7 --out net.safetensors {flags}");
        let args: Args = parse(&line).map_err(|e| e.to_string())?;
        args.labels(classes).map_err(|e| e.to_string())
    }

    #[test]
    fn labels_follow_the_flag_or_the_outputs() {
        assert_eq!(labels("", 7), Ok(Labels::fer2013()));
        assert_eq!(labels("", 8), Ok(Labels::ferplus()));
        assert_eq!(labels("--labels ckplus", 7), Ok(Labels::ckplus()));
        let own = labels("--labels calm,tense", 2).unwrap();
        assert_eq!(own.names(), ["calm", "tense"]);
    }

    #[test]
    fn labels_that_cannot_be_meant_are_refused() {
        let cases = [
            ("", 10, "10 outputs: name them"),
            ("--labels ferplus", 7, "names 8 classes, the network has 7"),
            ("--labels a,a", 2, "--labels: "),
            ("--arch vgg20", 7, "vgg19"),
        ];
        for (flags, classes, says) in cases {
            let error = labels(flags, classes).unwrap_err();
            assert!(error.contains(says), "{flags}: {error}");
        }
    }
}
