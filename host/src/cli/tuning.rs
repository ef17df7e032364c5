//! The flags of `train` that choose optimiser, schedule, frozen layers and penalties.

use anyhow::Result;
use clap::ValueEnum;
use fer_tools::train::{
    CenterOptions, Clip, EarlyStop, Freeze, Measure, OptimizerOptions, Rule, RuleName, Schedule,
    TrainOptions,
};

use super::exit::Usage;

/// What they change of a recipe.
#[derive(Debug, Default, clap::Args)]
#[group(id = "tuning", multiple = true)]
pub(super) struct Tuning {
    /// How gradients become steps; with Adam and its kin try --lr 1e-3 or 1e-4
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// Share of the last step that SGD keeps
    #[arg(long, value_name = "SHARE")]
    momentum: Option<f32>,
    /// Nesterov momentum
    #[arg(long)]
    nesterov: bool,
    /// Pull of the weights towards zero
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Clamp each gradient to ± this
    #[arg(long, value_name = "BOUND", conflicts_with = "clip_norm")]
    clip_value: Option<f32>,
    /// Shorten the whole gradient to this length
    #[arg(long, value_name = "BOUND")]
    clip_norm: Option<f32>,
    /// L1 pull on BatchNorm scales, before pruning: 1e-4
    #[arg(long, value_name = "S")]
    sparsity: Option<f32>,
    /// Decay of the running average of weights that is evaluated and kept: 0.999
    #[arg(long, value_name = "DECAY")]
    ema: Option<f32>,
    /// Learning rate: of the schedules that move, the first or the highest
    #[arg(long, value_name = "RATE")]
    lr: Option<f32>,
    /// How the learning rate moves
    #[arg(long, value_enum)]
    schedule: Option<ScheduleName>,
    /// What step and plateau multiply the rate by
    #[arg(long, value_name = "FACTOR")]
    lr_factor: Option<f32>,
    /// Epochs between the steps of the step schedule
    #[arg(long, value_name = "EPOCHS")]
    lr_every: Option<u32>,
    /// Epochs without improvement that the plateau schedule bears
    #[arg(long, value_name = "EPOCHS")]
    lr_patience: Option<usize>,
    /// Least rate of the plateau schedule
    #[arg(long, value_name = "RATE")]
    lr_min: Option<f32>,
    /// Stop early: epochs without improvement that are borne
    #[arg(long, value_name = "EPOCHS")]
    stop_patience: Option<usize>,
    /// The validation number that plateau and --stop-patience watch
    #[arg(long, value_enum)]
    watch: Option<MeasureName>,
    /// Leave this layer, and what lies under it, as it is (repeatable): conv1, layer1
    #[arg(long, value_name = "LAYER", conflicts_with = "freeze_before")]
    freeze: Vec<String>,
    /// Leave the first N layers with weights as they are, or with -N all but the last N
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    freeze_before: Option<i32>,
    /// Add this times the sum of magnitudes of weights to the loss
    #[arg(long, value_name = "FACTOR")]
    l1: Option<f32>,
    /// Add this times the sum of squares of weights to the loss
    #[arg(long, value_name = "FACTOR")]
    l2: Option<f32>,
    /// The layer that --l1 and --l2 mean (repeatable); without it all
    #[arg(long, value_name = "LAYER")]
    penalty_layer: Vec<String>,
    /// --l1 and --l2 mean biases too
    #[arg(long)]
    penalty_bias: bool,
    /// Draw the features of a class together, this strongly: 0.003
    #[arg(long, value_name = "WEIGHT")]
    center_loss: Option<f32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OptimizerName {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam; weight decay in the gradient
    Adam,
    /// Adam; weight decay beside the gradient
    Adamw,
    /// Rectified Adam; weight decay beside the gradient
    Radam,
}

impl From<OptimizerName> for RuleName {
    fn from(name: OptimizerName) -> Self {
        match name {
            OptimizerName::Sgd => Self::Sgd,
            OptimizerName::Adam => Self::Adam,
            OptimizerName::Adamw => Self::AdamW,
            OptimizerName::Radam => Self::RAdam,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScheduleName {
    /// Constant to epoch 80, then times 0.9 every 5 epochs
    Reference,
    /// Two epochs of warm-up, then half a cosine
    Cosine,
    /// Up over the first 30 %, down over the rest
    OneCycle,
    /// The same all the time
    Constant,
    /// Times 0.1 every 10 epochs (--lr-factor, --lr-every)
    Step,
    /// Times 0.1 when the validation has not improved (--lr-factor, --lr-patience, --lr-min, --watch)
    Plateau,
}

impl ScheduleName {
    fn with_rate(self, rate: f32) -> Schedule {
        match self {
            Self::Reference => Schedule::Reference { rate },
            Self::Cosine => Schedule::Cosine { rate, warmup: 2.0 },
            Self::OneCycle => Schedule::OneCycle { rate, rise: 0.3 },
            Self::Constant => Schedule::Constant { rate },
            Self::Step => Schedule::Step {
                rate,
                factor: 0.1,
                every: 10,
                start: 0,
            },
            Self::Plateau => Schedule::Plateau {
                rate,
                factor: 0.1,
                patience: 2,
                min_rate: 0.0,
                watch: Measure::default(),
                threshold: 1e-4,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MeasureName {
    /// Mean loss
    Loss,
    /// Accuracy
    Accuracy,
}

impl From<MeasureName> for Measure {
    fn from(name: MeasureName) -> Self {
        match name {
            MeasureName::Loss => Self::Loss,
            MeasureName::Accuracy => Self::Accuracy,
        }
    }
}

impl Tuning {
    /// Changes what the flags say.
    pub(super) fn apply(&self, train: &mut TrainOptions) -> Result<()> {
        self.apply_to_optimizer(&mut train.optimizer)?;
        self.apply_to_schedule(train)?;
        if !self.freeze.is_empty() {
            train.freeze = Freeze::Layers(self.freeze.clone());
        }
        set(&mut train.freeze, self.freeze_before.map(Freeze::Count));
        let penalty = &mut train.penalty;
        set(&mut penalty.l1, self.l1);
        set(&mut penalty.l2, self.l2);
        penalty.bias |= self.penalty_bias;
        if !self.penalty_layer.is_empty() {
            penalty.layers.clone_from(&self.penalty_layer);
        }
        if !penalty.is_on() && (self.penalty_bias || !self.penalty_layer.is_empty()) {
            return Err(
                Usage("--penalty-layer and --penalty-bias need --l1 or --l2".into()).into(),
            );
        }
        if let Some(weight) = self.center_loss {
            let center = train.loss.center.get_or_insert(CenterOptions::default());
            center.weight = weight;
        }
        Ok(())
    }

    fn apply_to_optimizer(&self, optimizer: &mut OptimizerOptions) -> Result<()> {
        if let Some(name) = self.optimizer {
            let chosen = RuleName::from(name).options();
            // the same rule again keeps what the recipe says of it
            if std::mem::discriminant(&chosen.rule) != std::mem::discriminant(&optimizer.rule) {
                optimizer.rule = chosen.rule;
                optimizer.weight_decay = chosen.weight_decay;
            }
        }
        match &mut optimizer.rule {
            Rule::Sgd { momentum, nesterov } => {
                set(momentum, self.momentum);
                *nesterov |= self.nesterov;
            }
            _ if self.nesterov || self.momentum.is_some() => {
                return Err(Usage("--momentum and --nesterov belong to SGD".into()).into());
            }
            _ => {}
        }
        set(&mut optimizer.weight_decay, self.weight_decay);
        set(&mut optimizer.clip, self.clip_value.map(Clip::Value));
        set(&mut optimizer.clip, self.clip_norm.map(Clip::Norm));
        set(&mut optimizer.sparsity, self.sparsity);
        set(&mut optimizer.ema, self.ema);
        Ok(())
    }

    fn apply_to_schedule(&self, train: &mut TrainOptions) -> Result<()> {
        if let Some(name) = self.schedule {
            train.schedule = name.with_rate(train.schedule.rate());
        }
        if let Some(rate) = self.lr {
            train.schedule.set_rate(rate);
        }
        if let Some(patience) = self.stop_patience {
            let stop = train.stop.get_or_insert(EarlyStop::default());
            stop.patience = patience;
        }
        let watched = self.watch.map(Measure::from);
        let (mut factor, mut every, mut patience, mut least) =
            (self.lr_factor, self.lr_every, self.lr_patience, self.lr_min);
        let mut unwatched = watched;
        match &mut train.schedule {
            Schedule::Step {
                factor: f,
                every: e,
                ..
            } => {
                set(f, factor.take());
                set(e, every.take());
            }
            Schedule::Milestones { factor: f, .. } => set(f, factor.take()),
            Schedule::Plateau {
                factor: f,
                patience: p,
                min_rate,
                watch,
                ..
            } => {
                set(f, factor.take());
                set(p, patience.take());
                set(min_rate, least.take());
                set(watch, unwatched.take());
            }
            _ => {}
        }
        if let Some(stop) = &mut train.stop {
            set(&mut stop.watch, watched);
            unwatched = None;
        }
        for (flag, left) in [
            ("--lr-factor", factor.is_some()),
            ("--lr-every", every.is_some()),
            ("--lr-patience", patience.is_some()),
            ("--lr-min", least.is_some()),
            ("--watch", unwatched.is_some()),
        ] {
            if left {
                return Err(Usage(format!("{flag} means nothing to this schedule")).into());
            }
        }
        Ok(())
    }
}

/// What a flag says, where it says anything.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, train};
    use super::*;

    /// What the flags make of the defaults.
    fn tuned(flags: &str) -> Result<TrainOptions, String> {
        let tuning: Tuning = parse(&format!("train {flags}")).map_err(|e| e.to_string())?;
        let mut options = TrainOptions::default();
        tuning.apply(&mut options).map_err(|e| e.to_string())?;
        Ok(options)
    }

    #[test]
    fn no_flag_changes_nothing() {
        assert_eq!(tuned("").unwrap(), TrainOptions::default());
        assert_eq!(tuned("--optimizer sgd").unwrap(), TrainOptions::default());
    }

    #[test]
    fn flags_reach_their_options() {
        let options = tuned(
            "--optimizer radam --lr 1e-4 --schedule plateau --lr-patience 3 --lr-factor 0.5 --lr-min 1e-6 --watch accuracy --stop-patience 9 --freeze-before -3 --l1 0.1 --penalty-layer classifier --penalty-bias --center-loss 0.01 --weight-decay 0.001",
        )
        .unwrap();
        assert_eq!(options.optimizer.rule, RuleName::RAdam.options().rule);
        assert_eq!(options.optimizer.weight_decay, 1e-3);
        assert_eq!(
            options.schedule,
            Schedule::Plateau {
                rate: 1e-4,
                factor: 0.5,
                patience: 3,
                min_rate: 1e-6,
                watch: Measure::Accuracy,
                threshold: 1e-4,
            }
        );
        let stop = options.stop.unwrap();
        assert_eq!((stop.watch, stop.patience), (Measure::Accuracy, 9));
        assert_eq!(options.freeze, Freeze::Count(-3));
        assert_eq!(options.penalty.layers, ["classifier"]);
        assert!(options.penalty.bias);
        assert_eq!(options.loss.center.unwrap().weight, 0.01);
        let named = tuned("--freeze conv1 --freeze layer1").unwrap();
        assert_eq!(
            named.freeze,
            Freeze::Layers(vec!["conv1".into(), "layer1".into()])
        );
    }

    #[test]
    fn flags_that_would_do_nothing_are_refused() {
        for flags in [
            "--optimizer adam --nesterov",
            "--optimizer adam --momentum 0.5",
            "--lr-every 3",
            "--schedule step --lr-patience 3",
            "--schedule cosine --lr-factor 0.5",
            "--watch loss",
            "--penalty-bias",
            "--freeze conv1 --freeze-before 2",
            "--optimizer lion",
        ] {
            assert!(tuned(flags).is_err(), "{flags}");
        }
    }

    #[test]
    fn a_run_that_goes_on_takes_none_of_them() {
        let train = |line: &str| parse::<train::Args>(&format!("train {line}"));
        assert!(train("--resume runs/a").is_ok());
        assert!(train("--resume runs/a --lr 0.1").is_err());
        assert!(train("--resume runs/a --seeds 1,2").is_err());
        assert!(train("faces --out runs/a --class-weights --seeds 1,2").is_ok());
        assert!(train("--class-weights faces --out runs/a --repeat 3").is_ok());
        assert!(train("faces --out runs/a --class-weights=1,2,x").is_err());
        assert!(train("faces --out runs/a --seeds 1 --seed 2").is_err());
        assert!(train("faces --out runs/a --augment rot30").is_ok());
    }
}
