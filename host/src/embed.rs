//! Embeddings: what a network makes of a face before it decides.

use fer_models::Crops;

use crate::checkpoint::Checkpoint;
use crate::data::Dataset;
use crate::explain::{ExplainError, find_layer};
use crate::graph::NodeId;
use crate::graph::exec::{ExecError, Observer};
use crate::predict;

/// Why faces cannot be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// No layer of that name.
    #[error(transparent)]
    Layer(#[from] ExplainError),
    /// A network that does not end in a linear layer.
    #[error("{graph} does not end in a linear layer: name the layer whose output is wanted")]
    NoClassifier {
        /// The network's name.
        graph: String,
    },
    /// The faces have another size than the network reads.
    #[error("the data has {data}×{data} pixels, the network reads {network}×{network}")]
    Tile {
        /// Side of the data's tiles.
        data: usize,
        /// Side of the network's tiles.
        network: usize,
    },
    /// The network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Features and logits of many faces.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// Features of one face.
    pub width: usize,
    /// `[faces, width]`.
    pub features: Vec<f32>,
    /// `[faces, classes]`.
    pub logits: Vec<f32>,
}

/// Embeds faces with one checkpoint.
#[derive(Debug)]
pub struct Embedder {
    observer: Observer,
    input: fer_models::Preprocess,
    layer: NodeId,
}

impl Embedder {
    /// Prepares to read `layer`, or what the last linear layer reads: 512 features of a VGG19.
    ///
    /// # Errors
    /// When there is no such layer, or none is named and the network does not end in a linear one.
    pub fn new(checkpoint: &Checkpoint, layer: Option<&str>) -> Result<Self, EmbedError> {
        let graph = &checkpoint.network.graph;
        let layer = match layer {
            Some(name) => find_layer(graph, name)?,
            // a dropout behind it passes everything here
            None => graph.features().ok_or_else(|| EmbedError::NoClassifier {
                graph: graph.name().into(),
            })?,
        };
        Ok(Self {
            observer: Observer::new(&checkpoint.network, &[layer]),
            input: checkpoint.input,
            layer,
        })
    }

    /// The layer's name.
    pub fn layer(&self) -> &str {
        &self.observer.graph().node(self.layer).name
    }

    /// Features and logits of the images at `indices`, each averaged over their crops. The features of
    /// a map are its numbers channel by channel.
    ///
    /// # Errors
    /// When the data's tiles have another size, or the network cannot be run.
    pub fn embed(
        &mut self,
        dataset: &Dataset,
        indices: &[usize],
        crops: Crops,
    ) -> Result<Embeddings, EmbedError> {
        if dataset.tile() != self.input.tile {
            return Err(EmbedError::Tile {
                data: dataset.tile(),
                network: self.input.tile,
            });
        }
        let graph = self.observer.graph();
        let width: usize = graph.shape(self.layer).iter().product();
        let classes = graph.classes();
        let input = self.input;
        // features and logits side by side go the way that logits go, crops included
        let both = |pixels: &[f32], batch: usize| -> Result<Vec<f32>, ExecError> {
            let (logits, outputs) = self.observer.infer(pixels, batch)?;
            let features = outputs[0].data().chunks_exact(width);
            let rows = features.zip(logits.chunks_exact(classes));
            Ok(rows.flat_map(|(f, l)| f.iter().chain(l).copied()).collect())
        };
        let rows = predict::logits(dataset, indices, &input, crops, both)?;
        let mut found = Embeddings {
            width,
            features: Vec::with_capacity(indices.len() * width),
            logits: Vec::with_capacity(indices.len() * classes),
        };
        for row in rows.chunks_exact(width + classes) {
            found.features.extend(&row[..width]);
            found.logits.extend(&row[width..]);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::History;
    use crate::data::{LoadOptions, open};
    use crate::graph::build::{Architecture, build};
    use crate::graph::init;
    use crate::judge::Candidate;
    use fer_models::{Labels, Preprocess};

    fn checkpoint(name: &str, width: f64) -> Checkpoint {
        let arch = Architecture {
            width,
            ..Architecture::published(name)
        };
        let graph = build(&arch, 7).unwrap();
        let [channels, crop, _] = graph.input_shape();
        Checkpoint {
            network: init::fresh(graph, 5),
            labels: Labels::fer2013(),
            input: Preprocess {
                crop,
                ..Preprocess::fer2013(channels)
            },
            history: History::default(),
        }
    }

    #[test]
    fn a_published_vgg19_gives_512_features() {
        let embedder = Embedder::new(&checkpoint("vgg19", 1.0), None).unwrap();
        assert_eq!(embedder.layer(), "flatten");
        let graph = embedder.observer.graph();
        assert_eq!(graph.shape(embedder.layer), [512]);
    }

    #[test]
    fn logits_are_those_of_eval_and_follow_from_the_features() {
        let checkpoint = checkpoint("vgg11", 0.125);
        let data = open("synth:7:70", &LoadOptions::default()).unwrap().dataset;
        let indices = [3, 0, 7];
        let mut embedder = Embedder::new(&checkpoint, None).unwrap();
        for crops in [Crops::Center, Crops::Ten] {
            let found = embedder.embed(&data, &indices, crops).unwrap();
            let mut candidate = Candidate::from_checkpoint(checkpoint.clone());
            let expected = candidate.logits(&data, &indices, crops).unwrap();
            let weight = &checkpoint.network.weights["classifier.weight"];
            let bias = &checkpoint.network.weights["classifier.bias"];
            let rows = found.features.chunks_exact(found.width);
            assert_eq!(rows.len(), indices.len());
            for (row, (features, logits)) in rows.zip(found.logits.chunks(7)).enumerate() {
                for class in 0..7 {
                    let logit = logits[class];
                    assert!((logit - expected[row * 7 + class]).abs() < 1e-4);
                    let weights = &weight.data()[class * found.width..][..found.width];
                    let dot: f32 = weights.iter().zip(features).map(|(w, f)| w * f).sum();
                    assert!((dot + bias.data()[class] - logit).abs() < 1e-3);
                }
            }
        }
    }

    #[test]
    fn tiles_of_another_size_are_refused() {
        let options = LoadOptions {
            tile: 32,
            ..LoadOptions::default()
        };
        let data = open("synth:7:70", &options).unwrap().dataset;
        let mut embedder = Embedder::new(&checkpoint("vgg11", 0.125), None).unwrap();
        let error = embedder.embed(&data, &[0], Crops::Center).unwrap_err();
        assert!(error.to_string().contains("32×32"), "{error}");
    }
}
