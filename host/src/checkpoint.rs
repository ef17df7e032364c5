//! A network on disk: one safetensors file with the graph, the tensors and, in the middle of a run,
//! everything that the next step depends on.
//!
//! The tensors are named `weights/<tensor>`, `velocity/<tensor>` (momentum, or Adam's mean of gradients),
//! `second/<tensor>` (Adam's mean of squares), `average/<tensor>` (the running average of weights) and
//! `loss/centers`; the rest is JSON in the file's metadata under `fer`. One file is
//! written under a temporary name and renamed, so a reader sees the old checkpoint or the new one.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use fer_models::{Labels, Preprocess, sha256_hex, write_atomic};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::graph::{Array, Graph, GraphError, Network, Weights};
use crate::train::RunState;

/// Version of the JSON beside the tensors.
const FORMAT: u32 = 1;
/// Larger files than this are not checkpoints of ours.
const MAX_BYTES: u64 = 8 << 30;

/// Why a checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("cannot read or write {path}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a checkpoint, or a damaged one.
    #[error("{path}: not a checkpoint: {problem}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Graph and tensors disagree.
    #[error("{path}: graph and tensors disagree", path = .path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// Where they disagree.
        source: GraphError,
    },
    /// A checkpoint to resume from that is a finished network only.
    #[error("{path}: holds no training state to resume", path = .path.display())]
    NoState {
        /// The file.
        path: PathBuf,
    },
}

/// A trained network with what is needed to use it and to say where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Graph and tensors; of a run in progress the evaluated ones.
    pub network: Network,
    /// Class names in the order of the logits.
    pub labels: Labels,
    /// How a face becomes the input.
    pub input: Preprocess,
    /// How it was made.
    pub history: History,
}

/// How a network was made, stage by stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The data trained on, oldest first.
    pub dataset: String,
    /// The commands that led here, oldest first.
    pub commands: Vec<String>,
    /// Seed of the last training.
    pub seed: u64,
    /// Validation accuracy at the kept epoch, 0 to 1, single crop.
    pub validation_accuracy: Option<f64>,
}

/// Stands between the data sets of a history.
const BETWEEN: &str = " and ";

impl History {
    /// Adds data that were trained on, one set or those of another history, where they are not among them yet.
    pub fn add_dataset(&mut self, data: &str) {
        for new in data.split(BETWEEN) {
            if self.dataset.is_empty() {
                new.clone_into(&mut self.dataset);
            } else if !self.dataset.split(BETWEEN).any(|known| known == new) {
                self.dataset += BETWEEN;
                self.dataset += new;
            }
        }
    }
}

/// What a run needs besides the network to go on exactly where it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// The raw weights, where the checkpoint's network holds their running average.
    pub weights: Option<Weights>,
    /// The optimiser's velocity, or mean of gradients, by tensor.
    pub velocity: Weights,
    /// The optimiser's mean of squared gradients by tensor; empty for SGD.
    pub second: Weights,
    /// The centers of a center loss, `[classes, features]`.
    pub centers: Option<Array>,
}

/// The JSON in the metadata.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    format: u32,
    graph: Cow<'a, Graph>,
    labels: Cow<'a, Labels>,
    input: Cow<'a, Preprocess>,
    history: Cow<'a, History>,
    run: Option<Cow<'a, RunState>>,
}

/// A tensor of a checkpoint as safetensors wants it.
struct Stored<'a>(&'a Array);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.data().iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        self.0.data().len() * 4
    }
}

impl Checkpoint {
    /// Reads a checkpoint of a finished network or of a run in progress.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        read(path).map(|(checkpoint, _)| checkpoint)
    }

    /// The fingerprint of a network: structure, classes, input and numbers.
    pub fn fingerprint(&self) -> String {
        let structure = (&self.network.graph, &self.labels, &self.input);
        let mut bytes = serde_json::to_vec(&structure).unwrap_or_default();
        for (name, tensor) in &self.network.weights {
            bytes.extend(name.as_bytes());
            bytes.extend(tensor.data().iter().flat_map(|v| v.to_le_bytes()));
        }
        sha256_hex(&bytes)
    }

    /// Reads a run in progress.
    ///
    /// # Errors
    /// As [`Checkpoint::load`], or when the file holds a finished network.
    pub fn load_run(path: &Path) -> Result<(Self, RunState, Moments), CheckpointError> {
        let (checkpoint, run) = read(path)?;
        let (state, moments) = run.ok_or_else(|| CheckpointError::NoState { path: path.into() })?;
        Ok((checkpoint, state, moments))
    }

    /// Writes a finished network.
    ///
    /// # Errors
    /// Names the file; what stood there before is then still there.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        self.write(path, None)
    }

    /// Writes a run in progress.
    ///
    /// # Errors
    /// Names the file; what stood there before is then still there.
    pub fn save_run(
        &self,
        path: &Path,
        state: &RunState,
        moments: &Moments,
    ) -> Result<(), CheckpointError> {
        self.write(path, Some((state, moments)))
    }

    fn write(
        &self,
        path: &Path,
        run: Option<(&RunState, &Moments)>,
    ) -> Result<(), CheckpointError> {
        let header = Header {
            format: FORMAT,
            graph: Cow::Borrowed(&self.network.graph),
            labels: Cow::Borrowed(&self.labels),
            input: Cow::Borrowed(&self.input),
            history: Cow::Borrowed(&self.history),
            run: run.map(|(state, _)| Cow::Borrowed(state)),
        };
        let malformed = |problem: String| CheckpointError::Malformed {
            path: path.into(),
            problem,
        };
        let json = serde_json::to_string(&header).map_err(|e| malformed(e.to_string()))?;
        let mut tensors: BTreeMap<String, Stored<'_>> = BTreeMap::new();
        let groups = [
            (
                "weights",
                run.and_then(|(_, m)| m.weights.as_ref())
                    .or(Some(&self.network.weights)),
            ),
            (
                "average",
                run.and_then(|(_, m)| m.weights.as_ref())
                    .map(|_| &self.network.weights),
            ),
            ("velocity", run.map(|(_, m)| &m.velocity)),
            ("second", run.map(|(_, m)| &m.second)),
        ];
        for (group, weights) in groups {
            for (name, array) in weights.into_iter().flatten() {
                tensors.insert(format!("{group}/{name}"), Stored(array));
            }
        }
        if let Some(centers) = run.and_then(|(_, m)| m.centers.as_ref()) {
            tensors.insert("loss/centers".into(), Stored(centers));
        }
        let metadata = HashMap::from([("fer".to_owned(), json)]);
        let bytes = safetensors::serialize(tensors, Some(metadata))
            .map_err(|e| malformed(e.to_string()))?;
        write_atomic(path, |out| out.write_all(&bytes)).map_err(|source| CheckpointError::Io {
            path: path.into(),
            source,
        })
    }
}

type Read = (Checkpoint, Option<(RunState, Moments)>);

fn read(path: &Path) -> Result<Read, CheckpointError> {
    let io = |source| CheckpointError::Io {
        path: path.into(),
        source,
    };
    let malformed = |problem: String| CheckpointError::Malformed {
        path: path.into(),
        problem,
    };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MAX_BYTES {
        return Err(malformed(format!(
            "{size} bytes, expected at most {MAX_BYTES}"
        )));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| malformed(e.to_string()))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get("fer"))
        .ok_or_else(|| malformed("a safetensors file without our metadata".into()))?;
    let header: Header<'static> =
        serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
    if header.format != FORMAT {
        return Err(malformed(format!(
            "format {}, this build reads {FORMAT}",
            header.format
        )));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|e| malformed(e.to_string()))?;
    let mut groups: BTreeMap<&str, Weights> = BTreeMap::new();
    for (name, view) in file.iter() {
        let (group, tensor) = name
            .split_once('/')
            .ok_or_else(|| malformed(format!("tensor `{name}` belongs to no group")))?;
        if view.dtype() != Dtype::F32 {
            return Err(malformed(format!("tensor `{name}` is {:?}", view.dtype())));
        }
        let (numbers, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(malformed(format!(
                "number {at} of tensor `{name}` is {}: a training that diverged, or damage",
                values[at]
            )));
        }
        let array = Array::new(view.shape(), values);
        groups
            .entry(group)
            .or_default()
            .insert(tensor.to_owned(), array);
    }
    let mut group = |name: &str| groups.remove(name);
    let weights = group("weights").unwrap_or_default();
    let velocity = group("velocity").unwrap_or_default();
    let second = group("second").unwrap_or_default();
    let centers = group("loss").and_then(|mut loss| loss.remove("centers"));
    let (evaluated, raw) = match group("average") {
        Some(average) => (average, Some(weights)),
        None => (weights, None),
    };
    let graph_error = |source| CheckpointError::Graph {
        path: path.into(),
        source,
    };
    let graph = header.graph.into_owned();
    if let Some(raw) = &raw {
        graph.check_weights(raw).map_err(graph_error)?;
    }
    let checkpoint = Checkpoint {
        network: Network::new(graph, evaluated).map_err(graph_error)?,
        labels: header.labels.into_owned(),
        input: header.input.into_owned(),
        history: header.history.into_owned(),
    };
    checkpoint.agrees().map_err(malformed)?;
    let moments = Moments {
        weights: raw,
        velocity,
        second,
        centers,
    };
    let run = header.run.map(|state| (state.into_owned(), moments));
    Ok((checkpoint, run))
}

impl Checkpoint {
    /// Checks that graph, labels and preprocessing speak of the same network.
    fn agrees(&self) -> Result<(), String> {
        self.input.validate().map_err(|e| e.to_string())?;
        let graph = &self.network.graph;
        if graph.classes() != self.labels.len() {
            return Err(format!(
                "{} logits for {} labels",
                graph.classes(),
                self.labels.len()
            ));
        }
        let want = [self.input.channels, self.input.crop, self.input.crop];
        if graph.input_shape() != want {
            return Err(format!(
                "the graph reads {:?}, the preprocessing gives {want:?}",
                graph.input_shape()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
