//! `fer-tools crossval`: one network a fold, on one machine or on many.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fer_models::Crops;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::crossval::{CrossvalError, FoldResult, Plan, Summary, Work, merge};
use fer_tools::data::folds::{FoldRule, check_parts, folds};
use fer_tools::data::part::Persons;
use fer_tools::data::votes;
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::report::confusion_picture;
use fer_tools::train::fingerprint;

use super::compute::Compute;
use super::crops::CropsName;
use super::exit::Usage;
use super::interrupt::Interrupt;
use super::picture::{is_png, save};
use super::progress::Progress;
use super::recipe::{self, Recipe, blame};
use super::votes::VoteFlags;
use super::{start, train};

const EXAMPLES: &str = "\
Examples:
  Ten folds of CK+48 in which no person is shared, from a network trained on FER2013:
    fer-tools crossval run ck48 --from models/zoo/vgg19-lite/checkpoint.safetensors \\
      --new-head --recipe tune.toml --out runs/ck
  The folds that most papers use, from scratch:
    fer-tools crossval run ck48 --rule ck-reference --recipe small.toml \\
      --out runs/ck-reference
  On ten machines, each its own folder, then together:
    fer-tools crossval run jaffe:JAFFE --rule leave-one-subject-out --recipe r.toml \\
      --fold 3/10 --out part-3
    fer-tools crossval merge part-1 part-2 part-3 part-4 part-5 part-6 part-7 part-8 \\
      part-9 part-10";

/// Train and judge by folds, resumable, on one machine or on many.
///
/// The Training images are divided; other splits are left out. The same command again goes on where it
/// stopped. The test fold never chooses: the last epoch counts, or with --validation the best one on a
/// part of the training folds.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<RunArgs>),
    Merge(MergeArgs),
}

/// Train the folds, or go on with them.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// CK+48 or another folder of class folders, jaffe:DIR, kdef:DIR, FER2013 CSV, or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    #[command(flatten)]
    votes: VoteFlags,
    /// Folder for the folds; on several machines each may have its own
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How images are divided. ck-reference shares persons between training and test
    #[arg(long, value_name = "RULE", value_parser = rules(), default_value = "subjects")]
    rule: FoldRule,
    /// Number of folds of the rules `subjects` and `stratified`; 10 if not given
    #[arg(long, value_name = "N")]
    folds: Option<usize>,
    /// Only the folds of machine K of N: K, K+N, K+2N, … counted from 1
    #[arg(long, value_name = "K/N", value_parser = parse_share)]
    fold: Option<(usize, usize)>,
    /// Folds trained at once
    #[arg(long, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
    /// Choose the epoch on this share of the training folds, 0.02 to 0.5
    #[arg(long, value_name = "SHARE", value_parser = parse_part)]
    validation: Option<f64>,
    /// TOML file with the network and the training
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    recipe: Option<PathBuf>,
    /// Start every fold from this checkpoint
    #[arg(long, value_name = "CHECKPOINT")]
    from: Option<PathBuf>,
    /// Give that network an output for each class of DATA; classes that both know keep their weights
    #[arg(long, requires = "from")]
    new_head: bool,
    /// Epochs of each fold, instead of the recipe's
    #[arg(long)]
    epochs: Option<usize>,
    /// Seed of folds, weights, order, augmentation and dropout, instead of the recipe's
    #[arg(long)]
    seed: Option<u64>,
    /// Crops of each tested face
    #[arg(long, value_enum, default_value = "center")]
    crops: CropsName,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    shown: Shown,
}

/// Put the folds of several folders together.
#[derive(Debug, clap::Args)]
struct MergeArgs {
    /// Folders of `crossval run`
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

/// How the outcome is shown.
#[derive(Debug, clap::Args)]
struct Shown {
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write the pooled confusion matrix as a picture: .svg or .png
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// The rules by name.
fn rules() -> impl TypedValueParser<Value = FoldRule> {
    PossibleValuesParser::new(FoldRule::ALL.map(FoldRule::name))
        .try_map(|name| FoldRule::from_name(&name).ok_or("no such rule"))
}

fn parse_share(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(own, all)| {
        let (own, all) = (own.parse().ok()?, all.parse().ok()?);
        (1..=all).contains(&own).then_some((own, all))
    });
    parts.ok_or_else(|| "expected K/N with K from 1 to N, such as 3/10".into())
}

fn parse_part(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| (0.02..=0.5).contains(s));
    share.ok_or_else(|| "expected a share from 0.02 to 0.5".into())
}

pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Run(args) => run_folds(&args),
        Command::Merge(args) => {
            let (plan, results) = merge(&args.folders)?;
            args.shown.show(&plan, &results)
        }
    }
}

fn run_folds(args: &RunArgs) -> Result<()> {
    args.shown.picture.as_deref().map(is_png).transpose()?;
    let device = args.compute.begin()?;
    let recipe = args.recipe()?;
    let (start, dataset, data) = args.open(&recipe)?;
    let (plan, tested) = args.plan(&recipe, &start, &dataset, data)?;
    plan.claim(&args.out)?;

    let (own, all) = args.fold.unwrap_or((1, 1));
    let chosen: Vec<usize> = (own..=plan.folds).step_by(all).collect();
    let work = Work {
        plan: &plan,
        dataset: &dataset,
        folds: &tested,
        start: &start,
        device: &device,
        save_every: args.compute.save_every(),
    };
    let several = args.jobs.get() > 1;
    let interrupt = Interrupt::listen()?;
    let progress = Progress::new();
    work.run(&args.out, &chosen, args.jobs.get(), &|fold, report| {
        // one bar cannot show several folds; their epochs are told all the same
        if !several || report.epoch_metrics.is_some() {
            let _fold = tracing::info_span!("fold", n = fold).entered();
            progress.show(report);
        }
        interrupt.is_quiet()
    })?;
    interrupt.check("the same command")?;
    match merge(std::slice::from_ref(&args.out)) {
        Ok((plan, results)) => args.shown.show(&plan, &results),
        Err(CrossvalError::Missing { missing, all }) => {
            tracing::info!(
                "{} of {all} folds are in {}; `fer-tools crossval merge` puts all together",
                all - missing.len(),
                args.out.display()
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

impl RunArgs {
    /// The recipe, with what the flags change.
    fn recipe(&self) -> Result<Recipe> {
        let mut recipe: Recipe = match &self.recipe {
            Some(path) => recipe::read(path)?,
            None => Recipe::default(),
        };
        recipe.warn_of_network(self.recipe.as_deref(), self.from.as_deref());
        let train = &mut recipe.train;
        // a fold has its own validation part, or none
        train.hold_out = false;
        train.epochs = self.epochs.unwrap_or(train.epochs);
        train.seed = self.seed.unwrap_or(train.seed);
        train.validate().map_err(|e| blame(self.file(), e))?;
        Ok(recipe)
    }

    /// The recipe's file, as errors name it.
    fn file(&self) -> Option<std::path::Display<'_>> {
        self.recipe.as_deref().map(Path::display)
    }

    /// What every fold starts from, the images that are divided, and what they are called.
    fn open(&self, recipe: &Recipe) -> Result<(Checkpoint, Dataset, String)> {
        let from = match self.from.as_deref() {
            Some(path) => Some((Checkpoint::load(path)?, path)),
            None => None,
        };
        let input = match &from {
            Some((from, _)) => from.input,
            None => start::input_of(recipe.network.as_ref()),
        };
        let load = LoadOptions {
            skip_bad: self.compute.skip_bad,
            tile: input.tile,
        };
        let data = self.votes.spec(&self.data)?;
        if let Ok((mode, ..)) = votes::parse_spec(&data)
            && !mode.judges_training()
        {
            return Err(Usage(format!(
                "cross-validation judges Training images, and their labels by {mode} are for training only: \
                 expected majority, plurality or ferplus-soft7"
            ))
            .into());
        }
        let all = data::open(&data, &load)?.dataset;
        let training = all.indices(Split::Training);
        if training.len() < all.len() {
            let others = all.len() - training.len();
            tracing::warn!("{others} images of other splits than Training are left out");
        }
        let training: Vec<_> = training.into_iter().map(|i| (i, Split::Training)).collect();
        let dataset = all.select(&training);
        let mut start = match from {
            Some(from) => {
                let wanted = (dataset.labels(), data.as_str());
                start::fit(from, wanted, self.new_head, recipe.train.seed)?
            }
            None => start::fresh(recipe.network.as_ref(), recipe.train.seed, dataset.labels())
                .map_err(|e| blame(self.file(), e))?,
        };
        start.history.commands.push(train::command_line());
        Ok((start, dataset, data))
    }

    /// The plan and the tested images of each fold.
    fn plan(
        &self,
        recipe: &Recipe,
        start: &Checkpoint,
        dataset: &Dataset,
        data: String,
    ) -> Result<(Plan, Vec<Vec<usize>>)> {
        let rule = self.rule;
        let free = matches!(rule, FoldRule::Subjects | FoldRule::Stratified);
        if self.folds.is_some() && !free {
            return Err(Usage(format!("--folds: {rule} says itself how many there are")).into());
        }
        let seed = recipe.train.seed;
        let tested = folds(dataset, rule, self.folds.unwrap_or(10), seed)?;
        check_parts(dataset, &tested, rule, self.validation, seed)?;
        let by_class = rule == FoldRule::Stratified || self.validation.is_some();
        let plan = Plan {
            data,
            data_sha256: fingerprint(dataset),
            labels: dataset.labels().clone(),
            images: dataset.len(),
            rule,
            even_shares: by_class && rule.persons() == Persons::Mixed,
            folds: tested.len(),
            seed,
            validation: self.validation,
            crops: Crops::from(self.crops),
            network: start.network.graph.name().to_owned(),
            start_sha256: start.fingerprint(),
            train: recipe.train.clone(),
        };
        Ok((plan, tested))
    }
}

impl Shown {
    fn show(&self, plan: &Plan, results: &[FoldResult]) -> Result<()> {
        let summary = Summary::new(plan, results)?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", summary.json(plan))?;
        } else {
            write!(out, "{}", summary.table(plan))?;
        }
        if let Some(path) = &self.picture {
            let title = format!("{} folds, {}", plan.folds, plan.rule);
            save(&confusion_picture(&summary.pooled, &title), path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_parts_are_checked() {
        assert_eq!(parse_share("3/10"), Ok((3, 10)));
        for wrong in ["0/10", "11/10", "3", "a/b", "/", "1/0"] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
        assert!(
            parse_part("0.1").is_ok() && parse_part("1").is_err() && parse_part("nan").is_err()
        );
    }
}
