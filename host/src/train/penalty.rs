//! L1 and L2 penalties on chosen layers.

use serde::{Deserialize, Serialize};

use super::{TrainError, layers};
use crate::graph::exec::{Param, Params};
use crate::graph::{Graph, Role};

/// Adds `l1·Σ|w| + l2·Σw²` over the chosen weights to what is minimised, as Keras' regularisers do.
///
/// Beside it stands the optimiser's weight decay, which pulls every trained number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Penalty {
    /// Factor of the sum of magnitudes.
    pub l1: f32,
    /// Factor of the sum of squares.
    pub l2: f32,
    /// The layers, each with what lies under it; all convolutions and inner products if empty.
    pub layers: Vec<String>,
    /// Whether biases are penalised too.
    pub bias: bool,
}

impl Penalty {
    /// Whether it does anything.
    pub fn is_on(&self) -> bool {
        self.l1 > 0.0 || self.l2 > 0.0
    }

    /// Whether tensors of this role are penalised.
    fn takes(&self, role: Role) -> bool {
        match role {
            Role::Weight => true,
            Role::Bias => self.bias,
            _ => false,
        }
    }

    fn covers(&self, param: &Param) -> bool {
        let layer = layers::of(&param.name);
        self.takes(param.role)
            && (self.layers.is_empty() || self.layers.iter().any(|p| layers::under(layer, p)))
    }

    /// What the sign and the value of this tensor's numbers are multiplied by in the gradient.
    pub(super) fn slopes(&self, param: &Param) -> [f32; 2] {
        if self.is_on() && self.covers(param) {
            [self.l1, 2.0 * self.l2]
        } else {
            [0.0, 0.0]
        }
    }

    /// The penalty of these parameters.
    pub fn value(&self, params: &Params) -> f64 {
        let of = |param: &Param| {
            let terms = param.value.iter().map(|&w| {
                let w = f64::from(w);
                f64::from(self.l1) * w.abs() + f64::from(self.l2) * w * w
            });
            terms.sum::<f64>()
        };
        let pulled = params.iter().filter(|p| self.covers(p) && !p.frozen);
        pulled.map(of).sum()
    }

    /// The first number out of range, if any.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        TrainError::range("penalty.l1", self.l1, 0.0, 1.0)?;
        TrainError::range("penalty.l2", self.l2, 0.0, 1.0)
    }

    /// Checks that its layers are the network's, and that each has something to penalise.
    pub(super) fn check(&self, graph: &Graph) -> Result<(), TrainError> {
        let field = "penalty.layers";
        layers::check(field, graph, &self.layers)?;
        let tensors = graph.tensors();
        let bare = self.layers.iter().find(|layer| {
            !tensors
                .iter()
                .any(|t| self.takes(t.role) && layers::under(layers::of(&t.name), layer))
        });
        match bare {
            None => Ok(()),
            Some(layer) => Err(TrainError::Option {
                field,
                problem: format!("`{layer}` has no weight of a convolution or an inner product"),
            }),
        }
    }
}
