//! Dropout (Srivastava et al., 2014), scaled in training so that inference leaves everything as it is.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::element::Element;

/// Draws a mask from one stream of a seed: 0 with probability `p`, else `1 / (1 − p)`; `mask` is overwritten.
pub fn draw(p: f32, seed: u64, stream: u64, mask: &mut [f32]) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let keep = 1.0 / (1.0 - p);
    for m in mask {
        *m = if rng.random::<f32>() < p { 0.0 } else { keep };
    }
}

/// `y = x · mask`, number by number; `y` is overwritten.
///
/// # Panics
/// When the lengths differ.
pub fn forward<E: Element>(x: &[E], mask: &[f32], y: &mut [E]) {
    assert_eq!([x.len(), mask.len()], [y.len(); 2], "output length");
    for ((y, x), m) in y.iter_mut().zip(x).zip(mask) {
        *y = E::from_f32(x.to_f32() * m);
    }
}

/// The gradient of [`forward`], in place of `dy`.
///
/// # Panics
/// When the lengths differ.
pub fn backward<E: Element>(mask: &[f32], dy: &mut [E]) {
    assert_eq!(mask.len(), dy.len(), "gradient length");
    for (d, m) in dy.iter_mut().zip(mask) {
        *d = E::from_f32(d.to_f32() * m);
    }
}
