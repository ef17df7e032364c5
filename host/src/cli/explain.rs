//! `fer-tools explain`: what in a face a network goes by.

mod faces;
mod output;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_models::{Preprocess, write_atomic};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::explain::{Class, Explainer, Fill, Method, Occlusion, default_layer, maps};
use fer_tools::report::Row;

use super::exit::Usage;
use super::picture::{is_png, save};
use super::value::value_name;
use super::votes::VoteFlags;
use faces::{asked_class, faces};
use output::{Table, empty_sheet, plain, tile};

const EXAMPLES: &str = "\
Examples:
  One face, why the network says what it says:
    fer-tools explain models/zoo/vgg19-lite/checkpoint.safetensors face.png --out face.svg
  A sheet of the average face of each class:
    fer-tools explain models/zoo/vgg19-lite/checkpoint.safetensors \\
      --per-class fer2013.csv --out sheet.png
  What the surest mistakes of `report errors` were made of, for the label sad:
    fer-tools explain best.safetensors --data fer2013.csv --numbers 32011,28991 \\
      --class sad --out sad.png
  The cells of the reference's salient map (16 black squares) as numbers:
    fer-tools explain best.safetensors face.png --method occlusion --cell 56 --step 56 \\
      --fill 0 --cells cells.csv --out face.png
  Which layers there are, and what a mask lets pass:
    fer-tools explain best.safetensors --list-layers
    fer-tools explain best.safetensors face.png --method activation-max --layer NAME \\
      --out mask.png";

/// Show what in a face a network goes by: Grad-CAM, Grad-CAM++, occlusion, activations.
///
/// Orange speaks for the explained class, blue against it; a white line runs around what has at least
/// half of the strongest heat. Pictures of faces show people: keep them to yourself, or explain averages.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint file: exported models have no gradients
    #[arg(value_name = "CHECKPOINT")]
    model: PathBuf,
    /// Pictures of one face each, cut as the network expects it
    #[arg(value_name = "IMAGE", conflicts_with_all = ["per_class", "data"])]
    images: Vec<PathBuf>,
    /// The average face of each class of this data's Training split, at least 100 faces each
    #[arg(long, value_name = "DATA", conflicts_with = "data")]
    per_class: Option<String>,
    /// Show the mean of the maps of up to N faces of each class over its average face, instead of the
    /// map of the average face
    #[arg(long, value_name = "N", requires = "per_class", value_parser = clap::value_parser!(u32).range(1..))]
    faces: Option<u32>,
    /// Faces of this data, chosen with --numbers
    #[arg(long, value_name = "DATA", requires = "numbers")]
    data: Option<String>,
    /// Which of them, counted from 0 as `report errors` counts with the same flags
    #[arg(long, value_name = "N,…", value_delimiter = ',', requires = "data")]
    numbers: Vec<usize>,
    #[command(flatten)]
    votes: VoteFlags,
    /// Pass over wrong rows and unreadable images, as `report errors --skip-bad` does
    #[arg(long)]
    skip_bad: bool,
    /// What to show, a column each
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "grad-cam,grad-cam++,occlusion"
    )]
    method: Vec<MethodName>,
    /// Layers of all but occlusion, a column each; the last with at least 5 pixels a side if not given
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    layer: Vec<String>,
    /// Class to explain: a label or `predicted`; if not given, with --per-class each face's own
    #[arg(long, value_name = "LABEL")]
    class: Option<String>,
    #[command(flatten)]
    cover: Cover,
    /// Sheet to write: .svg or .png
    #[arg(long, value_name = "FILE", required_unless_present = "list_layers")]
    out: Option<PathBuf>,
    /// Write the fall of the probability for each covered square of the faces that are shown as CSV
    #[arg(long, value_name = "FILE")]
    cells: Option<PathBuf>,
    /// List the layers that can be shown and stop
    #[arg(long)]
    list_layers: bool,
}

/// How occlusion covers a face.
#[derive(Debug, clap::Args)]
struct Cover {
    /// Side of the covering square in pixels of the network's input; a quarter of it if not given
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..))]
    cell: Option<u16>,
    /// Pixels from one square to the next; half a square if not given
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..))]
    step: Option<u16>,
    /// Grey of the square, 0 to 255; the face's mean if not given
    #[arg(long, value_name = "GREY")]
    fill: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    #[value(name = "grad-cam")]
    GradCam,
    #[value(name = "grad-cam++")]
    GradCamPlusPlus,
    Occlusion,
    /// Mean of the layer's channels
    ActivationMean,
    /// Largest of the layer's channels; for masks that are a softmax over channels
    ActivationMax,
}

impl MethodName {
    fn layered(self) -> Option<Method> {
        match self {
            Self::GradCam => Some(Method::GradCam),
            Self::GradCamPlusPlus => Some(Method::GradCamPlusPlus),
            Self::ActivationMean => Some(Method::ChannelMean),
            Self::ActivationMax => Some(Method::ChannelMax),
            Self::Occlusion => None,
        }
    }

    fn is_activation(self) -> bool {
        matches!(self, Self::ActivationMean | Self::ActivationMax)
    }
}

impl Args {
    /// # Errors
    /// A flag that would do nothing.
    fn check(&self) -> Result<(), Usage> {
        let occlusion = self.method.contains(&MethodName::Occlusion);
        let layered = self.method.iter().any(|m| m.layered().is_some());
        let Cover { cell, step, fill } = &self.cover;
        let reads_data = self.data.is_some() || self.per_class.is_some();
        if !reads_data && (self.skip_bad || self.votes.given()) {
            let flags = "--skip-bad and --ferplus are for --data and --per-class";
            return Err(Usage(flags.into()));
        }
        if self.cells.is_some() && self.cells == self.out {
            return Err(Usage("--cells and --out: the same file".into()));
        }
        for (name, given, has_use, method) in [
            ("--cells", self.cells.is_some(), occlusion, "occlusion"),
            ("--cell", cell.is_some(), occlusion, "occlusion"),
            ("--step", step.is_some(), occlusion, "occlusion"),
            ("--fill", fill.is_some(), occlusion, "occlusion"),
            (
                "--layer",
                !self.layer.is_empty(),
                layered,
                "another than occlusion",
            ),
        ] {
            if given && !has_use {
                return Err(Usage(format!("{name} is for --method {method}")));
            }
        }
        Ok(())
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    if args.model.is_dir() {
        let folder = args.model.display();
        return Err(Usage(format!(
            "{folder} is a folder; explaining needs gradients: name a checkpoint (.safetensors)"
        ))
        .into());
    }
    let checkpoint = Checkpoint::load(&args.model)?;
    if args.list_layers {
        return list_layers(&checkpoint);
    }
    let Some(out) = &args.out else {
        return Err(Usage("--out is missing".into()).into());
    };
    is_png(out)?;
    args.check()?;
    let mut explainers = match &args.layer[..] {
        [] => vec![Explainer::new(&checkpoint, None)?],
        names => {
            let explainer = |name: &String| Explainer::new(&checkpoint, Some(name));
            names.iter().map(explainer).collect::<Result<_, _>>()?
        }
    };
    let columns = columns(&args.method, &explainers);
    let faces = faces(&args, &checkpoint)?;
    if faces.is_empty() {
        let what = "name IMAGE files, --per-class DATA, or --data DATA --numbers N";
        return Err(Usage(format!("no face to explain: {what}")).into());
    }
    let (labels, input) = (&checkpoint.labels, &checkpoint.input);
    let class = asked_class(args.class.as_deref(), labels)?;
    let how = args.cover.on(input);

    let mut sheet = empty_sheet(&args, &explainers, &columns);
    let mut table = Table::new(args.per_class.is_some(), input.crop);
    let mut cells = String::from("face,class,left,top,side,drop,predicted\n");
    for face in &faces {
        let class = class.or(face.class.map(Class::Number));
        let class = class.unwrap_or(Class::Predicted);
        let mut tiles = vec![plain(face, input)];
        for column in &columns {
            let explainer = &mut explainers[column.explainer];
            let found = face.explain(explainer, column.method, &how, class, &mut cells)?;
            table.add(&face.name[0], column, &found, labels);
            tiles.push(tile(face, column.method, &found, explainer));
        }
        sheet.rows.push(Row {
            name: face.name.clone(),
            tiles,
        });
    }
    write!(std::io::stdout().lock(), "{}", table.text)?;
    if let Some(path) = &args.cells {
        write_atomic(path, |out| out.write_all(cells.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    save(&sheet.draw(), out)
}

/// One method on one layer.
struct Column {
    name: String,
    method: MethodName,
    /// Which explainer has the layer; any for occlusion.
    explainer: usize,
}

/// Each method on each layer, in the order of the methods.
fn columns(methods: &[MethodName], explainers: &[Explainer]) -> Vec<Column> {
    let mut columns = Vec::new();
    for &method in methods {
        let layers = match method.layered() {
            Some(_) => explainers.len(),
            None => 1,
        };
        for (explainer, on) in explainers.iter().take(layers).enumerate() {
            let name = match layers {
                1 => value_name(&method),
                _ => format!("{} {}", value_name(&method), on.layer().0),
            };
            columns.push(Column {
                name,
                method,
                explainer,
            });
        }
    }
    columns
}

impl Cover {
    /// What the flags say, and the rest as it suits the network.
    fn on(&self, input: &Preprocess) -> Occlusion {
        let mut how = Occlusion::of(input);
        if let Some(cell) = self.cell {
            how.cell = usize::from(cell);
            how.step = (how.cell / 2).max(1);
        }
        if let Some(step) = self.step {
            how.step = usize::from(step);
        }
        how.fill = self.fill.map_or(Fill::Mean, Fill::Grey);
        how
    }
}

fn list_layers(checkpoint: &Checkpoint) -> Result<()> {
    let graph = &checkpoint.network.graph;
    let default = default_layer(graph)?;
    let mut out = std::io::stdout().lock();
    let longest = maps(graph).map(|(_, name, _)| name.len()).max();
    let width = longest.unwrap_or(0);
    for (id, name, [channels, rows, columns]) in maps(graph) {
        let mark = if id == default { "  default" } else { "" };
        writeln!(
            out,
            "{name:<width$}  {channels:>5} × {rows} × {columns}{mark}"
        )?;
    }
    Ok(())
}
