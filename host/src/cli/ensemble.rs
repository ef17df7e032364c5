//! `fer-tools ensemble`: several networks that decide together.

use std::collections::{BTreeMap, btree_map};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_models::{Labels, write_atomic};
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::ensemble::{Average, Ensemble, EnsembleError, Opinion, total_weight};
use fer_tools::judge::Candidate;
use fer_tools::npz::{self, Entry, Values};
use fer_tools::predict;

use super::crops::{CropsName, crops_of};
use super::csv::field;
use super::exit::Usage;

const EXAMPLES: &str = "\
Examples:
  Two checkpoints and an exported model, each with its own preprocessing:
    fer-tools ensemble a/best.safetensors b/best.safetensors models/zoo/vgg19-lite \\
      --data fer2013.csv
  Ten crops, the first counting twice, and what they say about every face:
    fer-tools ensemble a.safetensors b.safetensors --data fer2013.csv --crops ten \\
      --weights 2,1 --out said.csv";

/// Average networks: the accuracy of each, the accuracy of all, and what they predict.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint files, model folders, or ONNX files with their model.toml beside them
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<PathBuf>,
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(long, value_name = "DATA")]
    data: String,
    /// Training, PublicTest or PrivateTest. Choose models on PublicTest, never on PrivateTest
    #[arg(long, default_value = "PublicTest")]
    split: Split,
    /// Crops of each face, whose logits are averaged; what each manifest says if not given, for
    /// checkpoints the centre
    #[arg(long, value_enum)]
    crops: Option<CropsName>,
    /// What is averaged over the networks
    #[arg(long, value_enum, default_value = "probabilities")]
    average: AverageName,
    /// How much each network counts, in their order; all the same if not given
    #[arg(long, value_name = "W,…", value_delimiter = ',')]
    weights: Vec<f32>,
    /// Write the predictions: .csv, or .npz with the members' logits
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AverageName {
    /// Every network has the same say
    Probabilities,
    /// A surer network counts for more
    Logits,
}

/// What the predictions are written as.
#[derive(Clone, Copy)]
enum Format {
    Csv,
    Npz,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let format = args.out.as_deref().map(format_of).transpose()?;
    let average = match args.average {
        AverageName::Probabilities => Average::Probabilities,
        AverageName::Logits => Average::Logits,
    };
    if !args.weights.is_empty() {
        // before the work, not after it
        let sensible = total_weight(&args.weights, args.models.len());
        sensible.map_err(|error| Usage(error.to_string()))?;
    }
    let mut datasets: BTreeMap<usize, Dataset> = BTreeMap::new();
    let mut members = Vec::new();
    for model in &args.models {
        let mut candidate = Candidate::open(model)?;
        let tile = candidate.input().tile;
        let dataset = match datasets.entry(tile) {
            btree_map::Entry::Occupied(read) => read.into_mut(),
            btree_map::Entry::Vacant(place) => {
                let options = LoadOptions {
                    skip_bad: false,
                    tile,
                };
                place.insert(data::open(&args.data, &options)?.dataset)
            }
        };
        let crops = crops_of(args.crops, &candidate);
        let name = model.display().to_string();
        let indices = dataset.indices(args.split);
        tracing::info!(model = %name, faces = indices.len(), crops = crops.count(), "judging");
        let opinion = Opinion::of(name, &mut candidate, dataset, &indices, crops);
        let subject = || format!("cannot judge {} on {}", model.display(), args.data);
        members.push(opinion.with_context(subject)?);
    }
    let Some(dataset) = datasets.values().next() else {
        return Err(EnsembleError::Empty.into());
    };
    let indices = dataset.indices(args.split);
    let targets = predict::targets(dataset, &indices);
    let labels = dataset.labels();
    let ensemble = Ensemble::new(labels, &members, &args.weights, average, &targets)?;
    print(&args, &members, &ensemble)?;
    if let (Some(path), Some(format)) = (&args.out, format) {
        let said = Said {
            labels,
            indices: &indices,
            targets: &targets,
            members: &members,
            ensemble: &ensemble,
        };
        match format {
            Format::Csv => said.write_csv(path)?,
            Format::Npz => said.write_npz(path)?,
        }
    }
    Ok(())
}

fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("npz") => Ok(Format::Npz),
        _ => {
            let name = path.display();
            Err(Usage(format!("{name}: expected a name in .csv or .npz")).into())
        }
    }
}

fn print(args: &Args, members: &[Opinion], ensemble: &Ensemble) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let member = |m: &Opinion| {
            let mut value = m.evaluation.json();
            value["model"] = m.name.clone().into();
            value
        };
        let value = serde_json::json!({
            "split": args.split.name(),
            "members": members.iter().map(member).collect::<Vec<_>>(),
            "ensemble": ensemble.evaluation.json(),
        });
        writeln!(out, "{value}")?;
        return Ok(());
    }
    let names = members.iter().map(|m| m.name.chars().count());
    let width = names.max().unwrap_or(0).max(8);
    let rows = members.iter().map(|m| (m.name.as_str(), &m.evaluation));
    writeln!(
        out,
        "{:<width$}  accuracy    loss  macro F1     ECE",
        args.split
    )?;
    for (name, e) in rows.chain([("together", &ensemble.evaluation)]) {
        let (accuracy, loss) = (100.0 * e.accuracy(), e.loss());
        let (f1, ece) = (e.macro_f1(), e.ece());
        writeln!(
            out,
            "{name:<width$}  {accuracy:>6.2} %  {loss:>6.4}  {f1:>8.4}  {ece:>6.4}"
        )?;
    }
    writeln!(out)?;
    write!(out, "{}", ensemble.evaluation.table())?;
    Ok(())
}

/// Everything that was predicted.
struct Said<'a> {
    labels: &'a Labels,
    indices: &'a [usize],
    targets: &'a [u8],
    members: &'a [Opinion],
    ensemble: &'a Ensemble,
}

impl Said<'_> {
    /// One line a face: its number in the data, label, prediction and probabilities.
    fn write_csv(&self, path: &Path) -> Result<()> {
        let names: Vec<_> = self.labels.names().iter().map(|name| field(name)).collect();
        let mut text = format!("image,label,predicted,{}\n", names.join(","));
        let scores = self.ensemble.scores.chunks_exact(names.len());
        let rows = self.indices.iter().zip(self.targets);
        for (((index, &target), &predicted), scores) in
            rows.zip(&self.ensemble.predicted).zip(scores)
        {
            let (label, said) = (&names[usize::from(target)], &names[predicted]);
            // a String takes any text
            let _ = write!(text, "{index},{label},{said}");
            for score in scores {
                let _ = write!(text, ",{score:.6}");
            }
            text.push('\n');
        }
        write_atomic(path, |out| out.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn write_npz(&self, path: &Path) -> Result<()> {
        let names = self.labels.names();
        let (faces, classes) = (self.indices.len(), names.len());
        let number = |i: usize| i64::try_from(i).unwrap_or(i64::MAX);
        let images: Vec<i64> = self.indices.iter().map(|&i| number(i)).collect();
        let labels: Vec<i64> = self.targets.iter().map(|&t| i64::from(t)).collect();
        let said = self.ensemble.predicted.iter().map(|&p| number(p));
        let predicted: Vec<i64> = said.collect();
        let logits = self.members.iter().flat_map(|m| &m.logits).copied();
        let logits: Vec<f32> = logits.collect();
        let members: Vec<String> = self.members.iter().map(|m| m.name.clone()).collect();
        let entry = |name, shape: &[usize], values| Entry {
            name,
            shape: shape.to_vec(),
            values,
        };
        let all = [members.len(), faces, classes];
        let entries = [
            entry("arr_0", &all[1..], Values::F32(&self.ensemble.scores)),
            entry("logits", &all, Values::F32(&logits)),
            entry("images", &[faces], Values::I64(&images)),
            entry("labels", &[faces], Values::I64(&labels)),
            entry("predicted", &[faces], Values::I64(&predicted)),
            entry("names", &[classes], Values::Text(names)),
            entry("members", &all[..1], Values::Text(&members)),
        ];
        npz::write(path, &entries)?;
        Ok(())
    }
}
