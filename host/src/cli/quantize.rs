//! `fer-tools quantize`: a checkpoint becomes a model folder in 8-bit integers, or in 16-bit floats.

mod job;
mod report;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::compress::quantize::{Method, Recipe};
use fer_tools::compress::slim::Budget;
use fer_tools::data::{self, LoadOptions};
use fer_tools::graph::Network;
use fer_tools::graph::count::Counts;

use super::crops::CropsName;
use super::exit::Usage;
use super::export::judged_split;
use super::output::check_folder;
use super::value::value_name;
use job::Job;

const EXAMPLES: &str = "\
Examples:
  8-bit integers, the best of twenty ways by accuracy on PublicTest:
    fer-tools quantize best.safetensors --data fer2013.csv.xz --name my-int8 --out my-int8
  One way, without trying the others:
    fer-tools quantize best.safetensors --data fer2013.csv.xz --name my-int8 --out my-int8 \\
      --method mse --equalize no --correct-bias yes
  The worst layers stay f32, up to a twentieth of the multiply-adds:
    fer-tools quantize best.safetensors --data fer2013.csv.xz --name my-mixed \\
      --out my-mixed --keep-f32 5%
  Weights as 16-bit floats, half the file:
    fer-tools quantize best.safetensors --data fer2013.csv.xz --name my-f16 --out my-f16 \\
      --precision f16
Then run it:
    fer-edge run photo.jpg --model my-int8";

/// Write a checkpoint as 8-bit integers: calibrate, choose by accuracy, check in tract, describe.
///
/// Batch normalisation is folded; weights get one scale an output channel, activations one scale and
/// zero point a tensor, chosen on images of the Training split. The file is standard ONNX (QDQ form).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint to quantize; it stays as it is
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// Data: Training images to calibrate on, PublicTest images to choose, check and measure on
    #[arg(long, value_name = "DATA")]
    data: String,
    /// The model's name: letters, digits, - _ .
    #[arg(long, value_parser = super::export::parse_name)]
    name: String,
    /// Folder for model.onnx, model.toml and CARD.md
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number type of the file
    #[arg(long, value_enum, default_value = "int8")]
    precision: PrecisionName,
    /// How the ranges of activations are chosen; auto tries all and takes the most accurate
    #[arg(long, value_enum, default_value = "auto")]
    method: MethodName,
    /// Part of the numbers that the percentile method keeps, above 50 up to 100; 99.99 if not given
    #[arg(long, value_name = "PERCENT", value_parser = parse_percentile)]
    percentile: Option<f64>,
    /// Equalise the weights of neighbouring layers before (cross-layer equalisation)
    #[arg(long, value_enum, default_value = "auto")]
    equalize: Choice,
    /// Correct the biases after, on the calibration images
    #[arg(long, value_enum, default_value = "auto")]
    correct_bias: Choice,
    /// Multiply-adds that may stay in f32, in the layers that rounding hurts most: 5% or 1M
    #[arg(long, value_name = "BUDGET")]
    keep_f32: Option<Budget>,
    /// Training images to calibrate on; 500 if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    images: Option<u32>,
    /// Seed that chooses them; 1 if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Images on which tract must decide as the quantized network
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    verify: u32,
    /// Crops that the edge averages for a decision; one is ten times as fast
    #[arg(long, value_enum, default_value = "center")]
    crops: CropsName,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    /// 8-bit integers
    Int8,
    /// Weights as 16-bit floats, computed in 32 bits
    F16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// Whichever is most accurate
    Auto,
    /// From the smallest to the largest number
    Minmax,
    /// All but the outermost numbers
    Percentile,
    /// Smallest Kullback-Leibler divergence
    Entropy,
    /// Smallest mean squared error
    Mse,
}

impl MethodName {
    fn takes_percentile(self) -> bool {
        matches!(self, Self::Auto | Self::Percentile)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Whichever is most accurate
    Auto,
    Yes,
    No,
}

impl Choice {
    fn tried(self) -> Vec<bool> {
        match self {
            Self::Auto => vec![false, true],
            Self::Yes => vec![true],
            Self::No => vec![false],
        }
    }
}

fn parse_percentile(text: &str) -> Result<f64, String> {
    let percent = text.parse::<f64>().ok();
    percent
        .filter(|p| *p > 50.0 && *p <= 100.0)
        .ok_or_else(|| "expected a percentage above 50 up to 100, such as 99.99".into())
}

impl Args {
    /// # Errors
    /// A flag that would do nothing.
    fn check(&self) -> Result<(), Usage> {
        if self.percentile.is_some() && !self.method.takes_percentile() {
            let method = value_name(&self.method);
            return Err(Usage(format!(
                "--percentile is for --method percentile or auto, not {method}"
            )));
        }
        let for_integers = [
            ("--method", self.method != MethodName::Auto),
            ("--percentile", self.percentile.is_some()),
            ("--equalize", self.equalize != Choice::Auto),
            ("--correct-bias", self.correct_bias != Choice::Auto),
            ("--keep-f32", self.keep_f32.is_some()),
            ("--images", self.images.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        match for_integers.iter().find(|(_, given)| *given) {
            Some((name, _)) if self.precision == PrecisionName::F16 => Err(Usage(format!(
                "{name} is for --precision int8: f16 only rounds weights"
            ))),
            _ => Ok(()),
        }
    }

    /// How many multiply-adds may stay in f32, where any may.
    ///
    /// # Errors
    /// When those are all that the network has.
    fn kept_limit(&self, network: &Network) -> Result<Option<u64>, Usage> {
        let Some(budget) = self.keep_f32 else {
            return Ok(None);
        };
        let total = Counts::of(&network.graph).multiply_adds;
        let limit = budget
            .limit(total)
            .map_err(|part| Usage(format!("--keep-f32 {part}: expected above 0 up to 1")))?;
        if limit >= total {
            return Err(keeps_all(budget));
        }
        Ok(Some(limit))
    }

    fn percentile(&self) -> f64 {
        self.percentile.unwrap_or(99.99)
    }

    fn images(&self) -> u32 {
        self.images.unwrap_or(500)
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    fn recipes(&self) -> Vec<Recipe> {
        let methods = match self.method {
            MethodName::Minmax => vec![Method::MinMax],
            MethodName::Percentile => vec![Method::Percentile(self.percentile())],
            MethodName::Entropy => vec![Method::Entropy],
            MethodName::Mse => vec![Method::Mse],
            MethodName::Auto => {
                let mut all = vec![Method::MinMax, Method::Percentile(99.9)];
                if self.percentile() != 99.9 {
                    all.push(Method::Percentile(self.percentile()));
                }
                all.extend([Method::Entropy, Method::Mse]);
                all
            }
        };
        let mut recipes = Vec::new();
        for equalize in self.equalize.tried() {
            for correct_bias in self.correct_bias.tried() {
                recipes.extend(methods.iter().map(|&method| Recipe {
                    method,
                    equalize,
                    correct_bias,
                }));
            }
        }
        recipes
    }

    /// The command for the manifest, defaults spelled out.
    fn command(&self) -> String {
        let mut command = format!(
            "fer-tools quantize {} --data {} --name {} --out {} --precision {}",
            self.checkpoint.display(),
            self.data,
            self.name,
            self.out.display(),
            value_name(&self.precision),
        );
        if self.precision == PrecisionName::Int8 {
            command += &format!(
                " --method {} --equalize {} --correct-bias {} --images {} --seed {}",
                value_name(&self.method),
                value_name(&self.equalize),
                value_name(&self.correct_bias),
                self.images(),
                self.seed(),
            );
            if self.method.takes_percentile() {
                command += &format!(" --percentile {}", self.percentile());
            }
            if let Some(budget) = self.keep_f32 {
                command += &format!(" --keep-f32 {budget}");
            }
        }
        let crops = value_name(&self.crops);
        command + &format!(" --verify {} --crops {crops}", self.verify)
    }
}

fn keeps_all(budget: Budget) -> Usage {
    Usage(format!(
        "--keep-f32 {budget}: that keeps every layer, so that there is nothing to quantize"
    ))
}

pub(crate) fn run(args: Args) -> Result<()> {
    quantize(&args, &mut std::io::stdout().lock())
}

fn quantize(args: &Args, out: &mut dyn Write) -> Result<()> {
    args.check()?;
    check_folder(&args.out)?;
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    // known before the data are read
    args.kept_limit(&checkpoint.network)?;
    let load = LoadOptions {
        tile: checkpoint.input.tile,
        ..LoadOptions::default()
    };
    let dataset = data::open(&args.data, &load)?.dataset;
    let job = Job {
        args,
        checkpoint: &checkpoint,
        dataset: &dataset,
        split: judged_split(&dataset)?,
    };
    let report = match args.precision {
        PrecisionName::Int8 => job.int8(out),
        PrecisionName::F16 => job.f16(),
    }
    .with_context(|| format!("cannot quantize {}", args.checkpoint.display()))?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{}", report.table())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::parse;
    use super::*;

    const LINE: &str = "quantize in.safetensors --data d --name n --out o";

    fn args(flags: &str) -> Result<Args, clap::error::ErrorKind> {
        parse::<Args>(&format!("{LINE} {flags}")).map_err(|e| e.kind())
    }

    #[test]
    fn auto_tries_every_combination_once_and_a_choice_only_itself() {
        let recipes = args("").unwrap().recipes();
        assert_eq!(recipes.len(), 20);
        let names: BTreeSet<String> = recipes.iter().map(Recipe::to_string).collect();
        assert_eq!(names.len(), 20);
        let one = args("--method percentile --percentile 99.5 --equalize no --correct-bias yes");
        let expected = Recipe {
            method: Method::Percentile(99.5),
            equalize: false,
            correct_bias: true,
        };
        assert_eq!(one.unwrap().recipes(), [expected]);
    }

    #[test]
    fn the_manifests_command_makes_the_same_choices() {
        for flags in [
            "",
            "--method mse --keep-f32 5% --equalize yes --images 64 --seed 9 --crops ten",
            "--precision f16 --verify 10",
        ] {
            let given = args(flags).unwrap();
            let line = given.command();
            let again = parse::<Args>(line.strip_prefix("fer-tools ").unwrap()).unwrap();
            let settled = |args: &Args| (args.command(), args.recipes(), args.check().is_ok());
            assert_eq!(settled(&given), settled(&again), "{line}");
        }
    }

    #[test]
    fn flags_that_would_do_nothing_are_refused() {
        for (flags, names) in [
            ("--method mse --percentile 99", "--percentile"),
            ("--precision f16 --equalize no", "--equalize"),
            ("--precision f16 --seed 2", "--seed"),
        ] {
            let error = args(flags).unwrap().check().unwrap_err().to_string();
            assert!(error.starts_with(names), "{error}");
        }
    }

    fn shipped() -> PathBuf {
        let zoo = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/zoo");
        PathBuf::from(zoo).join("vgg19-tiny/checkpoint.safetensors")
    }

    /// Minutes of trials were lost with the file.
    #[test]
    fn trials_are_printed_although_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("model.onnx")).unwrap();
        let one = "--method minmax --equalize no --correct-bias no --images 7 --verify 7";
        let mut given = args(one).unwrap();
        given.checkpoint = shipped();
        given.data = "synth:7:70".into();
        given.out = folder.path().into();
        let mut out: Vec<u8> = Vec::new();
        quantize(&given, &mut out).unwrap_err();
        let printed = String::from_utf8(out).unwrap();
        assert!(printed.starts_with("recipe"), "{printed}");
        assert!(printed.contains("\nminmax "), "{printed}");
    }

    #[test]
    fn a_budget_that_keeps_every_layer_is_refused_before_the_data_are_read() {
        let mut given = args("--keep-f32 100%").unwrap();
        given.checkpoint = shipped();
        given.data = "no/where.csv".into();
        let error = run(given).unwrap_err().to_string();
        assert!(
            error.starts_with("--keep-f32 1: that keeps every layer"),
            "{error}"
        );
    }

    #[test]
    fn wrong_flags_are_usage_errors() {
        for flags in [
            "--percentile 50",
            "--percentile nan",
            "--method best",
            "--images 0",
            "--keep-f32 0",
            "--precision int4",
        ] {
            let kind = args(flags).unwrap_err();
            use clap::error::ErrorKind::{InvalidValue, ValueValidation};
            assert!(
                matches!(kind, InvalidValue | ValueValidation),
                "{flags}: {kind:?}"
            );
        }
    }
}
