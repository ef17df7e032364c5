//! Fully connected layers, forward and backward: one product each, in `f32` for every [`Element`].

use super::element::Element;
use super::matmul::{Mat, matmul};
use super::scratch;

/// `exact = x · weightᵀ + bias`, and `y`, which is the same rounded.
///
/// Shapes: `x [batch, inputs]`, `weight [outputs, inputs]`, `bias [outputs]`; `exact` and `y`, both
/// `[batch, outputs]`, are overwritten.
///
/// # Panics
/// When a matrix is shorter than the sizes say.
pub fn forward<E: Element>(
    [batch, inputs, outputs]: [usize; 3],
    x: &[E],
    [weight, bias]: [&[f32]; 2],
    exact: &mut [f32],
    y: &mut [E],
) {
    let weight = Mat::new(weight, outputs, inputs, inputs);
    scratch::with::<f32, _>(batch * inputs, |x32| {
        unround(x, x32);
        let x = Mat::new(x32, batch, inputs, inputs);
        matmul(exact, outputs, x, weight.t(), false);
    });
    for row in exact.chunks_exact_mut(outputs) {
        row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
    }
    for (y, &v) in y.iter_mut().zip(&*exact) {
        *y = E::from_f32(v);
    }
}

/// The gradients of the weight and the bias, each where its room is not empty, and of the input,
/// `dx [batch, inputs]`, from `dy [batch, outputs]`; all are overwritten.
///
/// # Panics
/// When a matrix is shorter than the sizes say.
pub fn backward<E: Element>(
    [batch, inputs, outputs]: [usize; 3],
    [x, dy]: [&[E]; 2],
    weight: &[f32],
    [dweight, dbias]: [&mut [f32]; 2],
    dx: &mut [E],
) {
    scratch::with::<f32, _>(batch * outputs, |dy32| {
        unround(dy, dy32);
        let dym = Mat::new(dy32, batch, outputs, outputs);
        scratch::with::<f32, _>(batch * inputs, |x32| {
            unround(x, x32);
            if !dweight.is_empty() {
                let xm = Mat::new(x32, batch, inputs, inputs);
                matmul(dweight, inputs, dym.t(), xm, false);
            }
            let weight = Mat::new(weight, outputs, inputs, inputs);
            matmul(x32, inputs, dym, weight, false);
            for (dx, &v) in dx.iter_mut().zip(&*x32) {
                *dx = E::from_f32(v);
            }
        });
        dbias.fill(0.0);
        for row in dy32.chunks_exact(outputs) {
            dbias.iter_mut().zip(row).for_each(|(b, d)| *b += d);
        }
    });
}

/// Stored numbers as `f32`.
fn unround<E: Element>(stored: &[E], out: &mut [f32]) {
    for (out, v) in out.iter_mut().zip(stored) {
        *out = v.to_f32();
    }
}
