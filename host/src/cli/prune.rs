//! `fer-tools prune`: cut the weakest channels out of a checkpoint.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::compress::slim::{Budget, Scope, SlimOptions, Target, slim};

use super::exit::Usage;

const EXAMPLES: &str = "\
Examples:
  Half of all channels, the weakest of the whole network:
    fer-tools prune best.safetensors --percent 0.5 --out slim.safetensors
  As many as it takes for a quarter of the multiply-adds:
    fer-tools prune best.safetensors --keep-macs 25% --out slim.safetensors
  A fifth of the parameters and a quarter of the multiply-adds, both at most:
    fer-tools prune best.safetensors --keep-params 20% --keep-macs 25% --out slim.safetensors
  At most 4.85 million parameters, 16 channels in each layer:
    fer-tools prune best.safetensors --keep-params 4.85M --min-channels 16 \\
      --out slim.safetensors
  A tenth of the multiply-adds, every layer narrower by the same share, in widths that suit vector units:
    fer-tools prune best.safetensors --keep-macs 10% --per-layer --round-to 16 \\
      --out slim.safetensors
Then win the accuracy back:
    fer-tools train fer2013.csv --from slim.safetensors --epochs 10 --schedule cosine \\
      --out runs/slim";

/// Cut the weakest channels out of a checkpoint (network slimming).
///
/// Channels are ranked by the scale of the BatchNorm behind them, over the whole network; those tied by
/// shortcuts and concatenations go together. Train with `--sparsity 1e-4` first, so that the scales
/// tell weak from strong. Right after a deep cut the accuracy is near chance: fine-tune.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("target").required(true).multiple(true))]
pub(crate) struct Args {
    /// Checkpoint to slim; it stays as it is
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// Fraction of the prunable channels to cut, 0 to 1
    #[arg(long, value_name = "FRACTION", value_parser = parse_fraction, group = "target",
          conflicts_with_all = ["keep_params", "keep_macs"])]
    percent: Option<f64>,
    /// Parameters to keep at most: a part (0.25, 25%) or a number (4850000, 4.85M)
    #[arg(long, value_name = "BUDGET", group = "target")]
    keep_params: Option<Budget>,
    /// Multiply-adds to keep at most: a part (0.25, 25%) or a number (100M)
    #[arg(long, value_name = "BUDGET", group = "target")]
    keep_macs: Option<Budget>,
    /// Channels that every convolution keeps, its strongest
    #[arg(long, value_name = "N", default_value = "4")]
    min_channels: NonZeroUsize,
    /// Keep a multiple of so many channels in each layer: vector units work on 8 or 16 at a time
    #[arg(long, value_name = "N", default_value = "1")]
    round_to: NonZeroUsize,
    /// Cut the same share of every layer, its weakest, instead of the weakest of the whole network: for deep cuts
    #[arg(long)]
    per_layer: bool,
    /// Checkpoint to write; holds no optimiser state, since its shapes are new
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the table before and after as JSON
    #[arg(long)]
    json: bool,
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse::<f64>().ok();
    fraction
        .filter(|f| (0.0..=1.0).contains(f))
        .ok_or_else(|| "expected a fraction from 0 to 1 (half of the channels: 0.5)".into())
}

impl Args {
    /// The command for the checkpoint's history, defaults spelled out.
    fn command(&self) -> String {
        let target = match self.options().target {
            Target::Percent(percent) => format!("--percent {percent}"),
            Target::KeepParams(budget) => format!("--keep-params {budget}"),
            Target::KeepMacs(budget) => format!("--keep-macs {budget}"),
            Target::KeepBoth { params, macs } => {
                format!("--keep-params {params} --keep-macs {macs}")
            }
        };
        format!(
            "fer-tools prune {} {target} --min-channels {} --round-to {}{} --out {}",
            self.checkpoint.display(),
            self.min_channels,
            self.round_to,
            if self.per_layer { " --per-layer" } else { "" },
            self.out.display()
        )
    }

    fn options(&self) -> SlimOptions {
        let target = match (self.percent, self.keep_params, self.keep_macs) {
            (Some(percent), ..) => Target::Percent(percent),
            (_, Some(params), Some(macs)) => Target::KeepBoth { params, macs },
            (_, Some(budget), _) => Target::KeepParams(budget),
            (_, _, Some(budget)) => Target::KeepMacs(budget),
            // clap asks for one of the three
            (None, None, None) => SlimOptions::default().target,
        };
        SlimOptions {
            target,
            min_channels: self.min_channels.get(),
            round_to: self.round_to.get(),
            scope: if self.per_layer {
                Scope::Layer
            } else {
                Scope::Network
            },
        }
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    if same_file(&args.checkpoint, &args.out) {
        return Err(Usage(format!(
            "--out: {} is the checkpoint to slim, which stays as it is: choose another file",
            args.out.display()
        ))
        .into());
    }
    let mut checkpoint = Checkpoint::load(&args.checkpoint)?;
    let slimmed = slim(&checkpoint.network, &args.options())
        .with_context(|| format!("cannot prune {}", args.checkpoint.display()))?;
    checkpoint.network = slimmed.network;
    checkpoint.history.commands.push(args.command());
    // it was measured on the network before
    checkpoint.history.validation_accuracy = None;
    checkpoint.save(&args.out)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &slimmed.report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", slimmed.report)?;
    }
    tracing::info!(
        "wrote {0}; fine-tune it: `fer-tools train DATA --from {0} --epochs 10 --schedule cosine --out DIR`",
        args.out.display()
    );
    Ok(())
}

/// Whether both are names of one file, through links too.
fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn options(flags: &str) -> Result<SlimOptions, clap::error::ErrorKind> {
        let line = format!("prune in.safetensors --out out.safetensors {flags}");
        let parsed = parse::<Args>(&line);
        parsed.map(|args| args.options()).map_err(|e| e.kind())
    }

    #[test]
    fn each_target_is_read() {
        let target = |flags| options(flags).map(|o| o.target);
        assert_eq!(target("--percent 0.3"), Ok(Target::Percent(0.3)));
        assert_eq!(
            target("--keep-params 4.85M"),
            Ok(Target::KeepParams(Budget::Absolute(4_850_000)))
        );
        assert_eq!(
            target("--keep-macs 25%"),
            Ok(Target::KeepMacs(Budget::Fraction(0.25)))
        );
        assert_eq!(
            target("--keep-params 20% --keep-macs 25%"),
            Ok(Target::KeepBoth {
                params: Budget::Fraction(0.2),
                macs: Budget::Fraction(0.25)
            })
        );
        let floor = options("--percent 0.5 --min-channels 16").map(|o| o.min_channels);
        assert_eq!(floor, Ok(16));
    }

    #[test]
    fn what_suits_deep_cuts_is_off_unless_asked_for() {
        let widths = |flags| options(flags).map(|o| (o.scope, o.round_to));
        assert_eq!(widths("--percent 0.3"), Ok((Scope::Network, 1)));
        let asked = widths("--keep-macs 5% --per-layer --round-to 16");
        assert_eq!(asked, Ok((Scope::Layer, 16)));
    }

    #[test]
    fn wrong_flags_are_usage_errors() {
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument, ValueValidation};
        let cases = [
            ("", MissingRequiredArgument),
            ("--percent 0.5 --keep-macs 0.5", ArgumentConflict),
            ("--percent 50", ValueValidation),
            ("--percent nan", ValueValidation),
            ("--keep-params lots", ValueValidation),
            ("--percent 0.5 --min-channels 0", ValueValidation),
            ("--percent 0.5 --round-to 0", ValueValidation),
        ];
        for (flags, kind) in cases {
            assert_eq!(options(flags), Err(kind), "{flags}");
        }
    }
}
