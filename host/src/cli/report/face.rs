//! `fer-tools report face`: one picture and what a network says about it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use fer_models::{Labels, average_crops, softmax};
use fer_tools::data;
use fer_tools::judge::Candidate;
use fer_tools::report::{Picture, face_picture};

use super::super::crops::{CropsName, crops_of};
use super::super::picture::{is_png, name_of, save};

/// One face, the probability of each class, and a drawn face of the decision.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Checkpoint file, model folder or its model.toml
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Picture of one face, cut as the network expects it
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Crops of the face; what the manifest says if not given, for a checkpoint the centre
    #[arg(long, value_enum)]
    crops: Option<CropsName>,
    /// Picture to write: .svg or .png. It shows the face: keep it as you keep the photograph
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    is_png(&args.out)?;
    let mut candidate = Candidate::open(&args.model)?;
    let input = *candidate.input();
    let tile = data::read_tile(&args.image, input.tile)?;
    let crops = crops_of(args.crops, &candidate);
    let mut pixels = vec![0.0; crops.count() * input.input_len()];
    input.write_input(&tile, crops, &mut pixels);
    let logits = candidate
        .predict(&pixels, crops.count())
        .with_context(|| format!("cannot judge {}", args.image.display()))?;
    let labels: &Labels = candidate.labels();
    let mut mean = vec![0.0; labels.len()];
    average_crops(&logits, &mut mean);
    let mut scores = vec![0.0; labels.len()];
    // the logits are divided by the temperature already
    softmax(&mean, 1.0, &mut scores);
    let face = Picture::face(input.tile, &tile);
    let picture = face_picture(&name_of(&args.image), &face, labels, &scores);
    let mut out = std::io::stdout().lock();
    for (name, score) in labels.names().iter().zip(&scores) {
        writeln!(out, "{name:<12} {:>5.1} %", 100.0 * score)?;
    }
    save(&picture, &args.out)
}
