//! How strong each channel class is, and which go at a given count.

use super::budget::Budget;
use super::channels::Channels;
use super::cut::cut_graph;
use super::error::SlimError;
use super::{Scope, SlimOptions, limit};
use crate::graph::count::Counts;
use crate::graph::{Graph, Network, Op};

/// The prunable classes of a network, weakest first.
///
/// A class's strength is the largest |γ| of its BatchNorm channels. The largest, not the mean: the
/// channel of a sum is dead only when every branch of the sum is, so one branch that still uses it
/// must be able to save it. Within [`Scope::Layer`] it is the share of its layer's channels that are weaker
/// still, so that all layers become narrower alike.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Prunable classes from weak to strong; equals in the graph's order.
    order: Vec<usize>,
    /// The classes of each convolution's and linear layer's outputs, strongest first.
    layers: Vec<Vec<usize>>,
    /// For each class: whether some layer needs it for its floor.
    floor: Vec<bool>,
    min_channels: usize,
    round_to: usize,
}

impl Ranking {
    /// Ranks the classes; `min_channels` of every convolution and linear layer, its strongest, are
    /// never cut.
    ///
    /// # Errors
    /// When a γ is not finite, nothing is prunable, or the floor or the multiple is zero.
    pub fn of(
        network: &Network,
        channels: &Channels,
        options: &SlimOptions,
    ) -> Result<Self, SlimError> {
        let &SlimOptions {
            min_channels,
            round_to,
            scope,
            ..
        } = options;
        options.validate()?;
        let strength = strengths(network, channels, scope)?;
        let mut order: Vec<usize> = (0..channels.count())
            .filter(|&class| channels.is_prunable(class))
            .collect();
        if order.is_empty() {
            return Err(SlimError::NothingPrunable {
                graph: network.graph.name().into(),
            });
        }
        order.sort_by(|&a, &b| strength[a].total_cmp(&strength[b]).then(a.cmp(&b)));
        let layers = layers(&network.graph, channels, &order);
        let mut floor = vec![false; channels.count()];
        for layer in &layers {
            for &class in layer.iter().take(min_channels) {
                floor[class] = true;
            }
        }
        Ok(Self {
            order,
            layers,
            floor,
            min_channels,
            round_to,
        })
    }

    /// Number of prunable classes.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Never: a ranking without classes is refused.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many classes a fraction of them, 0 to 1, is, rounded. (The reference code takes the γ at that
    /// position as threshold and cuts it too: one channel more.)
    pub fn share(&self, fraction: f64) -> usize {
        (self.order.len() as f64 * fraction).round() as usize
    }

    /// For each class, whether it goes when the `count` weakest go, less those the floor holds and those that make
    /// a layer's width a multiple. A larger count cuts a superset.
    pub fn weakest(&self, count: usize) -> Vec<bool> {
        let mut weak = vec![false; self.floor.len()];
        for &class in self.order.iter().take(count) {
            weak[class] = !self.floor[class];
        }
        let mut cut = weak.clone();
        for layer in &self.layers {
            let left = layer.iter().filter(|&&class| !weak[class]).count();
            let whole = left.next_multiple_of(self.round_to);
            for &class in layer.iter().take(whole) {
                cut[class] = false;
            }
        }
        cut
    }

    /// How many of the weakest have to go for a budget, at least: bisects on exact counts.
    ///
    /// # Errors
    /// When the fraction is out of range, or the floor does not allow the budget.
    pub(super) fn within(
        &self,
        what: &'static str,
        budget: Budget,
        graph: &Graph,
        channels: &Channels,
        measure: impl Fn(&Counts) -> u64,
    ) -> Result<usize, SlimError> {
        let before = measure(&Counts::of(graph));
        let limit = limit(what, budget, before)?;
        let left = |count: usize| -> Result<u64, SlimError> {
            let keep = channels.keep(&self.weakest(count));
            Ok(measure(&Counts::of(&cut_graph(graph, &keep)?)))
        };
        let smallest = left(self.order.len())?;
        if smallest > limit {
            return Err(SlimError::Unreachable {
                what,
                budget,
                before,
                smallest,
                narrowest: self
                    .min_channels
                    .checked_next_multiple_of(self.round_to)
                    .unwrap_or(usize::MAX),
            });
        }
        // cutting `high` classes is enough, cutting fewer than `low` is not
        let (mut low, mut high) = (0, self.order.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if left(middle)? <= limit {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(high)
    }
}

/// Largest |γ| of each class, or largest place among those of its layer; 0 for those without a BatchNorm.
fn strengths(network: &Network, channels: &Channels, scope: Scope) -> Result<Vec<f32>, SlimError> {
    let mut strength = vec![0.0_f32; channels.count()];
    for (id, node) in network.graph.iter() {
        if !matches!(node.op, Op::BatchNorm { .. }) {
            continue;
        }
        let tensor = format!("{}.weight", node.name);
        let scales = network.weights[&tensor].data();
        if let Some(channel) = scales.iter().position(|scale| !scale.is_finite()) {
            return Err(SlimError::NotFinite {
                tensor,
                channel,
                value: scales[channel],
            });
        }
        let mut own: Vec<f32> = scales.iter().map(|scale| scale.abs()).collect();
        if scope == Scope::Layer {
            own = places(&own);
        }
        for (value, &class) in own.into_iter().zip(channels.classes(id)) {
            strength[class] = strength[class].max(value);
        }
    }
    Ok(strength)
}

/// For each value, the share of the values that come before it in ascending order; equals keep their order.
fn places(values: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut places = vec![0.0; values.len()];
    for (place, index) in order.into_iter().enumerate() {
        places[index] = place as f32 / values.len() as f32;
    }
    places
}

/// The classes of the outputs of each layer, strongest first; what cannot be cut is stronger than all.
fn layers(graph: &Graph, channels: &Channels, order: &[usize]) -> Vec<Vec<usize>> {
    let mut place = vec![usize::MAX; channels.count()];
    for (position, &class) in order.iter().enumerate() {
        place[class] = position;
    }
    let layers = graph.iter().filter(|(_, node)| node.op.has_weights());
    let strongest_first = |(id, _)| {
        let mut outputs = channels.classes(id).to_vec();
        outputs.sort_by_key(|&class| std::cmp::Reverse(place[class]));
        outputs
    };
    layers.map(strongest_first).collect()
}
