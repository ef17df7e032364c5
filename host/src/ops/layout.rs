//! Copies from one layout into another: maps that are joined, and maps as vectors.

use std::ops::Range;

/// Copies the rows of a part to their `place` in the rows of the whole, `row` numbers each.
pub fn join<T: Copy>(part: &[T], place: Range<usize>, whole: &mut [T], row: usize) {
    let rows = part.chunks_exact(place.len());
    for (whole, part) in whole.chunks_exact_mut(row).zip(rows) {
        whole[place.clone()].copy_from_slice(part);
    }
}

/// The way back: takes a part's rows out of those of the whole, `row` numbers each; `part` is overwritten.
pub fn split<T: Copy>(whole: &[T], row: usize, place: Range<usize>, part: &mut [T]) {
    let rows = part.chunks_exact_mut(place.len());
    for (part, whole) in rows.zip(whole.chunks_exact(row)) {
        part.copy_from_slice(&whole[place.clone()]);
    }
}

/// Maps `[pixels, channels]` as vectors, channel by channel; `vectors` is overwritten.
pub fn flatten<T: Copy>((channels, pixels): (usize, usize), maps: &[T], vectors: &mut [T]) {
    let maps = maps.chunks_exact(channels * pixels);
    for (vector, map) in vectors.chunks_exact_mut(channels * pixels).zip(maps) {
        for (i, v) in vector.iter_mut().enumerate() {
            *v = map[i % pixels * channels + i / pixels];
        }
    }
}

/// The way back from [`flatten`]; `maps` is overwritten.
pub fn unflatten<T: Copy>((channels, pixels): (usize, usize), vectors: &[T], maps: &mut [T]) {
    let vectors = vectors.chunks_exact(channels * pixels);
    for (map, vector) in maps.chunks_exact_mut(channels * pixels).zip(vectors) {
        for (i, &v) in vector.iter().enumerate() {
            map[i % pixels * channels + i / pixels] = v;
        }
    }
}
