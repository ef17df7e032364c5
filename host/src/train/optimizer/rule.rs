//! The inner loops: what one step does to a run of numbers.

use super::options::{OptimizerOptions, Rule};

/// What a tensor's gradient goes through before the rule sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bent {
    /// Factor from clipping the norm, or 1.
    pub(super) scale: f32,
    /// Largest magnitude of a number, or infinity.
    pub(super) bound: f32,
    /// Times the number's sign, added after clipping: sparsity and L1 penalties.
    pub(super) l1: f32,
    /// Times the number, added after clipping: weight decay and L2 penalties.
    pub(super) l2: f32,
}

impl Bent {
    #[inline(always)]
    fn gradient(&self, g: f32, p: f32) -> f32 {
        (g * self.scale).clamp(-self.bound, self.bound) + self.l1 * sign(p) + self.l2 * p
    }
}

/// `sign` with `sign(0) = 0`, as PyTorch's.
#[inline(always)]
fn sign(v: f32) -> f32 {
    if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// One step of a rule, with everything that is the same for all numbers worked out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// SGD.
    Sgd {
        rate: f32,
        momentum: f32,
        nesterov: bool,
    },
    /// `m` and `v` are moved; then `p = p·keep − along·m / (√v·widen + eps)`.
    Adaptive {
        first: f32,
        second: f32,
        keep: f32,
        along: f32,
        widen: f32,
        eps: f32,
    },
    /// `m` and `v` are moved; then `p = p·keep − along·m`.
    Unadapted {
        first: f32,
        second: f32,
        keep: f32,
        along: f32,
    },
}

impl Step {
    /// Step `number`, from 1, of length `rate`.
    pub(super) fn at(options: &OptimizerOptions, number: u64, rate: f32) -> Self {
        let betas = match options.rule {
            Rule::Sgd { momentum, nesterov } => {
                return Self::Sgd {
                    rate,
                    momentum,
                    nesterov,
                };
            }
            Rule::Adam(betas) | Rule::AdamW(betas) | Rule::RAdam(betas) => betas,
        };
        let keep = if options.rule.decouples_decay() {
            1.0 - rate * options.weight_decay
        } else {
            1.0
        };
        let (beta1, beta2) = (f64::from(betas.first), f64::from(betas.second));
        let steps = number as f64;
        // what the means, which start at zero, have seen of a whole
        let seen1 = 1.0 - beta1.powf(steps);
        let seen2 = 1.0 - beta2.powf(steps);
        let mut along = f64::from(rate) / seen1;
        if matches!(options.rule, Rule::RAdam(_)) {
            // how many gradients stand behind the mean of squares, at most and now
            let most = 2.0 / (1.0 - beta2) - 1.0;
            let now = most - 2.0 * steps * beta2.powf(steps) / seen2;
            if now <= 5.0 {
                return Self::Unadapted {
                    first: betas.first,
                    second: betas.second,
                    keep,
                    along: along as f32,
                };
            }
            let spread = |n: f64| (n - 4.0) * (n - 2.0) / n;
            // eps is added before the correction of √v here, after it in Adam
            along *= (spread(now) / spread(most)).sqrt() * seen2.sqrt();
        }
        let widen = match options.rule {
            Rule::RAdam(_) => 1.0,
            _ => 1.0 / seen2.sqrt(),
        };
        Self::Adaptive {
            first: betas.first,
            second: betas.second,
            keep,
            along: along as f32,
            widen: widen as f32,
            eps: betas.eps,
        }
    }

    /// Moves the numbers `p` by their gradients `g`; `m` is the velocity or the mean of gradients, `v`
    /// the mean of squares, as long as `p` for the adaptive rules and empty for SGD.
    pub(super) fn apply(&self, bent: Bent, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        match *self {
            Self::Sgd {
                rate,
                momentum,
                nesterov,
            } => {
                for ((p, &g), m) in p.iter_mut().zip(g).zip(m) {
                    let g = bent.gradient(g, *p);
                    *m = momentum * *m + g;
                    let along = if nesterov { g + momentum * *m } else { *m };
                    *p -= rate * along;
                }
            }
            Self::Adaptive {
                first,
                second,
                keep,
                along,
                widen,
                eps,
            } => {
                for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                    move_means(bent.gradient(g, *p), [first, second], m, v);
                    *p = *p * keep - along * *m / (v.sqrt() * widen + eps);
                }
            }
            Self::Unadapted {
                first,
                second,
                keep,
                along,
            } => {
                for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                    move_means(bent.gradient(g, *p), [first, second], m, v);
                    *p = *p * keep - along * *m;
                }
            }
        }
    }
}

#[inline(always)]
fn move_means(g: f32, [first, second]: [f32; 2], m: &mut f32, v: &mut f32) {
    *m = first * *m + (1.0 - first) * g;
    *v = second * *v + (1.0 - second) * g * g;
}
