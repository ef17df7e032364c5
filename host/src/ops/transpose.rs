//! Pixels by channels into channels by pixels.

use std::ops::Range;

use super::element::Element;
use super::wide::wide;

/// Rows and columns that are exchanged at once.
const SIDE: usize = 32;
/// A place without a pixel: it becomes a column of zeros.
pub(super) const NOWHERE: u32 = u32::MAX;

wide! {
    /// `out [part, places]` from the pixels of `map`, `channels` numbers each, that are listed in
    /// `places`; the rows of `out` are `stride` apart. Rows of `out` beyond `part` are zeroed.
    pub(super) fn transpose<'a, E: Element>(
        map: &'a [E],
        channels: usize,
        part: Range<usize>,
        places: &'a [u32],
        out: &'a mut [E],
        stride: usize,
    ) {
        for (block, out) in out.chunks_mut(SIDE * stride).enumerate() {
            let first = part.start + block * SIDE;
            let count = part.end.saturating_sub(first).min(SIDE);
            for (at, places) in places.chunks(SIDE).enumerate() {
                let mut square = [[E::ZERO; SIDE]; SIDE];
                if count > 0 {
                    for (row, &place) in square.iter_mut().zip(places) {
                        if place != NOWHERE {
                            let from = &map[place as usize * channels + first..][..count];
                            match from.try_into() {
                                Ok(whole) => *row = whole,
                                Err(_) => row[..count].copy_from_slice(from),
                            }
                        }
                    }
                }
                // five perfect shuffles of 32 rows exchange rows and columns
                let mut other = [[E::ZERO; SIDE]; SIDE];
                shuffle(&square, &mut other);
                shuffle(&other, &mut square);
                shuffle(&square, &mut other);
                shuffle(&other, &mut square);
                shuffle(&square, &mut other);
                for (row, out) in other.iter().zip(out.chunks_mut(stride)) {
                    out[at * SIDE..][..places.len()].copy_from_slice(&row[..places.len()]);
                }
            }
        }
    }
}

/// Moves each number from place `abcde|vwxyz` (row|column, in binary) to `bcdev|wxyza`.
#[inline(always)]
fn shuffle<E: Element>(from: &[[E; SIDE]; SIDE], to: &mut [[E; SIDE]; SIDE]) {
    const HALF: usize = SIDE / 2;
    let (upper, lower) = from.split_at(HALF);
    for ((a, b), to) in upper.iter().zip(lower).zip(to.chunks_exact_mut(2)) {
        for j in 0..HALF {
            to[0][2 * j] = a[j];
            to[0][2 * j + 1] = b[j];
        }
        for j in 0..HALF {
            to[1][2 * j] = a[HALF + j];
            to[1][2 * j + 1] = b[HALF + j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::{Bf16, Element};
    use super::*;

    fn check<E: Element>(channels: usize, part: Range<usize>, places: &[u32]) {
        let pixels = places
            .iter()
            .filter(|&&p| p != NOWHERE)
            .max()
            .map_or(0, |p| p + 1);
        let map: Vec<E> = (0..pixels as usize * channels)
            .map(|i| E::from_f32((i % 251) as f32))
            .collect();
        let rows = part.len().next_multiple_of(SIDE);
        let stride = places.len() + 3;
        let mut out = vec![E::from_f32(9.0); rows * stride];
        transpose(&map, channels, part.clone(), places, &mut out, stride);
        for row in 0..rows {
            for (at, &place) in places.iter().enumerate() {
                let want = if row < part.len() && place != NOWHERE {
                    map[place as usize * channels + part.start + row]
                } else {
                    E::ZERO
                };
                assert_eq!(out[row * stride + at], want, "row {row}, place {at}");
            }
        }
    }

    #[test]
    fn every_size_is_exchanged_and_padded_with_zeros() {
        for (channels, part, len) in [
            (3, 0..3, 5),
            (64, 32..64, 32),
            (70, 1..70, 100),
            (32, 0..32, 33),
        ] {
            let places: Vec<u32> = (0..len)
                .map(|i| {
                    if i % 7 == 3 {
                        NOWHERE
                    } else {
                        (i * 5 % len) as u32
                    }
                })
                .collect();
            check::<f32>(channels, part.clone(), &places);
            check::<Bf16>(channels, part, &places);
        }
    }
}
