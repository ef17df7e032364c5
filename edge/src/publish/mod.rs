//! Where results go. A result is numbers and names: no type here can hold a picture, so none leaves.

use std::sync::Arc;

use fer_models::{Labels, Rect};
use serde::ser::{Serialize, SerializeMap, Serializer};

pub mod fanout;
pub mod jsonl;
pub mod mqtt;
pub mod serial;

/// Version of the JSON schema, its field `v`. `docs/json-lines.md` describes it.
pub const SCHEMA_VERSION: u32 = 1;

/// What one frame showed.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Position of the frame in its source, from 0.
    pub seq: u64,
    /// Milliseconds since the source's first frame.
    pub t_ms: u64,
    /// The source's name.
    pub source: Arc<str>,
    /// The picture's file name; empty where frames have none.
    pub file: String,
    /// The model's name.
    pub model: Arc<str>,
    /// Class names, in the order of each face's scores.
    pub labels: Arc<Labels>,
    /// The faces, oldest first.
    pub faces: Vec<Face>,
}

/// The decision for one face.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Number of the face, the same from frame to frame.
    pub id: u64,
    /// Where, in pixels of the frame; may reach beyond it.
    pub rect: Rect,
    /// The smoothed decision, an index into the labels.
    pub label: usize,
    /// This frame's decision alone, an index into the labels.
    pub raw_label: usize,
    /// Smoothed score of each label.
    pub scores: Vec<f32>,
}

impl Observation {
    fn label(&self, index: usize) -> &str {
        self.labels.names().get(index).map_or("", String::as_str)
    }
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &SCHEMA_VERSION)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("t_ms", &self.t_ms)?;
        map.serialize_entry("source", &*self.source)?;
        if !self.file.is_empty() {
            map.serialize_entry("file", &self.file)?;
        }
        map.serialize_entry("model", &*self.model)?;
        map.serialize_entry("faces", &Faces(self))?;
        map.end()
    }
}

struct Faces<'a>(&'a Observation);

impl Serialize for Faces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.faces.iter().map(|face| FaceOf(self.0, face)))
    }
}

struct FaceOf<'a>(&'a Observation, &'a Face);

impl Serialize for FaceOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(observation, face) = self;
        let rect = &face.rect;
        let pixels = [rect.x, rect.y, rect.width, rect.height].map(|v| v.round() as i32);
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("id", &face.id)?;
        map.serialize_entry("box", &pixels)?;
        map.serialize_entry("label", observation.label(face.label))?;
        map.serialize_entry("score", &rounded(face.scores.get(face.label)))?;
        map.serialize_entry("raw_label", observation.label(face.raw_label))?;
        map.serialize_entry("scores", &Scores(observation, face))?;
        map.end()
    }
}

struct Scores<'a>(&'a Observation, &'a Face);

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.0.labels.names();
        serializer.collect_map(
            names
                .iter()
                .zip(self.1.scores.iter().map(|s| rounded(Some(s)))),
        )
    }
}

/// Four decimals: more is noise, and lines stay short.
fn rounded(score: Option<&f32>) -> f64 {
    (f64::from(score.copied().unwrap_or(0.0)) * 1e4).round() / 1e4
}

/// Why a result was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The reader has gone, as in `fer-edge run | head`: a reason to stop, not a failure.
    #[error("the reader of the output has gone")]
    Closed,
    /// Writing failed.
    #[error("writing the output: {0}")]
    Io(std::io::Error),
    /// The result can't be written in the sink's format.
    #[error("encoding the output: {0}")]
    Encode(String),
}

/// Takes results.
pub trait Sink {
    /// Delivers one result.
    ///
    /// # Errors
    /// Returns an error when the sink can't take any more.
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError>;
}

/// A result for the tests of every sink.
#[cfg(test)]
pub(crate) mod fixture {
    use super::{Face, Observation};
    use fer_models::{Labels, Rect};

    /// A face of 40 pixels at the origin, labelled `label` and by itself `sad`.
    pub(crate) fn face(id: u64, label: usize) -> Face {
        Face {
            id,
            rect: Rect {
                x: 0.0,
                y: 0.0,
                width: 40.0,
                height: 40.0,
            },
            label,
            raw_label: 0,
            scores: vec![0.25, 0.75],
        }
    }

    /// Frame 4 of the source `demo` by the model `m`, whose labels are `sad` and `happy`.
    pub(crate) fn observation(faces: Vec<Face>) -> Observation {
        Observation {
            seq: 4,
            t_ms: 266,
            source: "demo".into(),
            file: String::new(),
            model: "m".into(),
            labels: Labels::new(vec!["sad".into(), "happy".into()])
                .expect("two names")
                .into(),
            faces,
        }
    }
}
