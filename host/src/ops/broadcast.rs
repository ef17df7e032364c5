//! Products of maps and gates: either side may be repeated over channels or pixels.

use rayon::prelude::*;

use super::element::Element;
use super::scratch;
use super::wide::wide;

/// One side of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Channels: those of the product, or 1.
    pub channels: usize,
    /// Pixels: those of the product, or 1.
    pub pixels: usize,
}

impl Side {
    fn len(self) -> usize {
        self.channels * self.pixels
    }

    /// The channels of a pixel.
    #[inline(always)]
    fn row(self, pixel: usize) -> std::ops::Range<usize> {
        let start = if self.pixels == 1 { 0 } else { pixel } * self.channels;
        start..start + self.channels
    }
}

/// The two sides of a product; where one is repeated, the other has the product's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastMul {
    /// Left and right.
    pub sides: [Side; 2],
}

impl BroadcastMul {
    fn shape(&self) -> Side {
        let [a, b] = self.sides;
        Side {
            channels: a.channels.max(b.channels),
            pixels: a.pixels.max(b.pixels),
        }
    }

    fn check(&self, a: usize, b: usize, y: usize) {
        let whole = self.shape();
        for side in self.sides {
            assert!(
                [1, whole.channels].contains(&side.channels)
                    && [1, whole.pixels].contains(&side.pixels),
                "{side:?} is not repeated to {whole:?}"
            );
        }
        let images = y / whole.len().max(1);
        assert_eq!(y, images * whole.len(), "product length");
        assert_eq!(a, images * self.sides[0].len(), "left length");
        assert_eq!(b, images * self.sides[1].len(), "right length");
    }

    /// `y = a · b`, image by image; `y` is overwritten.
    ///
    /// # Panics
    /// When the lengths do not fit the sides.
    pub fn forward<E: Element>(&self, a: &[E], b: &[E], y: &mut [E]) {
        self.check(a.len(), b.len(), y.len());
        let [left, right] = self.sides.map(|side| side.len().max(1));
        y.par_chunks_mut(self.shape().len().max(1))
            .zip(a.par_chunks(left).zip(b.par_chunks(right)))
            .for_each(|(y, (a, b))| multiply(self, a, b, y));
    }

    /// The gradients of both sides, `da` and `db`, which are overwritten.
    ///
    /// # Panics
    /// When the lengths do not fit the sides.
    pub fn backward<E: Element>(&self, [a, b]: [&[E]; 2], dy: &[E], [da, db]: [&mut [E]; 2]) {
        self.check(a.len(), b.len(), dy.len());
        self.check(da.len(), db.len(), dy.len());
        for (grad, other, of) in [(da, b, 0), (db, a, 1)] {
            let [own, others] = [of, 1 - of].map(|i| self.sides[i]);
            grad.par_chunks_mut(own.len().max(1))
                .zip(other.par_chunks(others.len().max(1)))
                .zip(dy.par_chunks(self.shape().len().max(1)))
                .for_each(|((grad, other), dy)| {
                    scratch::with::<f32, _>(own.len(), |sums| {
                        sums.fill(0.0);
                        let channels = self.shape().channels;
                        add_gradient([own, others], channels, other, dy, sums);
                        for (g, sum) in grad.iter_mut().zip(sums) {
                            *g = E::from_f32(*sum);
                        }
                    });
                });
        }
    }
}

wide! {
    /// One image of [`BroadcastMul::forward`].
    fn multiply<'a, E: Element>(
        product: &'a BroadcastMul,
        a: &'a [E],
        b: &'a [E],
        y: &'a mut [E],
    ) {
        let [left, right] = product.sides;
        for (pixel, y) in y.chunks_exact_mut(product.shape().channels).enumerate() {
            let (a, b) = (&a[left.row(pixel)], &b[right.row(pixel)]);
            match (a, b) {
                (&[a], b) => {
                    let a = a.to_f32();
                    for (y, b) in y.iter_mut().zip(b) {
                        *y = E::from_f32(a * b.to_f32());
                    }
                }
                (a, &[b]) => {
                    let b = b.to_f32();
                    for (y, a) in y.iter_mut().zip(a) {
                        *y = E::from_f32(a.to_f32() * b);
                    }
                }
                (a, b) => {
                    for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
                        *y = E::from_f32(a.to_f32() * b.to_f32());
                    }
                }
            }
        }
    }

    /// Adds `dy · other`, summed over what the side was repeated over.
    fn add_gradient<'a, E: Element>(
        sides: [Side; 2],
        channels: usize,
        other: &'a [E],
        dy: &'a [E],
        sums: &'a mut [f32],
    ) {
        let [own, others] = sides;
        for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
            let (sums, other) = (&mut sums[own.row(pixel)], &other[others.row(pixel)]);
            match (sums, other) {
                ([sum], &[other]) => {
                    let total: f32 = dy.iter().map(|d| d.to_f32()).sum();
                    *sum += total * other.to_f32();
                }
                ([sum], other) => {
                    for (d, o) in dy.iter().zip(other) {
                        *sum += d.to_f32() * o.to_f32();
                    }
                }
                (sums, &[other]) => {
                    let o = other.to_f32();
                    for (sum, d) in sums.iter_mut().zip(dy) {
                        *sum += d.to_f32() * o;
                    }
                }
                (sums, other) => {
                    for ((sum, d), o) in sums.iter_mut().zip(dy).zip(other) {
                        *sum += d.to_f32() * o.to_f32();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 37 + seed * 11) % 17) as f32 - 8.0)
            .collect()
    }

    #[test]
    fn every_repetition_is_the_definition() {
        const IMAGES: usize = 2;
        let sides =
            [(3, 4), (3, 1), (1, 4), (1, 1)].map(|(channels, pixels)| Side { channels, pixels });
        for pair in sides.iter().flat_map(|&a| sides.map(|b| [a, b])) {
            let product = BroadcastMul { sides: pair };
            let whole = product.shape();
            let index = |side: Side, image: usize, pixel: usize, channel: usize| {
                let pixel = if side.pixels == 1 { 0 } else { pixel };
                let channel = if side.channels == 1 { 0 } else { channel };
                (image * side.pixels + pixel) * side.channels + channel
            };
            let [a, b] = [0, 1].map(|i| values(IMAGES * pair[i].len(), i));
            let dy = values(IMAGES * whole.len(), 2);
            let mut want = vec![0.0; dy.len()];
            let [mut da, mut db] = [vec![0.0; a.len()], vec![0.0; b.len()]];
            for image in 0..IMAGES {
                for (pixel, channel) in
                    (0..whole.pixels).flat_map(|p| (0..whole.channels).map(move |c| (p, c)))
                {
                    let at = |side| index(side, image, pixel, channel);
                    want[at(whole)] = a[at(pair[0])] * b[at(pair[1])];
                    da[at(pair[0])] += dy[at(whole)] * b[at(pair[1])];
                    db[at(pair[1])] += dy[at(whole)] * a[at(pair[0])];
                }
            }
            let mut y = vec![f32::NAN; dy.len()];
            product.forward(&a, &b, &mut y);
            assert_eq!(y, want, "{pair:?}");
            let (mut got_a, mut got_b) = (vec![f32::NAN; a.len()], vec![f32::NAN; b.len()]);
            product.backward([&a, &b], &dy, [&mut got_a, &mut got_b]);
            assert_eq!((got_a, got_b), (da, db), "{pair:?}");
        }
    }
}
