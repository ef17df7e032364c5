//! A transposed convolution whose stride is its kernel: one product to all pixels of a block, then the blocks are
//! laid out.

use super::super::Param;
use crate::graph::ConvTranspose2d;
use crate::ops::blocks::Blocks;
use crate::ops::conv::{self, ConvGeometry, Packed};
use crate::ops::product::Product;
use crate::ops::scratch;
use crate::ops::weight;

/// One layer at one batch size.
pub(super) struct Transposed {
    /// The product as a 1×1 convolution.
    product: ConvGeometry,
    blocks: Blocks,
}

impl Transposed {
    pub(super) fn new(conv: &ConvTranspose2d, batch: usize, size: [usize; 2]) -> Self {
        Self {
            product: conv.geometry(batch, size),
            blocks: Blocks {
                size,
                outputs: conv.outputs,
                side: conv.kernel,
            },
        }
    }

    /// Weights `[inputs, outputs, k, k]` as the product's `[outputs·k·k, inputs]`.
    fn turned(&self, weight: &[f32], turned: &mut [f32]) {
        let ConvGeometry {
            inputs, outputs, ..
        } = self.product;
        for (output, row) in turned.chunks_exact_mut(inputs).enumerate() {
            for (input, w) in row.iter_mut().enumerate() {
                *w = weight[input * outputs + output];
            }
        }
    }

    pub(super) fn forward<E: Product>(
        &self,
        x: &[E],
        weight: &[f32],
        bias: Option<&[f32]>,
        packed: &mut Packed<E>,
        y: &mut [E],
    ) {
        scratch::with::<f32, _>(weight.len(), |turned| {
            self.turned(weight, turned);
            scratch::with::<E, _>(y.len(), |rows| {
                conv::forward(&self.product, x, turned, None, packed, rows);
                self.blocks.unfold(rows, bias, y);
            });
        });
    }

    /// Fills the gradient of the weights and `dx`; with them comes room that is kept between calls.
    pub(super) fn backward<E: Product>(
        &self,
        x: &[E],
        dy: &[E],
        weight: &mut Param,
        (packed, partials): (&mut Packed<E>, &mut Vec<Vec<f32>>),
        dx: &mut [E],
    ) {
        let ConvGeometry {
            inputs, outputs, ..
        } = self.product;
        scratch::with::<E, _>(dy.len(), |rows| {
            self.blocks.fold(dy, rows);
            scratch::with::<f32, _>(weight.value.len(), |turned| {
                weight::gradient(&self.product, x, rows, turned, partials);
                for (input, grads) in weight.grad.chunks_exact_mut(outputs).enumerate() {
                    for (output, grad) in grads.iter_mut().enumerate() {
                        *grad = turned[output * inputs + input];
                    }
                }
                self.turned(&weight.value, turned);
                conv::input_gradient(&self.product, rows, turned, packed, dx);
            });
        });
    }
}
