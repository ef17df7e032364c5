//! Looking into a forward pass: the outputs of named nodes, and the gradients of those same outputs.

use super::super::{ExecError, Params, check_len};
use super::{Mode, NativeEngine, plan};
use crate::graph::{Array, Graph, Network, NodeId};

/// Runs a network in evaluation mode and shows what some of its nodes compute.
///
/// The forward pass is the one that decides: running statistics, no dropout, `f32`. What is shown of a
/// node is its output as the next node reads it, and the gradient of exactly that tensor. To that end
/// no ReLU is fused into a shown node and its buffer is not given back before the next pass.
#[derive(Debug)]
pub struct Observer {
    engine: NativeEngine<f32>,
    params: Params,
    shown: Vec<NodeId>,
}

impl Observer {
    /// Plans `network` to show the nodes of `shown`.
    ///
    /// # Panics
    /// When one of them is of another graph.
    pub fn new(network: &Network, shown: &[NodeId]) -> Self {
        let nodes = network.graph.nodes().len();
        assert!(shown.iter().all(|id| id.0 < nodes), "a node of this graph");
        Self {
            engine: NativeEngine::showing(network.graph.clone(), shown),
            params: Params::new(network),
            shown: shown.to_vec(),
        }
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &Graph {
        &self.engine.graph
    }

    /// Logits `[batch, classes]` of `pixels [batch, channels, height, width]` and the outputs of the
    /// shown nodes, as [`Observation::outputs`] has them, for less memory than [`forward`](Self::forward).
    ///
    /// # Errors
    /// When the length does not fit the batch.
    pub fn infer(
        &mut self,
        pixels: &[f32],
        batch: usize,
    ) -> Result<(Vec<f32>, Vec<Array>), ExecError> {
        self.engine.clear();
        self.engine.run(&self.params, pixels, batch, Mode::Eval)?;
        let observation = Observation {
            observer: self,
            batch,
        };
        let seen = (observation.logits(), observation.outputs());
        self.engine.clear();
        Ok(seen)
    }

    /// Runs `pixels [batch, channels, height, width]` forward and keeps what gradients need.
    ///
    /// # Errors
    /// When the length does not fit the batch.
    pub fn forward(&mut self, pixels: &[f32], batch: usize) -> Result<Observation<'_>, ExecError> {
        self.engine.clear();
        self.engine
            .run(&self.params, pixels, batch, Mode::Observe)?;
        Ok(Observation {
            observer: self,
            batch,
        })
    }
}

/// One forward pass, open to be looked at.
#[derive(Debug)]
pub struct Observation<'a> {
    observer: &'a mut Observer,
    batch: usize,
}

impl Observation<'_> {
    /// Logits `[batch, classes]`.
    pub fn logits(&self) -> Vec<f32> {
        self.observer.engine.logits()
    }

    /// Outputs of the shown nodes, each `[batch, channels, height, width]` or `[batch, features]`, in
    /// the order in which they were asked for.
    pub fn outputs(&self) -> Vec<Array> {
        let Observer { engine, shown, .. } = &*self.observer;
        let of = |&id: &NodeId| self.channels_first(id, engine.output(id));
        shown.iter().map(of).collect()
    }

    /// Gradients of `Σ dlogits · logits` with respect to [`outputs`](Self::outputs), in their shapes.
    /// They are 0 for a node that the logits do not depend on, and for the image, which is no layer.
    ///
    /// # Errors
    /// When there are not `[batch, classes]` numbers in `dlogits`.
    pub fn gradients(&mut self, dlogits: &[f32]) -> Result<Vec<Array>, ExecError> {
        let Observer {
            engine,
            params,
            shown,
        } = &mut *self.observer;
        let expected = self.batch * engine.graph.classes();
        check_len("logit gradient", dlogits.len(), expected)?;
        let zero = |id: &NodeId| vec![0.0; engine.numbers(*id, self.batch)];
        let mut found: Vec<Vec<f32>> = shown.iter().map(zero).collect();
        let first = shown.iter().min().copied().unwrap_or(NodeId(1));
        engine.reverse_to(first, params, dlogits, self.batch, |id, grad| {
            for (shown, found) in shown.iter().zip(&mut found) {
                if *shown == id {
                    found.copy_from_slice(grad);
                }
            }
        });
        let ids = self.observer.shown.iter().zip(&found);
        Ok(ids.map(|(&id, g)| self.channels_first(id, g)).collect())
    }

    fn channels_first(&self, id: NodeId, stored: &[f32]) -> Array {
        let shape = self.observer.engine.graph.shape(id);
        let (channels, plane) = plan::layout(shape);
        let image = channels * plane;
        let data = (0..self.batch * image)
            .map(|i| {
                let (image_at, within) = (i / image * image, i % image);
                stored[image_at + within % plane * channels + within / plane]
            })
            .collect();
        let shape: Vec<usize> = [self.batch]
            .into_iter()
            .chain(shape.iter().copied())
            .collect();
        Array::new(shape, data)
    }
}
