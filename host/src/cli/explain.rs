//! `fer-tools explain`: what in a face a network goes by.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use fer_models::{Labels, write_atomic};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, LoadOptions, Split, average};
use fer_tools::explain::{
    Class, EYES_AND_MOUTH, Explainer, Explanation, Fill, Method, Occlusion, OcclusionMap,
    default_layer, maps, uniform_share,
};
use fer_tools::report::{Picture, Row, Sheet, Tile};

use super::eval::{is_png, name_of, save};
use super::exit::Usage;

const EXAMPLES: &str = "\
Examples:
  One face, why the network says what it says:
    fer-tools explain models/zoo/vgg19-lite/checkpoint.safetensors face.png --out face.svg
  A sheet of the average face of each class:
    fer-tools explain models/zoo/vgg19-lite/checkpoint.safetensors --per-class fer2013.csv --out sheet.png
  What the surest mistakes of `report errors` were made of, for the label sad:
    fer-tools explain best.safetensors --data fer2013.csv --numbers 32011,28991 --class sad --out sad.png
  The cells of the reference's salient map (16 black squares) as numbers:
    fer-tools explain best.safetensors face.png --method occlusion --cell 56 --step 56 --fill 0 \\
      --cells cells.csv --out face.png
  Which layers there are, and what a mask lets pass:
    fer-tools explain best.safetensors --list-layers
    fer-tools explain best.safetensors face.png --method activation-max --layer NAME --out mask.png";

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
    /// Faces of this data, chosen with --numbers
    #[arg(long, value_name = "DATA", requires = "numbers")]
    data: Option<String>,
    /// Which of them, counted from 0 as `report errors` counts
    #[arg(long, value_name = "N,…", value_delimiter = ',', requires = "data")]
    numbers: Vec<usize>,
    /// What to show, a column each
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "grad-cam,grad-cam++,occlusion"
    )]
    method: Vec<MethodName>,
    /// Layer of all but occlusion; the last with at least 7 pixels a side if not given
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Class to explain: a label or `predicted`; if not given, with --per-class each face's own
    #[arg(long, value_name = "LABEL")]
    class: Option<String>,
    #[command(flatten)]
    cover: Cover,
    /// Sheet to write: .svg or .png
    #[arg(long, value_name = "FILE", required_unless_present = "list_layers")]
    out: Option<PathBuf>,
    /// Write the fall of the probability for each covered square as CSV
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

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |v| v.get_name().to_owned())
    }
}

/// A face to explain.
struct Face {
    name: Vec<String>,
    /// Its own class, where it is one's average.
    class: Option<usize>,
    tile: Vec<u8>,
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
    let mut explainer = Explainer::new(&checkpoint, args.layer.as_deref())?;
    let faces = faces(&args, &explainer)?;
    if faces.is_empty() {
        let what = "name IMAGE files, --per-class DATA, or --data DATA --numbers N";
        return Err(Usage(format!("no face to explain: {what}")).into());
    }
    let class = asked_class(args.class.as_deref(), explainer.labels())?;
    let mut how = Occlusion::of(explainer.input());
    if let Some(cell) = args.cover.cell {
        how.cell = usize::from(cell);
        how.step = (how.cell / 2).max(1);
    }
    if let Some(step) = args.cover.step {
        how.step = usize::from(step);
    }
    how.fill = args.cover.fill.map_or(Fill::Mean, Fill::Grey);

    let mut sheet = empty_sheet(&args, &explainer);
    let mut table = Table::new(args.per_class.is_some(), explainer.input().crop);
    let mut cells = String::from("face,class,left,top,side,drop,predicted\n");
    for face in &faces {
        let class = class.or(face.class.map(Class::Number));
        let class = class.unwrap_or(Class::Predicted);
        let mut tiles = vec![Tile {
            picture: Picture::face(explainer.input().crop, &crop(&face.tile, &explainer)),
            captions: Vec::new(),
        }];
        for &method in &args.method {
            let explanation = match method.layered() {
                Some(layered) => explainer.explain(&face.tile, layered, class)?,
                None => {
                    let (explanation, map) = explainer.occlude(&face.tile, &how, class)?;
                    let name = &face.name[0];
                    write_cells(
                        &mut cells,
                        name,
                        explanation.class,
                        &map,
                        explainer.labels(),
                    );
                    explanation
                }
            };
            table.add(&face.name[0], method, &explanation, explainer.labels());
            tiles.push(tile(face, method, &explanation, &explainer));
        }
        sheet.rows.push(Row {
            name: face.name.clone(),
            tiles,
        });
    }
    save(&sheet.draw(), out)?;
    if let Some(path) = &args.cells {
        write_atomic(path, |out| out.write_all(cells.as_bytes()))?;
    }
    write!(std::io::stdout().lock(), "{}", table.text)?;
    Ok(())
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

fn faces(args: &Args, explainer: &Explainer) -> Result<Vec<Face>> {
    let tile = explainer.input().tile;
    let options = LoadOptions {
        skip_bad: false,
        tile,
    };
    if let Some(spec) = &args.per_class {
        let data = data::open(spec, &options)?.dataset;
        let averages = average::class_averages(&data, Split::Training)?;
        let labels = explainer.labels();
        let face = |average: average::Average| -> Result<Face> {
            let class = labels
                .index_of(&average.class)
                .with_context(|| format!("{spec}: the network does not know {}", average.class))?;
            Ok(Face {
                name: vec![average.class, format!("{} faces", average.faces)],
                class: Some(class),
                tile: average.pixels,
            })
        };
        return averages.into_iter().map(face).collect();
    }
    if let Some(spec) = &args.data {
        let data = data::open(spec, &options)?.dataset;
        let face = |&number: &usize| -> Result<Face> {
            if number >= data.len() {
                let len = data.len();
                return Err(Usage(format!("--numbers {number}: {spec} has {len} faces")).into());
            }
            let label = usize::from(data.item(number).label);
            Ok(Face {
                name: vec![format!("{number}"), data.labels().names()[label].clone()],
                class: None,
                tile: data.image(number).to_vec(),
            })
        };
        return args.numbers.iter().map(face).collect();
    }
    let face = |path: &PathBuf| -> Result<Face> {
        Ok(Face {
            name: vec![name_of(path)],
            class: None,
            tile: data::read_tile(path, tile)?,
        })
    };
    args.images.iter().map(face).collect()
}

/// The class that the flag names; `None` without the flag.
fn asked_class(name: Option<&str>, labels: &Labels) -> Result<Option<Class>> {
    match name {
        None => Ok(None),
        Some("predicted") => Ok(Some(Class::Predicted)),
        Some(name) => match labels.index_of(name) {
            Some(class) => Ok(Some(Class::Number(class))),
            None => {
                let known = labels.names().join(", ");
                Err(Usage(format!("--class {name}: expected predicted, {known}")).into())
            }
        },
    }
}

fn empty_sheet(args: &Args, explainer: &Explainer) -> Sheet {
    let (layer, [channels, rows, columns]) = explainer.layer();
    let mut notes = Vec::new();
    if args.method.iter().any(|m| m.layered().is_some()) {
        notes.push(format!("layer {layer}, {channels} × {rows} × {columns}"));
    }
    if args.method.iter().any(|m| !m.is_activation()) {
        notes.push("orange: for the class; blue: against it; line: half of the strongest".into());
    }
    let methods = args.method.iter().map(|m| m.name());
    Sheet {
        title: name_of(&args.model),
        notes,
        columns: std::iter::once("face".to_owned()).chain(methods).collect(),
        rows: Vec::new(),
    }
}

/// The centre crop of a tile.
fn crop(tile: &[u8], explainer: &Explainer) -> Vec<u8> {
    let input = explainer.input();
    let margin = (input.tile - input.crop) / 2;
    let rows = tile.chunks_exact(input.tile).skip(margin).take(input.crop);
    rows.flat_map(|row| &row[margin..margin + input.crop])
        .copied()
        .collect()
}

fn tile(face: &Face, method: MethodName, found: &Explanation, explainer: &Explainer) -> Tile {
    let grey = crop(&face.tile, explainer);
    let (heat, caption) = if method.is_activation() {
        (found.heat.stretched(), String::new())
    } else {
        let label = &explainer.labels().names()[found.class];
        let sure = 100.0 * found.seen.scores[found.class];
        (found.heat.clone(), format!("{label} {sure:.1} %"))
    };
    Tile {
        picture: Picture::heat(explainer.input().crop, &grey, &heat),
        captions: vec![caption],
    }
}

fn write_cells(out: &mut String, face: &str, class: usize, map: &OcclusionMap, labels: &Labels) {
    use std::fmt::Write;
    let name = |class: usize| labels.names()[class].as_str();
    let quoted = format!("\"{}\"", face.replace('"', "\"\""));
    for cell in &map.cells {
        let (left, top, side, drop) = (cell.left, cell.top, map.cell, cell.drop);
        let (class, predicted) = (name(class), name(cell.predicted));
        // a String takes any text
        let _ = writeln!(
            out,
            "{quoted},{class},{left},{top},{side},{drop:.6},{predicted}"
        );
    }
}

/// What is printed.
struct Table {
    text: String,
    /// Share of evenly spread heat in eyes and mouth, where faces are aligned averages.
    even: Option<f32>,
    side: usize,
}

impl Table {
    fn new(averages: bool, side: usize) -> Self {
        let even = averages.then(|| uniform_share(&EYES_AND_MOUTH, side));
        let mut text = format!(
            "{:<24} {:<16} {:<20} {:<20}",
            "face", "method", "predicted", "explained"
        );
        text.push_str(if averages {
            " in eyes and mouth  (evenly)\n"
        } else {
            "\n"
        });
        Self { text, even, side }
    }

    fn add(&mut self, face: &str, method: MethodName, found: &Explanation, labels: &Labels) {
        use std::fmt::Write;
        let say = |class: usize| {
            let sure = 100.0 * found.seen.scores[class];
            format!("{} {sure:.1} %", labels.names()[class])
        };
        let (predicted, explained) = (say(found.seen.predicted), say(found.class));
        let method_name = method.name();
        // a String takes any text
        let _ = write!(
            self.text,
            "{face:<24} {method_name:<16} {predicted:<20} {explained:<20}"
        );
        if let Some(even) = self.even.filter(|_| !method.is_activation()) {
            let share = found.heat.share(&EYES_AND_MOUTH, self.side);
            let share = share.map_or("none".into(), |s| format!("{:.1} %", 100.0 * s));
            let _ = write!(self.text, " {share:>17}  ({:.1} %)", 100.0 * even);
        }
        self.text.push('\n');
    }
}
