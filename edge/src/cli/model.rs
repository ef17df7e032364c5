//! `fer-edge model`.

use std::io::{self, Write};

use clap::Args;
use fer_models::{Manifest, ModelPackage};

use super::Failure;
use super::choices::ModelChoice;

#[derive(Debug, Args)]
#[command(
    after_help = "Loads the model as `run` would, so exit code 0 also says that checksum and \
    shapes agree with the manifest.\n\nExample:\n  fer-edge model --model models/zoo/vgg19-lite"
)]
pub(super) struct ModelArgs {
    #[command(flatten)]
    model: ModelChoice,
}

pub(super) fn run(args: &ModelArgs) -> Result<(), Failure> {
    let (package, classifier) = args.model.load()?;
    let text = summary(&package, classifier.runs_on());
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn summary(package: &ModelPackage, runs_on: &str) -> String {
    let Manifest {
        name,
        labels,
        model,
        input,
        decision,
        provenance,
        ..
    } = &package.manifest;
    let side = input.crop;
    let accuracy = provenance.accuracy.as_ref().map_or_else(
        || "not measured".to_owned(),
        |a| {
            format!(
                "{:.2} % on {} ({} crops)",
                a.percent,
                a.split,
                a.crops.count()
            )
        },
    );
    let rows = [
        ("name", name.clone()),
        ("labels", labels.names().join(" ")),
        (
            "input",
            format!(
                "{} x {side} x {side}, cut from {1} x {1}",
                input.channels, input.tile
            ),
        ),
        ("crops", decision.crops.count().to_string()),
        ("temperature", decision.temperature.to_string()),
        ("parameters", model.parameters.to_string()),
        ("multiply-adds", format!("{} per crop", model.multiply_adds)),
        (
            "file",
            format!("{}, {} bytes", model.file, package.onnx().len()),
        ),
        (
            "precision",
            format!("{:?}, opset {}", model.precision, model.opset).to_lowercase(),
        ),
        ("runs on", runs_on.to_owned()),
        ("sha256", model.sha256.clone()),
        ("accuracy", accuracy),
        ("data", provenance.dataset.clone()),
        ("command", provenance.command.clone()),
        ("seed", provenance.seed.to_string()),
        ("commit", provenance.commit.clone()),
    ];
    rows.iter()
        .map(|(name, value)| format!("{name:<14}{value}\n"))
        .collect()
}
