//! The optimiser's choices, as a recipe states them.

use serde::{Deserialize, Serialize};

use crate::graph::{Graph, Role};
use crate::train::TrainError;

/// How gradients are bounded before the update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// Not at all.
    #[default]
    None,
    /// Each number to ±the bound, as the reference (0.1).
    Value(f32),
    /// The whole gradient to this Euclidean length.
    Norm(f32),
}

/// The constants of a rule that divides by a running root mean square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// Share of the mean of gradients that is kept at a step.
    pub first: f32,
    /// Share of the mean of squares that is kept.
    pub second: f32,
    /// Added to the root, so that a number without gradient is not divided by nothing.
    pub eps: f32,
}

impl Default for Betas {
    fn default() -> Self {
        Self {
            first: 0.9,
            second: 0.999,
            eps: 1e-8,
        }
    }
}

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Stochastic gradient descent; weight decay is added to the gradient, as PyTorch does.
    Sgd {
        /// Share of the last step that is kept.
        momentum: f32,
        /// Nesterov's look-ahead.
        nesterov: bool,
    },
    /// Adam (Kingma & Ba, 2015); weight decay is added to the gradient.
    Adam(Betas),
    /// Adam with weight decay beside the gradient: `p −= rate·decay·p` (Loshchilov & Hutter, 2019).
    AdamW(Betas),
    /// Rectified Adam (Liu et al., 2020) with weight decay beside the gradient. While fewer than about
    /// five gradients stand behind the mean of squares, it steps along the mean of gradients alone.
    RAdam(Betas),
}

impl Default for Rule {
    fn default() -> Self {
        Self::Sgd {
            momentum: 0.9,
            nesterov: false,
        }
    }
}

impl Rule {
    /// The constants of the adaptive rules.
    pub(super) fn betas(&self) -> Option<Betas> {
        match *self {
            Self::Sgd { .. } => None,
            Self::Adam(betas) | Self::AdamW(betas) | Self::RAdam(betas) => Some(betas),
        }
    }

    /// Whether weight decay acts beside the gradient and not in it.
    pub(super) fn decouples_decay(&self) -> bool {
        matches!(self, Self::AdamW(_) | Self::RAdam(_))
    }
}

/// The optimiser's constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct OptimizerOptions {
    /// How a gradient becomes a step.
    pub rule: Rule,
    /// Pull of every trained number towards zero.
    pub weight_decay: f32,
    /// Bound on the gradients.
    pub clip: Clip,
    /// `s` of network slimming: `s·sign(γ)` is added to every BatchNorm scale's gradient after
    /// clipping (Liu et al., 2017).
    pub sparsity: f32,
    /// Decay of the running average of weights, such as 0.999; 0 keeps none.
    pub ema: f32,
    /// How far uphill of the weights the gradient is taken, such as 0.05; 0 takes it where they are (sharpness-aware
    /// minimisation, Foret et al., 2021). Twice the work a step.
    pub sharpness: f32,
}

impl Default for OptimizerOptions {
    /// SGD with momentum 0.9 and weight decay 5e-4.
    fn default() -> Self {
        Self {
            rule: Rule::default(),
            weight_decay: 5e-4,
            clip: Clip::None,
            sparsity: 0.0,
            ema: 0.0,
            sharpness: 0.0,
        }
    }
}

impl OptimizerOptions {
    /// The first number out of range, if any.
    pub(in crate::train) fn validate(&self) -> Result<(), TrainError> {
        if let Rule::Sgd { momentum, .. } = self.rule {
            TrainError::range("optimizer.momentum", momentum, 0.0, 0.9999)?;
        }
        if let Some(betas) = self.rule.betas() {
            TrainError::range("optimizer.betas", betas.first, 0.0, 0.9999)?;
            TrainError::range("optimizer.betas", betas.second, 0.0, 0.999_999)?;
            TrainError::range("optimizer.eps", betas.eps, 1e-12, 1.0)?;
        }
        TrainError::range("optimizer.weight_decay", self.weight_decay, 0.0, 1.0)?;
        TrainError::range("optimizer.sparsity", self.sparsity, 0.0, 1.0)?;
        TrainError::range("optimizer.ema", self.ema, 0.0, 0.999_999)?;
        TrainError::range("optimizer.sharpness", self.sharpness, 0.0, 10.0)?;
        match self.clip {
            Clip::Value(bound) | Clip::Norm(bound) => {
                TrainError::range("optimizer.clip", bound, 1e-6, 1e6)
            }
            Clip::None => Ok(()),
        }
    }

    /// That there is something to make sparse, where that is asked for.
    pub(in crate::train) fn check(&self, graph: &Graph) -> Result<(), TrainError> {
        let has_scales = || graph.tensors().iter().any(|t| t.role == Role::NormScale);
        if self.sparsity > 0.0 && !has_scales() {
            return Err(TrainError::Option {
                field: "optimizer.sparsity",
                problem: format!(
                    "{} has no BatchNorm whose scales it could pull",
                    graph.name()
                ),
            });
        }
        Ok(())
    }
}

/// The rule's name in a recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleName {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
    /// Rectified Adam with decoupled weight decay.
    RAdam,
}

impl RuleName {
    /// The rule with PyTorch's constants (SGD: momentum 0.9) and its usual weight decay.
    pub fn options(self) -> OptimizerOptions {
        let (rule, weight_decay) = match self {
            Self::Sgd => return OptimizerOptions::default(),
            Self::Adam => (Rule::Adam(Betas::default()), 0.0),
            Self::AdamW => (Rule::AdamW(Betas::default()), 0.01),
            Self::RAdam => (Rule::RAdam(Betas::default()), 0.0),
        };
        OptimizerOptions {
            rule,
            weight_decay,
            ..OptimizerOptions::default()
        }
    }
}

/// The table as it stands in recipes and checkpoints: flat, each rule with its own keys. Without `kind`
/// it is SGD, as in files that are older than the other rules.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    kind: RuleName,
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    betas: Option<[f32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eps: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f32>,
    clip: Clip,
    sparsity: f32,
    ema: f32,
    sharpness: f32,
}

impl TryFrom<Table> for OptimizerOptions {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let mut options = table.kind.options();
        match &mut options.rule {
            Rule::Sgd { momentum, nesterov } => {
                if table.betas.is_some() || table.eps.is_some() {
                    return Err(
                        "`betas` and `eps` belong to adam, adamw and radam, not to sgd".into(),
                    );
                }
                *momentum = table.momentum.unwrap_or(*momentum);
                *nesterov = table.nesterov.unwrap_or(*nesterov);
            }
            Rule::Adam(betas) | Rule::AdamW(betas) | Rule::RAdam(betas) => {
                if table.momentum.is_some() || table.nesterov.is_some() {
                    return Err("`momentum` and `nesterov` belong to sgd; give `betas`".into());
                }
                [betas.first, betas.second] = table.betas.unwrap_or([betas.first, betas.second]);
                betas.eps = table.eps.unwrap_or(betas.eps);
            }
        }
        Ok(Self {
            weight_decay: table.weight_decay.unwrap_or(options.weight_decay),
            clip: table.clip,
            sparsity: table.sparsity,
            ema: table.ema,
            sharpness: table.sharpness,
            ..options
        })
    }
}

impl From<OptimizerOptions> for Table {
    fn from(options: OptimizerOptions) -> Self {
        let mut table = Self {
            kind: match options.rule {
                Rule::Sgd { .. } => RuleName::Sgd,
                Rule::Adam(_) => RuleName::Adam,
                Rule::AdamW(_) => RuleName::AdamW,
                Rule::RAdam(_) => RuleName::RAdam,
            },
            weight_decay: Some(options.weight_decay),
            clip: options.clip,
            sparsity: options.sparsity,
            ema: options.ema,
            sharpness: options.sharpness,
            ..Self::default()
        };
        if let Rule::Sgd { momentum, nesterov } = options.rule {
            (table.momentum, table.nesterov) = (Some(momentum), Some(nesterov));
        }
        if let Some(betas) = options.rule.betas() {
            table.betas = Some([betas.first, betas.second]);
            table.eps = Some(betas.eps);
        }
        table
    }
}
