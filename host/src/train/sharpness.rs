//! Sharpness-aware minimisation: the gradient is taken a little uphill of the weights, so that training ends where the
//! loss is flat around them, which labels that are wrong disturb less (Foret et al., "Sharpness-Aware Minimization for
//! Efficiently Improving Generalization", 2021). A step costs two forward and backward passes.

use rayon::prelude::*;

use super::optimizer::{BLOCK, gradient_norm};
use crate::graph::exec::{Param, Params};
use crate::ops::norm::at_least;

/// The way uphill, and the way back.
#[derive(Debug)]
pub(super) struct Ascent {
    radius: f32,
    /// Every number as it was before the climb; for each parameter as many as it has.
    before: Vec<Vec<f32>>,
}

impl Ascent {
    /// Climbs this far, in Euclidean distance over all numbers that are trained.
    pub(super) fn new(radius: f32, params: &Params) -> Self {
        let before = params.iter().map(|p| vec![0.0; p.value.len()]).collect();
        Self { radius, before }
    }

    /// Moves what is trained along its gradient.
    pub(super) fn climb(&mut self, params: &mut Params) {
        let scale = self.radius / at_least(gradient_norm(params), 1e-12);
        for (before, param) in self.before.iter_mut().zip(params.iter_mut()) {
            before.copy_from_slice(&param.value);
            if param.trained() {
                let Param { value, grad, .. } = param;
                value
                    .par_chunks_mut(BLOCK)
                    .zip(grad.par_chunks(BLOCK))
                    .for_each(|(value, grad)| {
                        for (v, g) in value.iter_mut().zip(grad) {
                            *v += scale * g;
                        }
                    });
            }
        }
    }

    /// Puts every number back, the running statistics too: they belong to where the weights are. The gradients stay.
    pub(super) fn descend(&self, params: &mut Params) {
        for (before, param) in self.before.iter().zip(params.iter_mut()) {
            param.value.copy_from_slice(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{Architecture, build};
    use crate::graph::init;

    fn params() -> Params {
        let arch = Architecture {
            width: 0.05,
            channels: 1,
            ..Architecture::published("vgg11")
        };
        Params::new(&init::fresh(build(&arch, 7).unwrap(), 1))
    }

    #[test]
    fn the_way_is_along_the_gradient_as_long_as_the_radius_and_leads_back() {
        let mut params = params();
        params.freeze(&[false, true]);
        for param in params.iter_mut() {
            for (i, grad) in param.grad.iter_mut().enumerate() {
                *grad = (i % 7) as f32 - 3.0;
            }
        }
        let before = params.clone();
        let mut ascent = Ascent::new(0.5, &params);
        ascent.climb(&mut params);
        let mut square = 0.0;
        for (was, is) in before.iter().zip(params.iter()) {
            let moved = was.value.iter().zip(&is.value);
            let moved: Vec<f64> = moved.map(|(was, is)| f64::from(is - was)).collect();
            square += moved.iter().map(|m| m * m).sum::<f64>();
            let along = moved.iter().zip(&was.grad);
            let uphill: f64 = along.map(|(m, g)| m * f64::from(*g)).sum();
            assert_eq!(uphill > 0.0, is.trained(), "{}", is.name);
        }
        assert!((square.sqrt() - 0.5).abs() < 1e-4, "{}", square.sqrt());
        for param in params.iter_mut().filter(|p| !p.trained()) {
            param.value.fill(9.0);
        }
        ascent.descend(&mut params);
        for (was, is) in before.iter().zip(params.iter()) {
            assert_eq!((&was.value, &was.grad), (&is.value, &is.grad));
        }
    }

    #[test]
    fn without_a_gradient_nothing_moves() {
        let mut params = params();
        let before = params.clone();
        Ascent::new(0.5, &params).climb(&mut params);
        assert!(
            before
                .iter()
                .zip(params.iter())
                .all(|(a, b)| a.value == b.value)
        );
    }
}
