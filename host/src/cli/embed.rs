//! `fer-tools embed`: features of faces for NumPy.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fer_models::Crops;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, Dataset, Item, LoadOptions, Split, folder};
use fer_tools::embed::Embedder;
use fer_tools::npz::{self, Entry, Values};

use super::crops::CropsName;
use super::exit::Usage;
use super::output::check_file;

const EXAMPLES: &str = "\
Examples:
  Every face of a data set, averaged over ten crops:
    fer-tools embed runs/vgg19/best.safetensors fer2013.csv --crops ten --out faces.npz
  Pictures without labels, in the order given:
    fer-tools embed runs/vgg19/best.safetensors --images a.png b.png --out faces.npz
  In Python:
    numpy.load('faces.npz')['arr_0']";

/// Write what a network makes of faces before it decides, as .npz for NumPy.
///
/// Keys: arr_0 (features, [faces, features]), logits ([faces, classes]), labels (numbers into names, -1
/// for pictures without one), names (of the classes), paths (files, or FILE#ROW with rows from 0).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint file
    #[arg(value_name = "CHECKPOINT")]
    model: PathBuf,
    /// FER2013 CSV (also .gz .xz .zst .zip), folder of class folders, or synth:SEED:COUNT
    #[arg(value_name = "DATA", required_unless_present = "images")]
    data: Option<String>,
    /// Pictures of one face each instead
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Only this split
    #[arg(long, conflicts_with = "images")]
    split: Option<Split>,
    /// Crops of each face, over which features and logits are averaged
    #[arg(long, value_enum, default_value = "center")]
    crops: CropsName,
    /// Layer whose output is written; what the last linear layer reads if not given
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// File to write, .npz
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Faces with what is known about them.
struct Faces {
    dataset: Dataset,
    indices: Vec<usize>,
    labels: Vec<i64>,
    paths: Vec<String>,
    names: Vec<String>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    if args.out.extension().is_none_or(|e| e != "npz") {
        let out = args.out.display();
        return Err(Usage(format!("{out}: expected a name in .npz")).into());
    }
    check_file(&args.out)?;
    let checkpoint = Checkpoint::load(&args.model)?;
    let mut embedder = Embedder::new(&checkpoint, args.layer.as_deref())?;
    let faces = match &args.data {
        Some(spec) => Faces::open(spec, args.split, checkpoint.input.tile)?,
        None => Faces::read(&args.images, &checkpoint)?,
    };
    let crops = Crops::from(args.crops);
    let found = embedder.embed(&faces.dataset, &faces.indices, crops)?;
    let count = faces.indices.len();
    // what the logits stand for, whatever the data calls its classes
    let classes = checkpoint.labels.names();
    let entry = |name, shape: &[usize], values| Entry {
        name,
        shape: shape.to_vec(),
        values,
    };
    let entries = [
        entry("arr_0", &[count, found.width], Values::F32(&found.features)),
        entry(
            "logits",
            &[count, classes.len()],
            Values::F32(&found.logits),
        ),
        entry("labels", &[count], Values::I64(&faces.labels)),
        entry("names", &[faces.names.len()], Values::Text(&faces.names)),
        entry("classes", &[classes.len()], Values::Text(classes)),
        entry("paths", &[count], Values::Text(&faces.paths)),
    ];
    npz::write(&args.out, &entries)?;
    tracing::info!(faces = count, features = found.width, layer = embedder.layer(),
        file = %args.out.display(), "written");
    Ok(())
}

impl Faces {
    fn open(spec: &str, split: Option<Split>, tile: usize) -> Result<Self> {
        let options = LoadOptions {
            skip_bad: false,
            tile,
        };
        let dataset = data::open(spec, &options)?.dataset;
        let path_of: Box<dyn Fn(usize) -> String> = if Path::new(spec).is_dir() {
            let files = folder::files(Path::new(spec))?;
            let (read, listed) = (dataset.len(), files.len());
            ensure!(
                read == listed,
                "{spec}: {listed} files, of which {read} were read"
            );
            Box::new(move |i| files[i].display().to_string())
        } else {
            Box::new(|i| format!("{spec}#{i}"))
        };
        let indices = match split {
            Some(split) => dataset.indices(split),
            None => (0..dataset.len()).collect(),
        };
        ensure!(!indices.is_empty(), "{spec}: no image in that split");
        Ok(Self {
            labels: indices
                .iter()
                .map(|&i| i64::from(dataset.item(i).label))
                .collect(),
            paths: indices.iter().map(|&i| path_of(i)).collect(),
            names: dataset.labels().names().to_vec(),
            dataset,
            indices,
        })
    }

    fn read(files: &[PathBuf], checkpoint: &Checkpoint) -> Result<Self> {
        let tile = checkpoint.input.tile;
        let mut dataset = Dataset::new(checkpoint.labels.clone(), tile);
        for file in files {
            // the label is a stand-in: -1 is written
            let item = Item {
                label: 0,
                split: Split::Training,
                subject: None,
                sequence: None,
            };
            let pixels = data::read_tile(file, tile)?;
            dataset
                .push(&pixels, item)
                .with_context(|| format!("cannot take {}", file.display()))?;
        }
        Ok(Self {
            indices: (0..files.len()).collect(),
            labels: vec![-1; files.len()],
            paths: files.iter().map(|f| f.display().to_string()).collect(),
            names: checkpoint.labels.names().to_vec(),
            dataset,
        })
    }
}
