//! Calibration: runs the float network on real images and chooses how every value is coded.

use std::collections::{BTreeMap, BTreeSet};

use fer_models::Preprocess;

use super::bias::correct;
use super::engine::{IntegerEngine, Seen};
use super::error::QuantizeError;
use super::histogram::{Histogram, extent};
use super::network::{Quantized, Ranges, layers_of, prepared};
use super::range::Method;
use crate::graph::{Network, NodeId};

/// Images that are run together.
pub(super) const BATCH: usize = 32;

/// A network, folded, with what its values look like on the calibration images.
pub struct Calibrator<'a> {
    pub(super) network: Network,
    input: Preprocess,
    pub(super) images: Images<'a>,
    histograms: BTreeMap<NodeId, Histogram>,
    /// The float network's logits of the images.
    pub(super) logits: Vec<f32>,
    /// Mean of each channel of each layer, before its ReLU.
    pub(super) means: BTreeMap<NodeId, Vec<f64>>,
}

/// Normalised images, `[count, channels, height, width]`.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pixels: &'a [f32],
    each: usize,
}

impl<'a> Images<'a> {
    /// Batches of images, and how many each holds.
    pub(super) fn batches(self) -> impl Iterator<Item = (&'a [f32], usize)> {
        let each = self.each;
        let batches = self.pixels.chunks(BATCH * each);
        batches.map(move |pixels| (pixels, pixels.len() / each))
    }

    /// How many there are.
    pub(super) fn count(self) -> usize {
        self.pixels.len() / self.each
    }
}

impl<'a> Calibrator<'a> {
    /// Folds `network` and runs it twice on `pixels [count, channels, height, width]`, normalised as
    /// `input` says: once for the extent of every value, once to count.
    ///
    /// # Errors
    /// Without images, or where a value is not a finite number.
    pub fn new(
        network: &Network,
        input: Preprocess,
        pixels: &'a [f32],
    ) -> Result<Self, QuantizeError> {
        let network = prepared(network);
        let each = network.graph.input_shape().iter().product();
        let images = Images { pixels, each };
        if images.count() == 0 {
            return Err(QuantizeError::NoImages);
        }
        if layers_of(&network.graph).next().is_none() {
            return Err(QuantizeError::Nothing {
                graph: network.graph.name().into(),
            });
        }
        let mut this = Self {
            network,
            input,
            images,
            histograms: BTreeMap::new(),
            logits: Vec::new(),
            means: BTreeMap::new(),
        };
        this.observe()?;
        Ok(this)
    }

    fn observe(&mut self) -> Result<(), QuantizeError> {
        let float = self.float()?;
        let mut engine = IntegerEngine::new(&float);
        let mut extents: BTreeMap<NodeId, (f32, f32)> = BTreeMap::new();
        let last = self.network.graph.output();
        let graph = &self.network.graph;
        let layers: BTreeSet<NodeId> = layers_of(graph).collect();
        for (pixels, count) in self.images.batches() {
            let logits = engine.run(pixels, count, last, &mut |id, seen| {
                let Seen::Value(value) = seen else { return };
                let numbers = value.numbers();
                let (low, high) = extent(&numbers);
                let known = extents.entry(id).or_insert((0.0, 0.0));
                // `f32::min` would skip a NaN
                if !low.is_nan() && !known.0.is_nan() {
                    *known = (known.0.min(low), known.1.max(high));
                } else {
                    *known = (f32::NAN, f32::NAN);
                }
                if layers.contains(&id) {
                    let channels = graph.shape(id)[0];
                    let sums = self.means.entry(id).or_insert_with(|| vec![0.0; channels]);
                    add_channels(sums, &numbers);
                }
            })?;
            self.logits.extend(logits);
        }
        for (id, sums) in &mut self.means {
            let pixels = graph.shape(*id)[1..].iter().product::<usize>() * self.images.count();
            sums.iter_mut().for_each(|sum| *sum /= pixels as f64);
        }
        if let Some((id, _)) = extents.iter().find(|(_, e)| !(e.0 + e.1).is_finite()) {
            return Err(QuantizeError::NotFinite {
                node: graph.node(*id).name.clone(),
            });
        }
        let histogram = |(id, extent)| (id, Histogram::new(extent));
        self.histograms = extents.into_iter().map(histogram).collect();
        for (pixels, count) in self.images.batches() {
            engine.run(pixels, count, last, &mut |id, seen| {
                if let (Seen::Value(value), Some(h)) = (seen, self.histograms.get_mut(&id)) {
                    h.add(&value.numbers());
                }
            })?;
        }
        Ok(())
    }

    /// The network with nothing quantized.
    fn float(&self) -> Result<Quantized, QuantizeError> {
        let all = layers_of(&self.network.graph).collect();
        Quantized::new(&self.network, &self.input, &Ranges::new(), &all)
    }

    /// Quantizes all layers but those in `keep`, with ranges chosen by `method`.
    ///
    /// # Errors
    /// When the percentile is out of range, or a layer's weights are not finite numbers.
    pub fn quantize(
        &self,
        method: Method,
        keep: &BTreeSet<NodeId>,
    ) -> Result<Quantized, QuantizeError> {
        if let Method::Percentile(percent) = method
            && !(percent > 50.0 && percent <= 100.0)
        {
            return Err(QuantizeError::Percentile(percent));
        }
        let range = |(&id, h): (&NodeId, &Histogram)| (id, method.range(h));
        let ranges = self.histograms.iter().map(range).collect();
        Quantized::new(&self.network, &self.input, &ranges, keep)
    }

    /// Makes the mean of every channel of every 8-bit layer what it is in the float network
    /// (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
    /// with means measured rather than derived).
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn correct_bias(&self, quantized: &mut Quantized) -> Result<(), QuantizeError> {
        correct(self, quantized)
    }

    /// The folded network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

/// Adds the pixels of `values [.., channels]` to their channels' sums.
pub(super) fn add_channels(sums: &mut [f64], values: &[f32]) {
    for pixel in values.chunks_exact(sums.len()) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(value);
        }
    }
}
