//! One network, one layer, and the maps of any face.

use fer_models::{Crops, Labels, Preprocess, argmax, softmax};

use super::cam::Layer;
use super::heat::{Grid, Heat};
use super::layers::{default_layer, find_layer, grid};
use super::{ExplainError, Occlusion, OcclusionMap, occlude};
use crate::checkpoint::Checkpoint;
use crate::graph::NodeId;
use crate::graph::exec::{ExecError, Observer};

/// What is drawn of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Grad-CAM: [`Layer::grad_cam`].
    GradCam,
    /// Grad-CAM++: [`Layer::grad_cam_plus_plus`].
    GradCamPlusPlus,
    /// Mean over the channels: [`Layer::channel_mean`].
    ChannelMean,
    /// Largest of the channels: [`Layer::channel_max`].
    ChannelMax,
}

/// Which class is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The one that the network decides for.
    Predicted,
    /// A label's number.
    Number(usize),
}

/// What a network sees in one face.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Probability of each class.
    pub scores: Vec<f32>,
    /// The class decided for.
    pub predicted: usize,
}

/// A map with what it explains.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What the network decided.
    pub seen: Seen,
    /// The class that the map speaks of.
    pub class: usize,
    /// The map over the centre crop.
    pub heat: Heat,
}

/// Explains the decisions of a checkpoint, on the centre crop.
#[derive(Debug)]
pub struct Explainer {
    observer: Observer,
    labels: Labels,
    input: Preprocess,
    layer: NodeId,
    shape: [usize; 3],
    grid: Grid,
}

impl Explainer {
    /// Prepares to look at `layer`, or at [`default_layer`].
    ///
    /// # Errors
    /// When there is no such layer or it gives no map.
    pub fn new(checkpoint: &Checkpoint, layer: Option<&str>) -> Result<Self, ExplainError> {
        let graph = &checkpoint.network.graph;
        let id = match layer {
            Some(name) => find_layer(graph, name)?,
            None => default_layer(graph)?,
        };
        let shape = match *graph.shape(id) {
            [c, h, w] if id != NodeId(0) => [c, h, w],
            ref other => {
                return Err(ExplainError::NoMap {
                    name: graph.node(id).name.clone(),
                    shape: other.to_vec(),
                });
            }
        };
        Ok(Self {
            observer: Observer::new(&checkpoint.network, &[id]),
            labels: checkpoint.labels.clone(),
            input: checkpoint.input,
            layer: id,
            shape,
            grid: grid(graph, id),
        })
    }

    /// The layer's name and its shape: channels, rows, columns.
    pub fn layer(&self) -> (&str, [usize; 3]) {
        let graph = self.observer.graph();
        (&graph.node(self.layer).name, self.shape)
    }

    /// The classes.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// How a face becomes the input.
    pub fn input(&self) -> &Preprocess {
        &self.input
    }

    /// The map of `method` for `class` of a face, `tile * tile` grey bytes.
    ///
    /// # Errors
    /// A face of another size, a class that does not exist, or a network that cannot be run.
    pub fn explain(
        &mut self,
        tile: &[u8],
        method: Method,
        class: Class,
    ) -> Result<Explanation, ExplainError> {
        let pixels = self.pixels(tile)?;
        let mut observation = self.observer.forward(&pixels, 1)?;
        let seen = Seen::of(&observation.logits());
        let class = seen.class(class)?;
        let [output] = &observation.outputs()[..] else {
            unreachable!("one node is shown")
        };
        let mut one_hot = vec![0.0; seen.scores.len()];
        one_hot[class] = 1.0;
        let [gradient] = &observation.gradients(&one_hot)?[..] else {
            unreachable!("one node is shown")
        };
        let layer = Layer {
            shape: self.shape,
            output: output.data(),
            gradient: gradient.data(),
        };
        let heat = match method {
            Method::GradCam => layer.grad_cam(),
            Method::GradCamPlusPlus => layer.grad_cam_plus_plus(),
            Method::ChannelMean => layer.channel_mean(),
            Method::ChannelMax => layer.channel_max(),
        };
        let heat = heat.on(self.grid);
        Ok(Explanation { seen, class, heat })
    }

    /// The occlusion map for `class` of a face, `tile * tile` grey bytes.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn occlude(
        &mut self,
        tile: &[u8],
        how: &Occlusion,
        class: Class,
    ) -> Result<(Explanation, OcclusionMap), ExplainError> {
        let pixels = self.pixels(tile)?;
        let seen = Seen::of(&self.observer.infer(&pixels, 1)?.0);
        let class = seen.class(class)?;
        let predict = |pixels: &[f32], batch| -> Result<Vec<f32>, ExecError> {
            Ok(self.observer.infer(pixels, batch)?.0)
        };
        let map = occlude(tile, &self.input, class, how, predict)?;
        let heat = map.heat();
        Ok((Explanation { seen, class, heat }, map))
    }

    fn pixels(&self, tile: &[u8]) -> Result<Vec<f32>, ExplainError> {
        let expected = self.input.tile * self.input.tile;
        if tile.len() != expected {
            return Err(ExplainError::Tile {
                found: tile.len(),
                expected,
            });
        }
        let mut pixels = vec![0.0; self.input.input_len()];
        self.input.write_input(tile, Crops::Center, &mut pixels);
        Ok(pixels)
    }
}

impl Seen {
    /// What `logits` say.
    pub fn of(logits: &[f32]) -> Self {
        let mut scores = vec![0.0; logits.len()];
        softmax(logits, 1.0, &mut scores);
        Self {
            scores,
            predicted: argmax(logits),
        }
    }

    fn class(&self, asked: Class) -> Result<usize, ExplainError> {
        match asked {
            Class::Predicted => Ok(self.predicted),
            Class::Number(class) if class < self.scores.len() => Ok(class),
            Class::Number(class) => Err(ExplainError::Class {
                found: class,
                classes: self.scores.len(),
            }),
        }
    }
}
