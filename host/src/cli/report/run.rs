//! `fer-tools report run`: everything about a run on one page.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fer_models::Crops;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, LoadOptions, Split};
use fer_tools::graph::count::Counts;
use fer_tools::judge::Candidate;
use fer_tools::report::{
    EpochMetrics, Page, calibration_picture, classes_picture, confusion_picture, curves_picture,
    read_metrics,
};
use fer_tools::train::{BEST_FILE, LAST_FILE, METRICS_FILE};

use super::super::crops::CropsName;
use super::super::exit::Usage;
use super::super::output::check_file;

/// One HTML page about a run: the network, how it was trained, curves, and how good it is.
///
/// The page needs no other file and no network, follows the reader's light or dark setting, and shows no
/// face.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Judge the run's best network on this data too
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Training, PublicTest or PrivateTest
    #[arg(long, default_value = "PublicTest", requires = "data")]
    split: Split,
    /// Crops of each face
    #[arg(long, value_enum, default_value = "center", requires = "data")]
    crops: CropsName,
    /// Page to write: .html
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    if args.out.extension().is_none_or(|e| e != "html") {
        let out = args.out.display();
        return Err(Usage(format!("{out}: expected a name in .html")).into());
    }
    check_file(&args.out)?;
    let epochs = read_metrics(&args.run.join(METRICS_FILE))?;
    let best = args.run.join(BEST_FILE);
    let file = if best.is_file() {
        best
    } else {
        args.run.join(LAST_FILE)
    };
    let checkpoint = Checkpoint::load(&file)?;
    let mut page = Page::new(&args.run.display().to_string());
    describe(&mut page, &checkpoint, &file);
    page.heading("Training");
    page.figure(
        &curves_picture(&epochs, "Loss and accuracy by epoch")
            .with_context(|| args.run.display().to_string())?,
        "Training images as they were trained on, validation images without augmentation.",
    );
    list_epochs(&mut page, &epochs);
    if let Some(spec) = &args.data {
        judge(&mut page, args, spec, checkpoint)?;
    }
    page.save(&args.out)?;
    Ok(())
}

fn describe(page: &mut Page, checkpoint: &Checkpoint, file: &Path) {
    let graph = &checkpoint.network.graph;
    let counts = Counts::of(graph);
    let [channels, height, width] = graph.input_shape();
    let history = &checkpoint.history;
    let accuracy = history.validation_accuracy;
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    page.heading("Network");
    page.table(
        &[],
        &[
            row("file", file.display().to_string()),
            row("architecture", graph.name().into()),
            row("input", format!("{channels} × {height} × {width}")),
            row("classes", checkpoint.labels.names().join(", ")),
            row("parameters", counts.parameters.to_string()),
            row("multiply-adds", counts.multiply_adds.to_string()),
            row("trained on", history.dataset.clone()),
            row("seed", history.seed.to_string()),
            row(
                "validation accuracy of the kept epoch",
                accuracy.map_or("not measured".into(), |a| format!("{:.2} %", 100.0 * a)),
            ),
        ],
        false,
    );
    page.paragraph("The commands that led here:");
    page.preformatted(&history.commands.join("\n"));
}

fn list_epochs(page: &mut Page, epochs: &[EpochMetrics]) {
    let loss = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.4}"));
    let share = |v: Option<f64>| v.map_or("-".into(), |v| format!("{:.2} %", 100.0 * v));
    let rows: Vec<Vec<String>> = epochs
        .iter()
        .map(|e| {
            vec![
                e.epoch.to_string(),
                loss(e.train_loss),
                share(e.train_accuracy),
                loss(e.validation_loss),
                share(e.validation_accuracy),
            ]
        })
        .collect();
    let head = [
        "epoch",
        "loss",
        "accuracy",
        "validation loss",
        "validation accuracy",
    ];
    page.table(&head, &rows, true);
}

fn judge(page: &mut Page, args: &Args, spec: &str, checkpoint: Checkpoint) -> Result<()> {
    let options = LoadOptions {
        skip_bad: false,
        tile: checkpoint.input.tile,
    };
    let dataset = data::open(spec, &options)?.dataset;
    let crops = Crops::from(args.crops);
    let evaluation = Candidate::from_checkpoint(checkpoint)
        .evaluate(&dataset, &dataset.indices(args.split), crops)
        .with_context(|| format!("cannot judge {} on {spec}", args.run.display()))?;
    let split = args.split.name();
    page.heading(&format!("{split} of {spec}"));
    page.paragraph(&format!(
        "{} images, {} crop(s) a face: accuracy {:.2} %, loss {:.4}, macro F1 {:.4}, ECE {:.4}.",
        evaluation.count(),
        crops.count(),
        100.0 * evaluation.accuracy(),
        evaluation.loss(),
        evaluation.macro_f1(),
        evaluation.ece()
    ));
    let pictures = [
        (
            confusion_picture(&evaluation, split),
            "What is taken for what.",
        ),
        (
            classes_picture(&evaluation, split),
            "How good each class is.",
        ),
        (
            calibration_picture(&evaluation, split),
            "Whether it is as often right as it is sure: bars below the diagonal mean too sure.",
        ),
    ];
    for (picture, caption) in &pictures {
        page.figure(picture, caption);
    }
    Ok(())
}
