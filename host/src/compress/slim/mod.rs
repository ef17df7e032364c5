//! Network slimming (Liu et al., "Learning Efficient Convolutional Networks through Network
//! Slimming", ICCV 2017) as a pass over any graph.
//!
//! Training with an L1 penalty drives the γ of channels that matter little towards zero. This pass
//! finds which channels have to go together ([`Channels`]), ranks them by |γ| ([`Ranking`]), decides
//! how many go ([`Target`]) and builds the smaller network ([`cut()`]). The result equals, up to the
//! order of sums, the network in which γ and β of the same channels are zero ([`masked`]); the accuracy
//! lost by those zeros is what fine-tuning wins back.

mod budget;
mod channels;
mod cut;
mod error;
mod keep;
mod mask;
mod rank;
mod sets;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;

pub use budget::{Budget, BudgetError};
pub use channels::Channels;
pub use cut::cut;
pub use error::SlimError;
pub use keep::Keep;
pub use mask::masked;
pub use rank::Ranking;
pub use table::{LayerCounts, LayerRow, Report, Totals};

use serde::{Deserialize, Serialize};

use crate::graph::Network;
use crate::graph::count::Counts;

/// How far to cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Cut this fraction, 0 to 1, of the prunable channel classes, the weakest of the whole network
    /// first. In a network without shortcuts a class is one channel of one BatchNorm, and this is the
    /// paper's global percentile.
    Percent(f64),
    /// Cut the weakest until no more than this many parameters are left.
    KeepParams(Budget),
    /// Cut the weakest until no more than this many multiply-adds are left.
    KeepMacs(Budget),
    /// Cut the weakest until both budgets are kept.
    KeepBoth {
        /// Of parameters.
        params: Budget,
        /// Of multiply-adds.
        macs: Budget,
    },
}

/// Among which channels the weakest are sought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of the whole network, by |γ|: what is left of a layer shows how much it matters (the paper's way).
    #[default]
    Network,
    /// Those of each layer: all layers lose the same share. For cuts so deep that the first way leaves some
    /// layers with next to nothing.
    Layer,
}

/// What [`slim`] is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlimOptions {
    /// How far to cut.
    pub target: Target,
    /// Channels that every convolution keeps, its strongest; at least 1.
    #[serde(default = "default_floor")]
    pub min_channels: usize,
    /// Layers that are cut keep a multiple of so many channels, where they have them: vector units work on 8 or 16 at
    /// a time, and what is left over costs as much.
    #[serde(default = "default_multiple")]
    pub round_to: usize,
    /// Among which channels the weakest are sought.
    #[serde(default)]
    pub scope: Scope,
}

fn default_multiple() -> usize {
    1
}

fn default_floor() -> usize {
    4
}

impl Default for SlimOptions {
    /// The references' half of all channels, 4 channels at least in each layer.
    fn default() -> Self {
        Self {
            target: Target::Percent(0.5),
            min_channels: default_floor(),
            round_to: default_multiple(),
            scope: Scope::default(),
        }
    }
}

impl SlimOptions {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// The first option that is out of range.
    pub fn validate(&self) -> Result<(), SlimError> {
        if self.min_channels == 0 {
            return Err(SlimError::NoFloor);
        }
        if self.round_to == 0 {
            return Err(SlimError::NoMultiple);
        }
        match self.target {
            Target::Percent(share) if !(0.0..=1.0).contains(&share) => {
                Err(SlimError::Percent(share))
            }
            Target::Percent(_) => Ok(()),
            Target::KeepParams(params) => limit("parameters", params, 1).map(drop),
            Target::KeepMacs(macs) => limit("multiply-adds", macs, 1).map(drop),
            Target::KeepBoth { params, macs } => {
                limit("parameters", params, 1)?;
                limit("multiply-adds", macs, 1).map(drop)
            }
        }
    }
}

/// What a budget leaves of so many.
fn limit(what: &'static str, budget: Budget, before: u64) -> Result<u64, SlimError> {
    budget
        .limit(before)
        .map_err(|fraction| SlimError::Fraction { what, fraction })
}

/// A slimmed network and how it came about.
#[derive(Clone, Debug)]
pub struct Slimmed {
    /// The smaller network.
    pub network: Network,
    /// Which channels of the network before are left.
    pub keep: Keep,
    /// The table before and after.
    pub report: Report,
}

/// Cuts the weakest channels out of a network.
///
/// # Errors
/// When an option is out of range, no channel can be cut, a γ is not a number, the budget is below what
/// the floor allows, or the tensors do not fit the graph.
pub fn slim(network: &Network, options: &SlimOptions) -> Result<Slimmed, SlimError> {
    network.graph.check_weights(&network.weights)?;
    let graph = &network.graph;
    let channels = Channels::of(graph);
    let ranking = Ranking::of(network, &channels, options)?;
    let params = |budget| ranking.within("parameters", budget, graph, &channels, |c| c.parameters);
    let macs = |budget| {
        ranking.within("multiply-adds", budget, graph, &channels, |c: &Counts| {
            c.multiply_adds
        })
    };
    let count = match options.target {
        Target::Percent(p) => ranking.share(p),
        Target::KeepParams(budget) => params(budget)?,
        Target::KeepMacs(budget) => macs(budget)?,
        // more cut channels are a superset, so whatever is enough for both is enough for each
        Target::KeepBoth { params: p, macs: m } => params(p)?.max(macs(m)?),
    };
    let keep = channels.keep(&ranking.weakest(count));
    let network = cut(network, &keep)?;
    let report = Report::between(graph, &network.graph);
    Ok(Slimmed {
        network,
        keep,
        report,
    })
}
